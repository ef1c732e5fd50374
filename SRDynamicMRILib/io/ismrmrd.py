"""Reading k-space from ISMRMRD files: fully sampled, Cartesian, of several coils.

Coordinates are those of ISMRMRD (https://ismrmrd.readthedocs.io; Inati et al. 2017, Magn Reson Med 77:411-421): LPS in
mm, a position at the centre of what a line belongs to. Readout, phase and partition encoding become columns, rows and
slices, each by a centred inverse Fourier transform that keeps the size of noise.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from ..complex_series import ComplexSeries
from ..errors import InputError
from ..geometry import Geometry
from ..volume import Series
from .coils import ComplexArray, combined, prewhitening, reference_weights
from .files import check_there, checked
from .paths import LARGEST_TEXT, check_readable
from .times import numbered, usable_times

if TYPE_CHECKING:
    import h5py

_INSTALL = 'Reading ISMRMRD files needs the package ismrmrd; install it with pip install "SRDynamicMRI[kspace]".'
_DATASET = "dataset"
_LIST = 16
"""Bytes of a record that says where a list of any length lies and, in the first four, how long it is."""

_SIEMENS_TICK = 2.5e-3
"""Seconds of a step of Siemens' time stamps; other vendors' are not documented."""

_LEAST_SHARE = 0.55
"""Share of an axis of k-space that has to be sampled for zeros in the rest."""

_NOISE = 19
_REVERSED = 22
_NOT_IMAGING = (20, 23, 24, 26, 27, 28, 29, 30, 31)
"""Flags of lines for calibration, navigation, phase correction, feedback and dummies."""

_TOLERANCE = 0.1
"""Of positions, in mm."""


@dataclass(frozen=True)
class KSpaceFacts:
    """How the images of `read_ismrmrd` were acquired.

    Parameters
    ----------
    acquired_matrix
        Sampled rows and columns ``(h, w)``, those of the images.
    full_matrix
        Rows and columns ``(H, W)`` that the scanner would make of them for the same field of view.
    coils
        Number of receive coils.
    partial_fourier
        Share of the rows of k-space that were sampled; the others are zeros.
    partial_echo, partial_slices
        The same of the columns and, in 3D, of the partitions.
    noise
        Standard deviation of the noise in either channel of the complex image; None without a noise measurement.
    """

    acquired_matrix: tuple[int, int]
    full_matrix: tuple[int, int]
    coils: int
    partial_fourier: float
    partial_echo: float
    partial_slices: float
    noise: float | None


@dataclass(frozen=True)
class _Axis:
    """An axis of k-space: `size` samples with the centre at ``size // 2``, of which `count` from `first` on are there.

    The others, at one end, are zeros.
    """

    size: int
    first: int
    count: int

    @classmethod
    def of(cls, before: int, after: int, name: str, path: Path) -> _Axis:
        """The axis with so many samples before its centre and from it on."""
        size = before + after if after - before in (0, 1) else 2 * max(before, after)
        if min(before, after) < 0 or before + after < _LEAST_SHARE * size:
            message = (
                f"{path} samples too little on one side of the centre of k-space ({before} and {after} {name}) to be "
                "filled with zeros; reconstruct it with other software."
            )
            raise InputError(message)
        return cls(size, size // 2 - before, before + after)

    @property
    def share(self) -> float:
        """Share of the axis that was sampled."""
        return self.count / self.size


@dataclass(frozen=True)
class _Space:
    """Encoding of a file, as its header says."""

    encoded_mm: tuple[float, float, float]
    reconstructed_mm: tuple[float, float, float]
    reconstructed: tuple[int, int, int]
    centres: tuple[int, int]
    vendor: str
    noise_bandwidth: float


@dataclass(frozen=True)
class _Lines:
    """Lines of k-space that belong to images: their headers, and where they lie in the file."""

    heads: NDArray[np.void]
    numbers: NDArray[np.intp]

    def of(self, name: str) -> NDArray[np.int64]:
        """An encoding counter of every line."""
        return np.asarray(self.heads["idx"][name], dtype=np.int64)

    def only(self, name: str, what: str, path: Path) -> Any:
        """A value that all lines share."""
        values = np.unique(self.heads[name], axis=0)
        if len(values) > 1:
            message = f"{path} has lines of k-space of different {what}; split it into files of one each."
            raise InputError(message)
        return values[0]


def read_ismrmrd(path: Path | str) -> tuple[ComplexSeries, KSpaceFacts]:
    """Reconstruct complex images from an ISMRMRD file.

    Repetitions and cardiac phases become time points, averages are averaged, the oversampling of the readout is
    removed. Noise is made independent between the coils where the file has a measurement of it. Images are in units of
    that noise then, and in those of the file else.

    Parameters
    ----------
    path
        HDF5 file with 2D (one or more parallel slices) or 3D Cartesian k-space.

    Returns
    -------
        Images of the acquired matrix, of which each time point is made when it is asked for, with their facts as a
        sidecar is to have them; and the facts themselves.

    Raises
    ------
    InputError
        If the file is damaged or no ISMRMRD file, is not Cartesian, lacks lines (parallel imaging), samples half of
        k-space or less, has several encodings, echoes, sets or slabs, or `ismrmrd` is not installed.

    Examples
    --------
    >>> images, facts = read_ismrmrd("scan.h5")  # doctest: +SKIP
    >>> facts.acquired_matrix  # doctest: +SKIP
    (128, 96)
    """
    path = Path(path)
    check_there(path)
    if path.is_file():
        check_readable(path)
    with _opened(path) as dataset:
        space = _space(dataset, path)
        heads = _heads(dataset, path)
        whitening, noise_sample_time = _whitening(dataset, heads, path)
    lines = _imaging_lines(heads, path)
    samples, coils = (
        int(lines.only("number_of_samples", "length", path)),
        int(lines.only("active_channels", "coils", path)),
    )
    if whitening is not None and len(whitening) != coils:
        message = f"{path} has a noise measurement of {len(whitening)} coils, but images of {coils}; leave it out."
        raise InputError(message)
    centre, before, after = (
        int(lines.only(name, "length", path)) for name in ("center_sample", "discard_pre", "discard_post")
    )
    columns = _Axis.of(centre - before, samples - after - centre, "samples", path)
    rows = _encoded(lines.of("kspace_encode_step_1"), space.centres[0], "rows", path)
    partitions = _encoded(lines.of("kspace_encode_step_2"), space.centres[1], "partitions", path)
    kept = round(columns.size * min(space.reconstructed_mm[0] / space.encoded_mm[0], 1))
    if kept < 2:
        message = f"{path} has a field of view of less than two columns; correct its header."
        raise InputError(message)
    slices, geometry, told = _geometry(lines, space, (partitions.size, rows.size, columns.size), kept, path)

    times, time_of_line = _time_points(lines, space)
    averages = _check_complete(lines, time_of_line, slices, (partitions.count, rows.count), path)
    noise = None
    if whitening is not None:
        sample_time = float(lines.heads["sample_time_us"][0])
        narrower = sample_time / noise_sample_time if min(sample_time, noise_sample_time) > 0 else 1.0
        whitening = whitening * np.float32(np.sqrt(narrower * space.noise_bandwidth))
        noise = float(1 / np.sqrt(averages))
    else:
        told = (*told, f"{path} has no noise measurement for its coils; they are combined as they are.")

    order = {number: place for place, number in enumerate(slices)}
    row_of = lines.of("kspace_encode_step_1") - lines.of("kspace_encode_step_1").min() + rows.first
    partition_of = lines.of("kspace_encode_step_2") - lines.of("kspace_encode_step_2").min() + partitions.first
    slice_of = np.array([order[number] for number in lines.of("slice")])

    def coil_images(number: int) -> ComplexArray:
        """Images ``(slices, C, H, W)`` of the coils at a time point."""
        chosen = np.flatnonzero(time_of_line == number)
        with _opened(path) as dataset:
            read = _samples(dataset, lines.numbers[chosen], coils, path)
            whole = np.zeros((len(chosen), coils, columns.size), dtype=np.complex64)
            whole[..., columns.first : columns.first + columns.count] = read[..., before : samples - after]
        start = columns.size // 2 - kept // 2
        readouts = _transformed(whole, -1)[..., start : start + kept]
        kspace = np.zeros((len(slices), partitions.size, rows.size, coils, kept), dtype=np.complex64)
        counts = np.zeros((*kspace.shape[:3], 1, 1), dtype=np.float32)
        places = slice_of[chosen], partition_of[chosen], row_of[chosen]
        np.add.at(kspace, places, readouts)
        np.add.at(counts, places, 1)
        images = _transformed(kspace / np.maximum(counts, 1), 2)
        images = _transformed(images, 1) if partitions.size > 1 else images
        by_coil = np.moveaxis(images.reshape(-1, rows.size, coils, kept), 2, 1)
        return by_coil if whitening is None else np.einsum("cd,sdyx->scyx", whitening, by_coil)

    @cache
    def weights() -> ComplexArray:
        return reference_weights(coil_images(0))

    @lru_cache(maxsize=1)
    def image(number: int) -> NDArray[np.complex64]:
        return combined(coil_images(number), weights())

    facts = KSpaceFacts(
        acquired_matrix=(rows.size, kept),
        full_matrix=_full_matrix(space, rows.size, kept),
        coils=coils,
        partial_fourier=rows.share,
        partial_echo=columns.share,
        partial_slices=partitions.share,
        noise=noise,
    )
    told = (*told, *_filled(columns, "samples of the readout"), *_filled(partitions, "partitions"))

    def series(part: Callable[[ComplexArray], NDArray[np.floating]]) -> Series:
        return Series(
            lambda number: part(image(number)),
            times,
            geometry,
            told,
            facts.acquired_matrix,
            _in_sidecar(facts),
            str(path),
        )

    images = ComplexSeries(checked(series(np.abs), path), series(np.angle))
    images.magnitude[0]  # A file that is cut short is found now, not in the middle of the work.
    return images, facts


# The file


@contextmanager
def _opened(path: Path) -> Iterator[h5py.Group]:
    """The group of an ISMRMRD file that holds header and lines; whatever goes wrong in it is a damaged file."""
    try:
        import h5py
    except ImportError as error:
        raise InputError(_INSTALL) from error
    try:
        if not path.is_file() or not h5py.is_hdf5(path):
            message = f"{path} is damaged or not an ISMRMRD file, which is HDF5; convert the raw data to ISMRMRD."
            raise InputError(message)
        with h5py.File(path, "r") as file:
            groups = [name for name in file if {"xml", "data"} <= set(getattr(file[name], "keys", tuple)())]
            if not groups:
                message = f"{path} holds no k-space as ISMRMRD has it (xml and data); convert the raw data to ISMRMRD."
                raise InputError(message)
            if len(groups) > 1 and _DATASET not in groups:
                message = f"{path} holds {len(groups)} datasets; name the one to read {_DATASET}."
                raise InputError(message)
            yield file[_DATASET if _DATASET in groups else groups[0]]
    except (InputError, MemoryError):
        raise
    except Exception as error:  # HDF5 and its readers raise whatever they like for files that are damaged
        raise InputError(_damaged(path)) from error


def _damaged(path: Path) -> str:
    return f"{path} is damaged or cut short; copy or export it again."


def _space(dataset: h5py.Group, path: Path) -> _Space:
    """What the XML header says of the encoding."""
    try:
        import h5py
        from ismrmrd.xsd import CreateFromDocument
    except ImportError as error:
        raise InputError(_INSTALL) from error
    stored = dataset["xml"]
    kind = h5py.check_string_dtype(stored.dtype)
    if stored.shape != (1,) or kind is None or kind.length is not None:
        raise InputError(_damaged(path))
    length = int(_records(stored, _LIST, path)[0, :4].view("<u4")[0])
    if length > min(path.stat().st_size, LARGEST_TEXT):
        raise InputError(_damaged(path))
    text = stored[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of values of the wrong type, which fail below
        header = CreateFromDocument(text)
    if len(header.encoding) != 1:
        message = f"{path} has {len(header.encoding)} encodings, of which only one can be read; split it into files."
        raise InputError(message)
    encoding = header.encoding[0]
    if encoding.trajectory.value != "cartesian":
        message = (
            f"{path} has a {encoding.trajectory.value} trajectory, and only Cartesian k-space can be read; reconstruct "
            "it with other software."
        )
        raise InputError(message)
    encoded, reconstructed = encoding.encodedSpace, encoding.reconSpace
    limits = encoding.encodingLimits
    centres = [
        encoded_size // 2 if limit is None else int(limit.center)
        for limit, encoded_size in (
            (limits.kspace_encoding_step_1, int(encoded.matrixSize.y)),
            (limits.kspace_encoding_step_2, int(encoded.matrixSize.z)),
        )
    ]
    system = header.acquisitionSystemInformation
    bandwidth = None if system is None else system.relativeReceiverNoiseBandwidth
    sizes = [tuple(float(getattr(s.fieldOfView_mm, axis)) for axis in "xyz") for s in (encoded, reconstructed)]
    matrix = tuple(int(getattr(reconstructed.matrixSize, axis)) for axis in "xyz")
    if not all(0 < size < np.inf for size in (*sizes[0], *sizes[1])) or min(matrix) < 1:
        message = f"{path} does not say how large its field of view and its matrix are; correct its header."
        raise InputError(message)
    return _Space(
        (sizes[0][0], sizes[0][1], sizes[0][2]),
        (sizes[1][0], sizes[1][1], sizes[1][2]),
        (matrix[0], matrix[1], matrix[2]),
        (centres[0], centres[1]),
        str((system and system.systemVendor) or ""),
        float(bandwidth) if bandwidth and bandwidth > 0 else 1.0,
    )


def _heads(dataset: h5py.Group, path: Path) -> NDArray[np.void]:
    """Headers of all lines, which have as many samples as they say."""
    import h5py

    data, size = dataset["data"], path.stat().st_size
    lists = [h5py.check_vlen_dtype(data.dtype[name]) for name in ("data", "traj")]
    kind = data.id.get_type()
    of_floats = all(each == np.dtype("<f4") for each in lists)
    if data.ndim != 1 or not of_floats or data.dtype["head"].hasobject or data.size * kind.get_size() > size:
        raise InputError(_damaged(path))
    records = _records(data, kind.get_size(), path)

    def member(name: bytes, length: int) -> NDArray[np.uint8]:
        place = kind.get_member_offset(kind.get_member_index(name))
        return records[:, place : place + length].copy()

    dtype = data.dtype["head"]
    heads: NDArray[np.void] = member(b"head", dtype.itemsize).view(dtype)[:, 0]
    samples = heads["number_of_samples"].astype(np.int64)
    for name, each in (
        (b"data", 2 * heads["active_channels"].astype(np.int64)),
        (b"traj", heads["trajectory_dimensions"]),
    ):
        lengths = member(name, 4).view("<u4")[:, 0]
        if not np.array_equal(lengths, samples * each) or 4 * lengths.sum(dtype=np.int64) > size:
            raise InputError(_damaged(path))
    return heads


def _records(data: h5py.Dataset, size: int, path: Path) -> NDArray[np.uint8]:
    """Records ``(N, size)`` as the file has them.

    Lists of any length, which lie elsewhere, are a length and a place in them. HDF5 would take as much memory as the
    length of a damaged one says before it finds that nothing is there, also where other parts of the record are read.
    """
    if data.id.get_create_plist().get_nfilters():
        message = f"{path} is compressed; copy it with h5repack -f NONE {path.name} OUT.h5, and give that file."
        raise InputError(message)
    records = np.zeros((data.size, size), dtype=np.uint8)
    each = data.chunks[0] if data.chunks else data.size
    with path.open("rb") as file:
        for first in range(0, data.size, each):
            start = data.id.get_chunk_info_by_coord((first,)).byte_offset if data.chunks else data.id.get_offset()
            count = min(each, data.size - first)
            file.seek(start)
            records[first : first + count] = np.frombuffer(file.read(count * size), np.uint8).reshape(count, size)
    return records


def _flagged(heads: NDArray[np.void], *flags: int) -> NDArray[np.bool_]:
    mask = np.uint64(sum(1 << (flag - 1) for flag in flags))
    return np.asarray((heads["flags"] & mask) != 0)


def _whitening(dataset: h5py.Group, heads: NDArray[np.void], path: Path) -> tuple[NDArray[np.complex64] | None, float]:
    """Prewhitening matrix by the noise measurement, if there is one, and the time of one of its samples in us."""
    numbers = np.flatnonzero(_flagged(heads, _NOISE))
    if not len(numbers):
        return None, 0.0
    samples = [_samples(dataset, line, int(heads["active_channels"][line[0]]), path)[0] for line in numbers[:, None]]
    return prewhitening(np.concatenate(samples, axis=1)), float(heads["sample_time_us"][numbers[0]])


def _samples(dataset: h5py.Group, numbers: NDArray[np.intp], coils: int, path: Path) -> NDArray[np.complex64]:
    """Samples ``(lines, C, S)`` of some lines, all of one length."""
    stored = dataset["data"].fields("data")
    pairs = np.stack([np.asarray(stored[number], dtype=np.float32) for number in numbers])
    if not np.isfinite(pairs).all():
        message = f"{path} has samples of k-space that are not finite (NaN or infinite); convert the raw data again."
        raise InputError(message)
    return pairs.view(np.complex64).reshape(len(numbers), coils, -1)


def _imaging_lines(heads: NDArray[np.void], path: Path) -> _Lines:
    """Lines that images are made of, checked to be of one kind."""
    numbers = np.flatnonzero(~_flagged(heads, _NOISE, *_NOT_IMAGING))
    lines = _Lines(heads[numbers], numbers)
    if not len(numbers):
        message = f"{path} has no lines of k-space for images; convert the raw data again."
        raise InputError(message)
    if _flagged(lines.heads, _REVERSED).any():
        message = f"{path} has lines that were read backwards, as in EPI, which cannot be read; use other software."
        raise InputError(message)
    if np.any(lines.heads["encoding_space_ref"]):
        message = f"{path} has lines of another encoding than the first; split it into files."
        raise InputError(message)
    for counter, what in (("contrast", "echoes"), ("set", "sets")):
        if (count := len(np.unique(lines.of(counter)))) > 1:
            message = f"{path} has {count} {what}, of which only one can be read; split it into files."
            raise InputError(message)
    return lines


# What was acquired


def _encoded(steps: NDArray[np.int64], centre: int, name: str, path: Path) -> _Axis:
    """Axis of the encoding steps of all lines; a single one is no encoding."""
    first, last = int(steps.min()), int(steps.max())
    return _Axis(1, 0, 1) if first == last else _Axis.of(centre - first, last - centre + 1, name, path)


def _time_points(lines: _Lines, space: _Space) -> tuple[list[float], NDArray[np.intp]]:
    """Times in seconds, and the number of the time point of every line: by repetition, then by cardiac phase."""
    counters = np.stack([lines.of("repetition"), lines.of("phase")], axis=1)
    points, numbers = np.unique(counters, axis=0, return_inverse=True)
    numbers = numbers.reshape(-1)
    times: list[float] = []
    if space.vendor.upper().startswith("SIEMENS") and len(np.unique(points[:, 1])) == 1:
        stamps = np.asarray(lines.heads["acquisition_time_stamp"], dtype=np.float64) * _SIEMENS_TICK
        means = np.bincount(numbers, stamps) / np.bincount(numbers)
        times = usable_times((means - means[0]).tolist(), len(points))
    return times or numbered(len(points)), numbers


def _check_complete(
    lines: _Lines, time_of_line: NDArray[np.intp], slices: list[int], counts: tuple[int, int], path: Path
) -> int:
    """Raise `InputError` unless every time point has all lines of all slices; how often each was averaged."""
    names = ("slice", "kspace_encode_step_2", "kspace_encode_step_1")
    keys = np.stack([time_of_line, *(lines.of(name) for name in names)], axis=1)
    found, times_read = np.unique(keys, axis=0, return_counts=True)
    each = len(slices) * counts[0] * counts[1]
    for number, there in enumerate(np.bincount(found[:, 0])):
        if there < each:
            message = (
                f"{path} is undersampled, as in parallel imaging: time point {number} lacks {each - there} of {each} "
                "lines of k-space; reconstruct it with other software."
            )
            raise InputError(message)
    return int(times_read.min())


def _geometry(
    lines: _Lines, space: _Space, encoded: tuple[int, int, int], columns: int, path: Path
) -> tuple[list[int], Geometry, tuple[str, ...]]:
    """Numbers of the slices in their order, the geometry of the images, and what a user has to know of it."""
    partitions, rows, samples = encoded
    axes = np.array([lines.only(f"{axis}_dir", "orientation", path) for axis in ("read", "phase", "slice")]).T
    doubts: tuple[str, ...] = ()
    if not axes.any():
        axes = np.eye(3)
        doubts = (f"{path} does not say how its slices lie; their axes are taken for those of the patient.",)
    if not np.allclose(axes.T @ axes, np.eye(3), atol=1e-3):
        message = f"{path} has axes that are not at right angles; correct its header."
        raise InputError(message)
    positions = {}
    for number in np.unique(lines.of("slice")):
        of_slice = lines.heads["position"][lines.of("slice") == number].astype(np.float64)
        if not np.isfinite(of_slice).all() or np.abs(of_slice - of_slice[0]).max() > _TOLERANCE:
            message = f"{path} has slices that move between lines of k-space; split it into files of one position each."
            raise InputError(message)
        positions[int(number)] = of_slice[0]
    if partitions > 1 and len(positions) > 1:
        message = f"{path} has {len(positions)} slabs, of which only one can be read; split it into files."
        raise InputError(message)
    slices = sorted(positions, key=lambda number: float(positions[number] @ axes[:, 2]))
    places = np.array([positions[number] for number in slices])
    thickness = space.encoded_mm[2] / partitions
    if len(slices) > 1:
        steps = np.diff(places, axis=0)
        thickness = float(steps.mean(axis=0) @ axes[:, 2])
        if thickness < _TOLERANCE or np.abs(steps - thickness * axes[:, 2]).max() > _TOLERANCE:
            message = f"{path} has slices that are not parallel or not evenly spaced; split it into files."
            raise InputError(message)
    spacing = (space.encoded_mm[0] / samples, space.encoded_mm[1] / rows, thickness)
    middle = np.array([columns // 2, rows // 2, partitions // 2])
    origin = places[0] - axes @ (np.array(spacing) * middle)
    depth = len(slices) * partitions
    x, y, z = origin.tolist()
    return slices, Geometry((depth, rows, columns), spacing, (x, y, z), tuple(axes.ravel().tolist())), doubts


def _full_matrix(space: _Space, rows: int, columns: int) -> tuple[int, int]:
    """Rows and columns that the scanner would make of the field of view of the images, at least those acquired."""
    more = space.encoded_mm[1] / space.reconstructed_mm[1]
    return max(round(space.reconstructed[1] * more), rows), max(space.reconstructed[0], columns)


def _filled(axis: _Axis, what: str) -> tuple[str, ...]:
    if axis.share == 1:
        return ()
    return (f"Only {axis.share:.0%} of the {what} were acquired; the others are zeros, which blurs a little.",)


def _in_sidecar(facts: KSpaceFacts) -> dict[str, Any]:
    """The facts as a sidecar has them."""
    kspace = {
        "acquired_matrix": list(facts.acquired_matrix),
        "coils": facts.coils,
        "partial_fourier": facts.partial_fourier,
        "partial_echo": facts.partial_echo,
        "partial_slices": facts.partial_slices,
        "noise": facts.noise,
    }
    larger = facts.full_matrix != facts.acquired_matrix
    return {**({"full_matrix": list(facts.full_matrix)} if larger else {}), "kspace": kspace}


def _transformed(kspace: ComplexArray, axis: int) -> ComplexArray:
    """Centred inverse Fourier transform along an axis, which keeps the size of noise."""
    shifted = fft.ifft(fft.ifftshift(kspace, axes=axis), axis=axis, norm="ortho")
    image: ComplexArray = fft.fftshift(shifted, axes=axis)
    return image
