"""How much of k-space was acquired: matrices, sampling, and the operators that follow from them.

An `Acquisition` is a linear operator D from real images of the full matrix to real images of the stored matrix. It has
three steps: keep the central rectangle of k-space (`kspace.crop_kspace`), weight its samples by what the sampling
pattern measures, zero-fill to the stored matrix. Each step is diagonal in spatial frequency, so the adjoint D*, the
pseudoinverse D+ and the projection on data consistency have three simple steps, too.

Three details are needed for ``D(project(x, y)) = y`` to hold for every sample:

- Keeping an even number M of samples keeps frequency -M/2 but not +M/2. As the image is real, D sees only the mean of
  the two, and D+ writes the acquired value to both of them; the plain replacement of the centre would break one row
  and one column.
- A real image holds the same information at opposite frequencies. Where a pattern samples only one of the two (partial
  Fourier), D is the real part of the zero-filled reconstruction, which has half the signal there: its weight is 1/2. So
  partial Fourier loses nothing of a real image, and D+ doubles what D has halved, noise included. A complex image has
  no such symmetry; sample its k-space with `Acquisition.mask` instead.
- A larger stored matrix adds nothing: D+ first brings the image back to the acquired matrix.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..geometry import FloatArray, Geometry
from ..volume import Images, Series, Volume
from .fat import FatPhase
from .kspace import (
    crop_kspace,
    filter_kspace,
    opposite_frequencies,
    pad_kspace,
    unpad_kspace,
    zero_fill_adjoint,
    zero_fill_kspace,
)
from .matrices import Matrix, centre, centre_of_axes, full_matrix_of, matrix_at_resolution, size_in_words
from .sampling import Mask, check_shutter, frequencies, sampling_mask
from .windows import NO_WINDOW, Window

_LEAST_WEIGHT = 1e-3
"""What a window weighs less cannot be told from rounding and counts as not measured."""


@dataclass(frozen=True)
class Acquisition:
    """What a scanner measures of an image, and the image that it stores.

    All matrices are rows (phase encoding) and columns (read). Images are real float32 arrays ``(..., rows, columns)``;
    leading axes, such as slices, are independent of each other.

    D is the linear part. Noise and the magnitude, which a scanner takes of a complex image, are not linear; `simulate`
    has them.

    Parameters
    ----------
    acquired_matrix
        Sampled rows and columns ``(h, w)``: the centre of k-space.
    full_matrix
        Rows and columns ``(H, W)`` of the high-resolution image.
    stored_matrix
        Rows and columns ``(m, n)`` of the image in the file, which the scanner may have zero-filled. Without it the
        acquired ones.
    shutter
        Name of the sampling pattern within the acquired matrix, one of `sampling.SHUTTERS`.
    partial_fourier
        Share of the phase-encoding lines that are sampled, above 0.5 and at most 1.
    shared_nyquist
        Of a zero-filled image with an even number of acquired rows or columns: whether their outermost frequency lies
        half at either end of k-space, as sinc interpolation leaves it, or whole at both.
    window
        How the samples are weighed before an image is made of them.
    noise
        Standard deviation of the noise, in either channel of the complex image at the acquired matrix before the
        window, in the unit of the image.
    magnitude
        Whether the magnitude of a complex image is stored; else the image keeps its sign.
    fat
        Whether fat and water are in phase or opposed; of a magnitude image, opposed ones have cancelled.

    Raises
    ------
    InputError
        If the matrices do not fit into each other, there is no such pattern, or partial Fourier or noise is out of its
        range.

    Examples
    --------
    >>> acquisition = Acquisition.centre((256, 192), 0.25)
    >>> acquisition.acquired_matrix, acquisition.fraction
    ((128, 96), 0.25)
    >>> acquisition.downsample(np.ones((40, 256, 192))).shape
    (40, 128, 96)
    """

    acquired_matrix: Matrix
    full_matrix: Matrix
    stored_matrix: Matrix
    shutter: str
    partial_fourier: float
    shared_nyquist: tuple[bool, bool]
    window: Window
    noise: float
    magnitude: bool
    fat: FatPhase

    def __init__(
        self,
        acquired_matrix: Matrix,
        full_matrix: Matrix,
        stored_matrix: Matrix | None = None,
        shutter: str = "rectangle",
        partial_fourier: float = 1.0,
        shared_nyquist: tuple[bool, bool] = (True, True),
        window: Window = NO_WINDOW,
        noise: float = 0.0,
        magnitude: bool = False,
        fat: FatPhase = "unknown",
    ) -> None:
        acquired, full = _matrix(acquired_matrix), _matrix(full_matrix)
        stored = acquired if stored_matrix is None else _matrix(stored_matrix)
        for name, matrix in (("full", full), ("stored", stored)):
            if min(acquired) < 1 or acquired[0] > matrix[0] or acquired[1] > matrix[1]:
                message = (
                    f"An acquired matrix of {size_in_words(acquired)} does not fit into a {name} matrix of "
                    f"{size_in_words(matrix)}; give a matrix from 1x1 to that size."
                )
                raise InputError(message)
        if not 0.5 < partial_fourier <= 1.0:
            message = f"Partial Fourier must be above 0.5 and at most 1, but it is {partial_fourier:g}."
            raise InputError(message)
        check_shutter(shutter)
        if not 0 <= noise < math.inf:
            message = f"The noise must be 0 or more, but it is {noise:g}; give its standard deviation."
            raise InputError(message)
        object.__setattr__(self, "acquired_matrix", acquired)
        object.__setattr__(self, "full_matrix", full)
        object.__setattr__(self, "stored_matrix", stored)
        object.__setattr__(self, "shutter", shutter)
        object.__setattr__(self, "partial_fourier", partial_fourier)
        object.__setattr__(self, "shared_nyquist", shared_nyquist)
        object.__setattr__(self, "window", window)
        object.__setattr__(self, "noise", float(noise))
        object.__setattr__(self, "magnitude", magnitude)
        object.__setattr__(self, "fat", fat)

    @classmethod
    def centre(
        cls,
        full_matrix: Matrix,
        fraction: float | None = None,
        *,
        rows: float | None = None,
        columns: float | None = None,
        stored_matrix: Matrix | None = None,
        shutter: str = "rectangle",
        partial_fourier: float = 1.0,
    ) -> Acquisition:
        """Keep the centre of k-space: one fraction of its area, or separate fractions of rows and columns.

        One fraction keeps the aspect ratio. Lines are taken off symmetrically until at most that fraction is left
        (MRUnder's centre-ratio mask; paper section 2.1), so odd sizes stay odd and even ones even: 256x192 gives
        128x96, 80x60 and 64x48 for 0.25, 0.10 and 0.0625.

        Parameters
        ----------
        full_matrix
            Rows and columns ``(H, W)``.
        fraction
            Share of in-plane k-space to acquire, in (0, 1].
        rows, columns
            Instead of `fraction`: share of the rows and of the columns, in (0, 1]; the one that is not given is 1.
        stored_matrix, shutter, partial_fourier
            As for `Acquisition`. `fraction` is that of the rectangle, to which they do not count.

        Raises
        ------
        InputError
            If a fraction is outside (0, 1] or leaves nothing of this matrix, or both ways or none of them are given.
        """
        separate = rows is not None or columns is not None
        if separate == (fraction is not None):
            raise InputError("Give either one fraction of k-space or separate fractions of its rows and columns.")
        if fraction is None:
            acquired = centre_of_axes(full_matrix, (1.0 if rows is None else rows, 1.0 if columns is None else columns))
        else:
            acquired = centre(full_matrix, fraction)
        return cls(acquired, full_matrix, stored_matrix, shutter, partial_fourier)

    @classmethod
    def between(cls, full: Geometry, low_resolution: Geometry) -> Acquisition:
        """Acquisition that gives a planning scan the in-plane resolution of a series.

        The fields of view may differ; the voxel sizes count.

        Parameters
        ----------
        full
            Geometry of the planning scan.
        low_resolution
            Geometry of the series.

        Raises
        ------
        InputError
            If the planning scan's voxels are larger than those of the series.
        """
        rows, columns = matrix_at_resolution(full, low_resolution)
        if rows > full.shape[1] or columns > full.shape[2]:
            message = (
                f"The planning scan has lower resolution ({full.spacing[0]:.2f} x {full.spacing[1]:.2f} mm) than "
                f"the series "
                f"({low_resolution.spacing[0]:.2f} x {low_resolution.spacing[1]:.2f} mm); give a sharper planning scan."
            )
            raise InputError(message)
        return cls((rows, columns), (full.shape[1], full.shape[2]))

    @classmethod
    def from_fraction_of_acquired(cls, acquired_matrix: Matrix, fraction: float) -> Acquisition:
        """Guess the full matrix of which a fraction was acquired: what `centre` was given, as far as that can be known.

        Several full matrices may lead to the same acquired one; scanners prefer those with large powers of two, and so
        does this.

        Parameters
        ----------
        acquired_matrix
            Rows and columns ``(h, w)``.
        fraction
            Share of in-plane k-space that they are, in (0, 1].

        Raises
        ------
        InputError
            If the fraction is outside (0, 1].
        """
        return cls(acquired_matrix, full_matrix_of(acquired_matrix, fraction))

    @property
    def fraction(self) -> float:
        """Share of in-plane k-space that the acquired matrix is; see `sampled_fraction`."""
        (h, w), (height, width) = self.acquired_matrix, self.full_matrix
        return h * w / (height * width)

    @property
    def sampled_fraction(self) -> float:
        """Share of in-plane k-space that is sampled: `fraction` less what shutter and partial Fourier leave out."""
        return int(self.mask.sum()) / (self.full_matrix[0] * self.full_matrix[1])

    @property
    def is_linear(self) -> bool:
        """Whether `downsample` is all that happens to an image without a phase: no noise, and the sign kept."""
        return not self.magnitude and self.noise == 0

    @property
    def cut(self) -> Acquisition:
        """The centre of k-space alone: all of it sampled, the sign kept, no window and no noise."""
        return Acquisition(self.acquired_matrix, self.full_matrix)

    def of_other_scan(self, acquired_matrix: Matrix, full_matrix: Matrix, intensity: float) -> Acquisition:
        """The same acquisition of a scan with another field of view or unit.

        Parameters
        ----------
        acquired_matrix, full_matrix
            Those of the other scan, see `between`. The stored matrix keeps its ratio to the acquired one.
        intensity
            How many times brighter the other scan is.
        """
        ratios = (m / h for m, h in zip(self.stored_matrix, self.acquired_matrix, strict=True))
        rows, columns = (max(n, round(ratio * n)) for ratio, n in zip(ratios, acquired_matrix, strict=True))
        return replace(
            self,
            acquired_matrix=acquired_matrix,
            full_matrix=full_matrix,
            stored_matrix=(rows, columns),
            noise=self.noise * intensity,
        )

    @cached_property
    def mask(self) -> Mask:
        """Boolean array ``(h, w)`` of centred k-space: the samples that are measured."""
        mask = sampling_mask(self.acquired_matrix, self.shutter, self.partial_fourier)
        mask.flags.writeable = False
        return mask

    @cached_property
    def sample_weights(self) -> FloatArray:
        """What every sample ``(h, w)`` of a complex image counts: the window where it is measured, 0 elsewhere."""
        weights: FloatArray = self.mask.astype(np.float32)
        if not self.window.is_flat:
            weights *= self.window.weights(self.acquired_matrix)
            weights[weights < _LEAST_WEIGHT] = 0
        weights.flags.writeable = False
        return weights

    @cached_property
    def weights(self) -> FloatArray:
        """What a real image keeps of every frequency ``(h, w)``: the mean of `sample_weights` there and opposite.

        Without a window 1 where both are sampled, 1/2 where only one of them is, 0 where none is.
        """
        weights: FloatArray = (self.sample_weights + opposite_frequencies(self.sample_weights)) / np.float32(2)
        weights.flags.writeable = False
        return weights

    @cached_property
    def consistency_weights(self) -> FloatArray:
        """How far `project` moves every frequency ``(h, w)`` to the data: 1 where it was sampled, 0 elsewhere.

        Of a magnitude image, it falls from 1 in the centre to 0 at the edge of either axis, with a window faster: the
        phase that is lost and noise spoil the outer samples first (Studies/consistency.py).
        """
        weights = (self.weights > 0).astype(np.float32)
        if self.magnitude:
            rows, columns = frequencies(self.acquired_matrix)
            weights = np.clip(1 - np.hypot(rows, columns), 0, 1).astype(np.float32) * self.weights
        weights.flags.writeable = False
        return weights

    def downsample(self, image: NDArray[np.floating]) -> FloatArray:
        """Apply D: the image that is stored of ``(..., H, W)``, ``(..., m, n)`` with the same intensities.

        Raises
        ------
        InputError
            If the image does not have the full matrix.
        """
        check_matrix(image, self.full_matrix, "full")
        acquired = self._filter(crop_kspace(image, self.acquired_matrix), self.weights)
        if self.stored_matrix == self.acquired_matrix:
            return acquired
        return zero_fill_kspace(acquired, self.stored_matrix, self.shared_nyquist)

    def adjoint(self, image: NDArray[np.floating]) -> FloatArray:
        """Apply D*, from ``(..., m, n)`` to ``(..., H, W)``: ``<D x, y> = <x, D* y>``.

        Raises
        ------
        InputError
            If the image does not have the stored matrix.
        """
        check_matrix(image, self.stored_matrix, "stored")
        acquired: FloatArray = np.asarray(image, dtype=np.float32)
        if self.stored_matrix != self.acquired_matrix:
            acquired = zero_fill_adjoint(acquired, self.acquired_matrix, self.shared_nyquist)
        return np.float32(self.fraction) * pad_kspace(self._filter(acquired, self.weights), self.full_matrix)

    def pseudoinverse(self, image: NDArray[np.floating]) -> FloatArray:
        """Apply D+, from ``(..., m, n)`` to ``(..., H, W)``: the smallest image that D takes to this one.

        Of an image that D cannot give, the part that it can.

        Raises
        ------
        InputError
            If the image does not have the stored matrix.
        """
        return self._fill(self._filter(self.undo_zero_filling(image), self._inverse_weights))

    def project(self, estimate: NDArray[np.floating], image: NDArray[np.floating]) -> FloatArray:
        """Make an estimate consistent with a stored image, as far as `consistency_weights` say.

        Where the sign was kept, the orthogonal projection on the images x with ``D x = image``. If the truth is one of
        them (samples free of noise), the projection cannot raise the L2 error.

        Parameters
        ----------
        estimate
            Image ``(..., H, W)``.
        image
            Stored image ``(..., m, n)`` of the same field of view.

        Returns
        -------
            The projected estimate ``(..., H, W)``.

        Raises
        ------
        InputError
            If an image does not have its matrix.
        """
        missing = self.undo_zero_filling(image - self.downsample(estimate))
        missing = self._filter(missing, self.consistency_weights * self._inverse_weights)
        return np.asarray(estimate + self._fill(missing), dtype=np.float32)

    def undo_zero_filling(self, image: NDArray[np.floating]) -> FloatArray:
        """Bring a stored image ``(..., m, n)`` back to the acquired matrix ``(..., h, w)``.

        Nothing is lost of a signed image. Of a magnitude image, what leaked beyond the acquired matrix is left out.

        Raises
        ------
        InputError
            If the image does not have the stored matrix.
        """
        check_matrix(image, self.stored_matrix, "stored")
        if self.stored_matrix == self.acquired_matrix:
            return np.asarray(image, dtype=np.float32)
        return unpad_kspace(image, self.acquired_matrix, self.shared_nyquist)

    def at_acquired_matrix(self, series: Series) -> Series:
        """Bring a stored series back to the acquired matrix; sample ``N // 2`` keeps its place.

        See `undo_zero_filling`. A series that was not zero-filled is returned itself.
        """
        if self.stored_matrix == self.acquired_matrix:
            return series
        geometry = series.geometry.with_matrix(self.acquired_matrix)
        return series.map(lambda volume: Volume(self.undo_zero_filling(volume.data), geometry), geometry)

    def low_resolution_geometry(self, full: Geometry) -> Geometry:
        """Geometry of the stored image of a volume with this geometry."""
        return full.with_matrix(self.stored_matrix)

    def effective_resolution(self, geometry: Geometry) -> tuple[float, float]:
        """In-plane voxel size in mm ``(x, y)`` of the acquired matrix (paper, Table 2).

        Parameters
        ----------
        geometry
            Any geometry over the field of view: of the full, the acquired or the stored matrix.
        """
        rows, columns = self.acquired_matrix
        return geometry.spacing[0] * geometry.shape[2] / columns, geometry.spacing[1] * geometry.shape[1] / rows

    def acquisition_time(
        self,
        slices: int,
        repetition_time: float,
        *,
        phase_oversampling: float = 0.0,
        slice_oversampling: float = 0.0,
        slice_resolution: float = 1.0,
        acceleration: float = 1.0,
    ) -> float:
        """Time of one Cartesian 3D volume: sampled lines times slice-encoding steps times repetition time.

        Paper, equation 3. Its phase resolution is the share of the full matrix's rows that is acquired.

        Parameters
        ----------
        slices
            Number of slices (partitions).
        repetition_time
            In milliseconds.
        phase_oversampling, slice_oversampling
            Share measured beyond the field of view, 0.1 for 10%.
        slice_resolution
            Share of the nominal resolution measured, 0.75 for 75%.
        acceleration
            Parallel imaging factor in the phase-encoding direction (GRAPPA).

        Returns
        -------
            Seconds.

        Raises
        ------
        InputError
            If a number is not positive.
        """
        if min(slices, repetition_time, slice_resolution, acceleration) <= 0:
            raise InputError("Slices, repetition time, slice resolution and acceleration must be above zero.")
        lines = int(self.mask.any(axis=1).sum()) * (1 + phase_oversampling) / acceleration
        partitions = slices * (1 + slice_oversampling) * slice_resolution
        return math.floor(lines + 0.5) * math.floor(partitions + 0.5) * repetition_time / 1000

    @cached_property
    def _inverse_weights(self) -> FloatArray:
        """Undo `weights` where they are not 0."""
        return np.divide(1, self.weights, out=np.zeros_like(self.weights), where=self.weights > 0)

    def _filter(self, image: FloatArray, weights: FloatArray) -> FloatArray:
        """Weigh the k-space of an image ``(..., h, w)``; where all weights are 1, the image itself, to the last bit."""
        return image if weights.min() == weights.max() == 1 else filter_kspace(image, weights)

    def _fill(self, acquired: FloatArray) -> FloatArray:
        """Pseudoinverse of `crop_kspace`: both ends of an even axis get the whole outermost frequency."""
        return pad_kspace(acquired, self.full_matrix, nyquist=2.0)


def downsample(images: Images, fraction: float) -> Images:
    """Volume or series that a shorter acquisition would give: the centre of k-space without zero-padding.

    Paper section 2.1. The result is a smaller image with larger voxels and the same intensities; its origin
    moves, because sample ``N // 2`` is what keeps its place.

    Parameters
    ----------
    images
        High-resolution volume ``(D, H, W)``, or a series, of which each time point is made when it is asked for.
    fraction
        Share of in-plane k-space to acquire, in (0, 1].

    Raises
    ------
    InputError
        If the fraction is outside (0, 1] or leaves nothing of the matrix.
    """
    shape = images.geometry.shape
    acquisition = Acquisition.centre((shape[1], shape[2]), fraction)
    geometry = acquisition.low_resolution_geometry(images.geometry)

    def low_resolution(volume: Volume) -> Volume:
        return Volume(acquisition.downsample(volume.data), geometry)

    return images.map(low_resolution, geometry) if isinstance(images, Series) else low_resolution(images)


def data_consistency(image: NDArray[np.floating], acquired: NDArray[np.floating]) -> FloatArray:
    """Replace the centre of an image's k-space by what was acquired.

    Parameters
    ----------
    image
        Estimate ``(..., H, W)``.
    acquired
        Low-resolution image ``(..., h, w)`` of the same field of view.

    Returns
    -------
        The projected estimate ``(..., H, W)``.

    Raises
    ------
    InputError
        If the low-resolution image has more rows or columns than the estimate.
    """
    return acquisition_of(image, acquired).project(image, acquired)


def acquisition_of(image: NDArray[np.generic], acquired: NDArray[np.generic]) -> Acquisition:
    """Acquisition that leads from an image ``(..., H, W)`` to one ``(..., h, w)`` of the same field of view."""
    return Acquisition((acquired.shape[-2], acquired.shape[-1]), (image.shape[-2], image.shape[-1]))


def _matrix(size: Matrix) -> Matrix:
    rows, columns = size
    return int(rows), int(columns)


def check_matrix(image: NDArray[np.floating], matrix: Matrix, name: str) -> None:
    """Raise `InputError` unless an image ``(..., rows, columns)`` has the matrix of an acquisition of that name."""
    found = tuple(image.shape[-2:])
    if found != matrix:
        message = (
            f"The image has {size_in_words(found)} rows and columns, but the {name} matrix of the acquisition is "
            f"{size_in_words(matrix)}; give an image of that matrix."
        )
        raise InputError(message)
