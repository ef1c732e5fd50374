"""Volumes and series: voxels beside the geometry that says where they are.

A volume is a float32 array of shape ``(D, H, W)`` = (slice, phase/row, read/column), with a `geometry.Geometry`.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, overload

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from .errors import InputError
from .geometry import FloatArray, Geometry, Shape, shape_of

if TYPE_CHECKING:
    import SimpleITK as sitk

Images = TypeVar("Images", "Volume", "Series")
"""Of a function that gives a volume for a volume and a series for a series."""

_EACH = ("frames", "consistency")
"""Facts that hold something for each time point."""


@dataclass(frozen=True, eq=False, repr=False)
class Volume:
    """Voxels and their geometry.

    A volume equals itself only. NumPy takes it as the array of its voxels.

    Parameters
    ----------
    data
        float32 array of shape ``(D, H, W)``; any real dtype is converted.
    geometry
        Where the voxels are. Without it: 1 mm voxels at the origin.
    facts
        How it was made, as the sidecar beside its file says or is to say; see `Series`.
    warnings
        What a user has to know of how it was read, in sentences.
    name
        What to call it in sentences: the path that it was read from; empty if it was not.
    """

    data: FloatArray
    geometry: Geometry
    facts: Mapping[str, Any]
    warnings: tuple[str, ...]
    name: str

    def __init__(
        self,
        data: NDArray[np.generic],
        geometry: Geometry | None = None,
        facts: Mapping[str, Any] | None = None,
        warnings: Sequence[str] = (),
        name: str = "",
    ) -> None:
        voxels = np.asarray(data, dtype=np.float32)
        geometry = geometry or Geometry(shape_of(voxels))
        if geometry.shape != voxels.shape:
            message = f"The geometry describes {geometry.shape} voxels but there are {voxels.shape}."
            raise InputError(message)
        object.__setattr__(self, "data", voxels)
        object.__setattr__(self, "geometry", geometry)
        object.__setattr__(self, "facts", dict(facts or {}))
        object.__setattr__(self, "warnings", tuple(warnings))
        object.__setattr__(self, "name", name)

    @classmethod
    def from_array(
        cls,
        array: ArrayLike,
        *,
        spacing: ArrayLike = (1.0, 1.0, 1.0),
        origin: ArrayLike = (0.0, 0.0, 0.0),
        direction: ArrayLike = Geometry.direction,
    ) -> Volume:
        """Make a volume of voxels and their place.

        Parameters
        ----------
        array
            Real numbers ``(D, H, W)``, or ``(H, W)`` of a single slice.
        spacing
            Voxel size in mm, ordered ``(x, y, z)``; z is the distance of slices, also of a single one.
        origin
            Position of the centre of voxel ``(0, 0, 0)`` in mm, LPS.
        direction
            3x3 matrix, or its 9 numbers row by row; its columns are the unit vectors of the x, y and z index axes in
            LPS.

        Raises
        ------
        InputError
            If the array does not hold real numbers in two or three dimensions, or the place is none.
        """
        voxels = np.asarray(array)
        if voxels.dtype.kind not in "biuf":
            message = f"A volume needs real numbers, but the array holds {voxels.dtype}; give the magnitude image."
            raise InputError(message)
        if voxels.ndim == 2:
            voxels = voxels[np.newaxis]
        size, place = _numbers(spacing, 3, "spacing"), _numbers(origin, 3, "origin")
        axes = _numbers(direction, 9, "direction")
        if size.min() <= 0:
            raise InputError("The spacing must be larger than 0 on every axis; give the voxel size in mm.")
        matrix = axes.reshape(3, 3)
        if not np.allclose(matrix.T @ matrix, np.eye(3), atol=1e-3):
            raise InputError("The axes of the direction must be of length 1 and at right angles; give unit vectors.")
        x, y, z = size.tolist()
        geometry = Geometry(shape_of(voxels), (x, y, z), tuple(place.tolist()), tuple(axes.tolist()))
        return cls(voxels, geometry)

    @classmethod
    def from_sitk(cls, image: sitk.Image) -> Volume:
        """Copy a SimpleITK image of three dimensions, or of two: a single slice in the plane z = 0, 1 mm thick.

        Raises
        ------
        InputError
            If it has other dimensions, colours, vectors or complex voxels.
        """
        import SimpleITK as sitk

        dimension = image.GetDimension()
        if image.GetNumberOfComponentsPerPixel() > 1 or "complex" in image.GetPixelIDTypeAsString():
            raise InputError("A volume needs a single grey value for each voxel; give the magnitude or one channel.")
        if dimension not in (2, 3):
            message = f"A volume has 3 dimensions, but the image has {dimension}; give one time point of it."
            raise InputError(message)
        stack = sitk.JoinSeries(image) if dimension == 2 else image
        return cls.from_array(
            sitk.GetArrayFromImage(stack),
            spacing=stack.GetSpacing(),
            origin=stack.GetOrigin(),
            direction=stack.GetDirection(),
        )

    def to_sitk(self) -> sitk.Image:
        """Copy into a SimpleITK image of float32 and three dimensions, in the same place."""
        import SimpleITK as sitk

        image = sitk.GetImageFromArray(self.data)
        image.SetSpacing(self.geometry.spacing)
        image.SetOrigin(self.geometry.origin)
        image.SetDirection(self.geometry.direction)
        return image

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[np.generic]:
        """Voxels ``(D, H, W)``: those of the volume itself, unless another dtype or a copy is asked for."""
        if copy:
            return np.array(self.data, dtype=dtype)
        voxels = np.asarray(self.data, dtype=dtype)
        if copy is False and voxels is not self.data:
            message = f"A volume holds float32 and cannot be {voxels.dtype} without a copy."
            raise ValueError(message)
        return voxels

    def __repr__(self) -> str:
        return f"Volume({_in_words(self.geometry)})"

    @property
    def shape(self) -> Shape:
        """Number of voxels ``(D, H, W)``."""
        return self.geometry.shape

    def with_data(self, data: NDArray[np.generic]) -> Volume:
        """Return other voxels ``(D, H, W)`` on the same grid; `InputError` if there are more or fewer."""
        return Volume(data, self.geometry)

    def with_facts(self, **facts: Any) -> Volume:
        """Return the same volume with more facts, or others of the same names."""
        return Volume(self.data, self.geometry, {**self.facts, **facts}, self.warnings, self.name)


@dataclass(frozen=True)
class Stated:
    """What a file's header states of how its images were acquired; None where it states nothing.

    Parameters
    ----------
    magnitude
        Whether they are magnitudes; else they have a sign.
    partial_fourier
        Whether only a part of k-space was measured along one axis.
    measured_share
        That part, in (0.5, 1), if it is stated.
    """

    magnitude: bool | None = None
    partial_fourier: bool | None = None
    measured_share: float | None = None


NOTHING_STATED = Stated()


class Series:
    """An ordered list of volumes of one geometry, with the time of each.

    Volumes are made when asked for, so that a long series need not be in memory at once. The one made last is kept, so
    that asking for a time point again costs nothing until another one is asked for. A series equals itself only.

    Parameters
    ----------
    load
        Returns the voxels ``(D, H, W)`` of time point ``i``.
    times
        Time of every volume in seconds, ascending.
    geometry
        The one geometry of all volumes.
    warnings
        What a user has to know of how the series was read, in sentences.
    acquired_matrix
        Rows and columns ``(h, w)`` that were acquired, where the file says so; scanners may store more.
    facts
        How the series was made, as the sidecar beside its file says or, once it is written, is to say: JSON's objects,
        lists, texts and numbers. A super-resolved series has the ``model``, the ``warnings`` and, for every time point,
        the figures of its ``consistency`` with what was acquired.
    name
        What to call it in sentences: the path that it was read from; empty if it was not.
    stated
        What else its header states of how it was acquired.
    """

    def __init__(
        self,
        load: Callable[[int], NDArray[np.generic]],
        times: Sequence[float],
        geometry: Geometry,
        warnings: Sequence[str] = (),
        acquired_matrix: tuple[int, int] | None = None,
        facts: Mapping[str, Any] | None = None,
        name: str = "",
        stated: Stated = NOTHING_STATED,
    ) -> None:
        self._load = load
        self.times = tuple(float(t) for t in times)
        self.geometry = geometry
        self.warnings = tuple(warnings)
        self.acquired_matrix = acquired_matrix
        self.facts = dict(facts or {})
        self.name = name
        self.stated = stated
        self._last: tuple[int, Volume] | None = None

    @classmethod
    def of(cls, volumes: Sequence[Volume], times: Sequence[float] | None = None) -> Series:
        """Make a series of volumes in memory; without `times` they are numbered 0, 1, 2, ... s."""
        if not volumes:
            raise InputError("A series needs at least one volume.")
        geometry = volumes[0].geometry
        for number, volume in enumerate(volumes):
            if volume.shape != geometry.shape:
                message = (
                    f"Time point {number} has {volume.shape} voxels but the first has {geometry.shape}: "
                    "all time points of a series must have the same size."
                )
                raise InputError(message)
        if times is not None and len(times) != len(volumes):
            message = f"There are {len(times)} times for {len(volumes)} time points; give one for each."
            raise InputError(message)
        return cls(lambda i: volumes[i].data, range(len(volumes)) if times is None else times, geometry)

    def __len__(self) -> int:
        """Number of time points."""
        return len(self.times)

    def __repr__(self) -> str:
        parts = [f"{len(self)} time point{'' if len(self) == 1 else 's'}"]
        if self.times:
            parts.append(" to ".join(f"{time:g}" for time in dict.fromkeys((self.times[0], self.times[-1]))) + " s")
        return f"Series({', '.join([*parts, _in_words(self.geometry)])})"

    @overload
    def __getitem__(self, number: int) -> Volume: ...

    @overload
    def __getitem__(self, number: slice) -> Series: ...

    def __getitem__(self, number: int | slice) -> Volume | Series:
        """Volume of a time point, counted from the end if negative; of a slice the series, of which nothing is loaded.

        Raises
        ------
        IndexError
            If there is no such time point.
        """
        if isinstance(number, slice):
            return self.select(range(len(self))[number])
        index = self._index(number)
        last = self._last
        if last is None or last[0] != index:
            self._last = last = None  # so that two need not be in memory
            self._last = last = index, Volume(self._load(index), self.geometry)
        return last[1]

    def _index(self, number: int) -> int:
        """Number of a time point that may be counted from the end, counted from the beginning."""
        index = operator.index(number)
        if not -len(self) <= index < len(self):
            message = f"There is no time point {index} in a series of {len(self)} time points."
            raise IndexError(message)
        return index % len(self)

    def __iter__(self) -> Iterator[Volume]:
        """Yield the volumes in order of time, each loaded when its turn comes."""
        return (self[i] for i in range(len(self)))

    def select(self, numbers: Sequence[int]) -> Series:
        """Return the series of some of the time points, in the order given; nothing is loaded.

        Raises
        ------
        IndexError
            If one of them is not there.
        """
        chosen = [self._index(number) for number in numbers]
        facts = {key: self._of_chosen(value, chosen) if key in _EACH else value for key, value in self.facts.items()}
        times = [self.times[n] for n in chosen]
        return self._with(lambda i: self[chosen[i]].data, times=times, facts=facts)

    def with_facts(self, **facts: Any) -> Series:
        """Return the same series with more facts, or others of the same names."""
        return self._with(lambda i: self[i].data, facts={**self.facts, **facts})

    def _with(
        self,
        load: Callable[[int], NDArray[np.generic]],
        times: Sequence[float] | None = None,
        facts: Mapping[str, Any] | None = None,
    ) -> Series:
        return Series(
            load,
            self.times if times is None else times,
            self.geometry,
            self.warnings,
            self.acquired_matrix,
            self.facts if facts is None else facts,
            self.name,
            self.stated,
        )

    def only_volume(self) -> Volume:
        """The volume of a series of one time point.

        Raises
        ------
        InputError
            If there are several.
        """
        if len(self) > 1:
            name = self.name or "The image"
            message = f"{name} is a series of {len(self)} time points where a volume is needed; give one of them."
            raise InputError(message)
        return Volume(self[0].data, self.geometry, self.facts, self.warnings, self.name)

    def _of_chosen(self, values: Any, chosen: Sequence[int]) -> Any:
        """What a fact that holds something for each time point says of some of them."""
        return [values[n] for n in chosen] if isinstance(values, list) and len(values) == len(self) else values

    def kept_in_memory(self, most: int) -> Series:
        """Return the same series, each time point loaded once at most while all of them fit into `most` bytes.

        Those that do not fit any more are loaded again whenever they are asked for.
        """
        kept: dict[int, FloatArray] = {}
        room = most // (4 * math.prod(self.geometry.shape) or 1)

        def load(number: int) -> FloatArray:
            if number in kept:
                return kept[number]
            voxels = self[number].data
            if len(kept) < room:
                kept[number] = voxels
            return voxels

        return self._with(load)

    def when_loaded(self, function: Callable[[int, Volume], Volume]) -> Series:
        """Return the same series, every volume handed to `function` with its number as soon as it is loaded."""
        return self._with(lambda i: function(i, self[i]).data)

    def map(self, function: Callable[[Volume], Volume], geometry: Geometry) -> Series:
        """Return the series with `function` applied to every volume when it is asked for.

        Like every series the result keeps the time point made last: going through it once calls `function` once for
        each time point, going through it again calls it again.

        Parameters
        ----------
        function
            Takes and returns a volume.
        geometry
            The geometry that `function` gives to its results.
        """
        return Series(lambda i: function(self[i]).data, self.times, geometry, self.warnings, name=self.name)


def _in_words(geometry: Geometry) -> str:
    """Shape and spacing, rounded."""
    return f"shape={geometry.shape}, spacing=({', '.join(f'{step:.4g}' for step in geometry.spacing)}) mm"


def _numbers(values: ArrayLike, count: int, name: str) -> NDArray[np.float64]:
    """So many finite numbers, in one dimension; `InputError` if they are others."""
    numbers = np.asarray(values, dtype=np.float64).ravel()
    if numbers.size != count:
        message = f"The {name} of a volume needs {count} numbers (x, y, z) but got {numbers.size}."
        raise InputError(message)
    if not np.isfinite(numbers).all():
        message = f"The {name} of a volume needs finite numbers; give others."
        raise InputError(message)
    return numbers
