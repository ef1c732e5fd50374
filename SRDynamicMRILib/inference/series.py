"""Super-resolution of a whole series: every finished time point is kept, and an interrupted run can go on."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import torch

from .. import __version__
from ..acquisition.acquisition import Acquisition
from ..acquisition.complex_image import complex_consistency
from ..acquisition.consistency import Consistency, consistency
from ..acquisition.kspace import ComplexArray
from ..complex_series import ComplexSeries
from ..errors import InputError
from ..geometry import Geometry
from ..io.files import read_volume, write_volume
from ..io.image_files import temporary_prefix, written_whole
from ..io.paths import read_bounded
from ..io.times import frames_text
from ..models.checkpoints import Model, file_sha256
from ..process.distributed import is_first, share, wait
from ..progress import Progress
from ..volume import Series, Volume
from .complex_images import super_resolve_complex
from .suited import keeps_acquired
from .super_resolution import super_resolve
from .tiling import Inference

_MANIFEST = "job.json"
_PART = re.compile(r"frame_\d{4,}\.(nii|nii\.gz|sha256)|\.writing-.*", re.DOTALL)
"""Name of what else is in the folder."""

_KEYS = frozenset({"version", "input", "model", "grid"})
"""What every `job_description` has."""

_LARGEST_RESIDUAL = 1e-3
"""Where the acquired k-space is put back; rounding makes one below 1e-5."""

_CREDIBLE = 0.5
"""Elsewhere: beyond it, the result is another image."""

P = ParamSpec("P")
T = TypeVar("T")

Acquired = Volume | ComplexArray
"""A time point of a series, or of a complex one."""


@dataclass(frozen=True)
class FrameFolder:
    """Folder with the finished time points of one job, each a complete file.

    Parameters
    ----------
    path
        The folder.
    """

    path: Path

    @classmethod
    def beside(cls, output: Path) -> FrameFolder:
        """Return the folder that belongs to an output."""
        return cls(output.with_name(output.name + ".frames"))

    def file(self, number: int) -> Path:
        """File of time point `number`; not compressed, as it is read once more and then deleted."""
        return self.path / f"frame_{number:04d}.nii"

    def begin(self, job: str, resume: bool) -> None:
        """Make the folder for a job: as it is if it holds the same job and is to be resumed, else empty.

        Raises
        ------
        InputError
            If the folder cannot be made, holds other things, or belongs to another job that was to be resumed.
        """
        manifest = self.path / _MANIFEST
        if self.path.exists():
            if not self._is_ours():
                message = (
                    f"{self.path} is in the way and was not made by this software; move it or choose another output."
                )
                raise InputError(message)
            if resume:
                if read_bounded(manifest) != job.encode():
                    message = (
                        f"The time points in {self.path} come from another input, model or setting, so they cannot be "
                        "resumed; run without --resume to start anew."
                    )
                    raise InputError(message)
                for cut_short in self.path.glob(".writing-*"):
                    shutil.rmtree(cut_short, ignore_errors=True)
                return
        # Never without its manifest, not even where the process is killed: it would be taken for someone else's.
        with written_whole(self.path) as temporary:
            temporary.mkdir()
            (temporary / _MANIFEST).write_bytes(job.encode())

    def finish(self, number: int, volume: Volume) -> None:
        """Write a time point, with a hash that binds its file to the job."""
        with written_whole(self.file(number)) as temporary:
            write_volume(volume, temporary)
            temporary.with_name(self._hash_file(number).name).write_text(self._hash(temporary), encoding="ascii")

    def finished(self, number: int, grid: Geometry) -> Volume | None:
        """A time point ``(D, H, W)`` that this job has finished; None if there is none, or its file was changed."""
        try:
            if read_bounded(self._hash_file(number)) != self._hash(self.file(number)).encode("ascii"):
                return None
            volume = read_volume(self.file(number))
        except (InputError, OSError):
            return None
        return Volume(volume.data, grid) if volume.geometry.same_grid(grid) else None

    def series(self, numbers: Sequence[int], times: Sequence[float], geometry: Geometry) -> Series:
        """Return the finished time points as a series, read one at a time."""
        files = [self.file(number) for number in numbers]
        return Series(lambda i: read_volume(files[i]).data, times, geometry)

    def remove(self) -> None:
        """Delete the folder, as a whole or not at all: not if others have put something there."""
        if not self._is_ours():
            return
        with (
            suppress(OSError),
            tempfile.TemporaryDirectory(
                dir=self.path.parent, prefix=temporary_prefix(self.path), ignore_cleanup_errors=True
            ) as temporary,
        ):
            self.path.replace(Path(temporary) / self.path.name)

    def _is_ours(self) -> bool:
        """Whether the folder holds a job of this software and nothing else."""
        try:
            job = json.loads(read_bounded(self.path / _MANIFEST))
            names = {file.name for file in self.path.iterdir()}
        except (OSError, ValueError, RecursionError):
            return False
        ours = isinstance(job, dict) and job.keys() >= _KEYS
        return ours and all(name == _MANIFEST or _PART.fullmatch(name) for name in names)

    def _hash_file(self, number: int) -> Path:
        return self.path / f"frame_{number:04d}.sha256"

    def _hash(self, file: Path) -> str:
        """SHA-256 of the job and of the file of a time point."""
        digest = hashlib.sha256(read_bounded(self.path / _MANIFEST))
        digest.update(file_sha256(file).encode("ascii"))
        return digest.hexdigest()


def usable_time_points(
    series: Series | ComplexSeries, numbers: Sequence[int], skip: bool
) -> tuple[list[int], dict[int, str]]:
    """Return the time points that can be used, and for each of the others a sentence that says why not.

    Parameters
    ----------
    series
        Low-resolution series.
    numbers
        Time points that are wanted.
    skip
        Whether those that are black, not finite or unreadable may be left out.

    Raises
    ------
    InputError
        If one cannot be used and must not be left out, or none can be used.
    """
    unusable: dict[int, str] = {}
    for number in numbers:
        try:
            series[number]
        except InputError as error:
            unusable[number] = str(error)
    usable = [number for number in numbers if number not in unusable]
    if not unusable or (skip and usable):
        return usable, unusable
    message = next(iter(unusable.values()))
    if usable:
        message = (
            f"{message.removesuffix('.')}; --skip-unusable leaves such time points out, as does --frames "
            f"{frames_text(usable)}."
        )
    elif skip and len(numbers) > 1:
        message = f"None of the {len(numbers)} time points can be used: {message}"
    raise InputError(message)


def job_description(
    series: Series | ComplexSeries,
    model: Model,
    grid: Geometry,
    acquisition: Acquisition | None,
    inference: Inference,
    device: torch.device,
) -> str:
    """JSON that two runs share only if they compute the same: input voxels, weights, grid and settings."""
    voxels = hashlib.sha256()
    for acquired in series:
        voxels.update((acquired.data if isinstance(acquired, Volume) else acquired).tobytes())
    facts = {
        "version": __version__,
        "input": voxels.hexdigest(),
        "model": model.sha256,
        "acquisition": repr(acquisition),
        "grid": [grid.shape, grid.spacing, grid.origin, grid.direction],
        "patch": inference.patch,
        "stride": inference.stride if inference.patch else None,
        "precision": inference.precision_on(device),
        "device": device.type,
    }
    return json.dumps(facts, sort_keys=True)


def super_resolve_series(
    series: Series | ComplexSeries,
    numbers: Sequence[int],
    model: Model,
    grid: Geometry,
    frames: FrameFolder,
    *,
    acquisition: Acquisition | None = None,
    device: torch.device,
    inference: Inference,
    progress: Progress,
    resume: bool = False,
    shared: bool = False,
) -> tuple[Series, dict[int, Consistency]]:
    """Super-resolve some time points of a series into a folder of frames.

    Parameters
    ----------
    series
        Low-resolution series, or complex images.
    numbers
        Time points to do.
    model, grid, acquisition, device, inference
        As for `super_resolution.super_resolve`.
    frames
        Where the results go; each appears there complete or not at all.
    progress
        Told about every time point.
    resume
        Whether time points that the same job has finished before are kept.
    shared
        Whether the processes of ``torchrun`` share the time points; all of them have to call this then.

    Returns
    -------
        The results, read from the folder when asked for, and how each agrees with its acquired image, by time point; of
        several processes, the first has all of these.

    Raises
    ------
    InputError
        If a volume cannot be used or a file cannot be written.
    """
    if is_first() or not shared:
        frames.begin(job_description(series.select(numbers), model, grid, acquisition, inference, device), resume)
    if shared:
        wait()
    progress.stage("Super-resolving")
    mine = share(numbers) if shared else list(numbers)
    figures: dict[int, Consistency] = {}

    def read(number: int) -> Acquired:
        return series[number]

    def compute(acquired: Acquired) -> Volume:
        settings: dict[str, Any] = {"device": device, "inference": inference, "progress": progress}
        if isinstance(acquired, Volume):
            return super_resolve(acquired, model, grid, acquisition=acquisition, **settings)
        return super_resolve_complex(acquired, series.geometry, model, grid, acquisition=acquisition, **settings)

    def finish(number: int, acquired: Acquired, result: Volume) -> Consistency:
        frames.finish(number, result)
        return _agreement(result, acquired, acquisition)

    def tell(number: int, figure: Consistency) -> None:
        figures[number] = figure
        progress.frame(number, frames.file(number), asdict(figure), model.sha256)

    with _executor(device) as reader, _executor(device) as writer:
        coming = [reader.submit(read, number) for number in mine[:1]]
        writing: list[tuple[int, Future[Consistency]]] = []
        for done, number in enumerate(mine, start=1):
            acquired = coming.pop().result()
            coming += [reader.submit(read, following) for following in mine[done : done + 1]]
            kept = _kept(number, acquired, model, grid, acquisition, frames, progress)
            if kept is None:
                made = compute(acquired)
                future = writer.submit(finish, number, acquired, made)
            else:
                future = writer.submit(lambda figure: figure, kept)
            writing.append((number, future))
            while writing and (writing[0][1].done() or len(writing) > 1):  # never more than one behind
                earlier, future = writing.pop(0)
                tell(earlier, future.result())
            progress.step(done, len(mine))
        for earlier, future in writing:
            tell(earlier, future.result())
    if shared:
        wait()
    if shared and is_first():
        for number in sorted(set(numbers).difference(mine)):  # other processes have made them
            tell(number, _agreement(_result_of(frames, number, grid), series[number], acquisition))
    return frames.series(numbers, [series.times[n] for n in numbers], grid), figures


def _agreement(result: Volume, acquired: Acquired, acquisition: Acquisition | None) -> Consistency:
    """How a result agrees with what it was made from."""
    if isinstance(acquired, Volume):
        return consistency(result, acquired, acquisition)
    return complex_consistency(result.data, acquired, acquisition)


def _kept(
    number: int,
    acquired: Acquired,
    model: Model,
    grid: Geometry,
    acquisition: Acquisition | None,
    frames: FrameFolder,
    progress: Progress,
) -> Consistency | None:
    """Agreement of a time point of an earlier run with its acquired image; None if it is to be done (again)."""
    if not frames.file(number).exists():
        return None
    kept = frames.finished(number, grid)
    figure = None if kept is None else _agreement(kept, acquired, acquisition)
    if figure is None or (keeps_acquired(model, acquisition) and figure.residual > _LARGEST_RESIDUAL):
        progress.log(f"Time point {number} of the earlier run is incomplete or damaged and is computed again.")
        return None
    return figure


def inconsistent(figures: Mapping[int, Consistency], model: Model, acquisition: Acquisition | None = None) -> list[str]:
    """Return what to say if time points are further from their acquired images than the model can make them.

    Parameters
    ----------
    figures
        Of each time point.
    model, acquisition
        What made them; see `super_resolution.super_resolve`.
    """
    most = _LARGEST_RESIDUAL if keeps_acquired(model, acquisition) else _CREDIBLE
    found = sorted(number for number, figure in figures.items() if figure.residual > most)
    if not found:
        return []
    names = ", ".join(map(str, found[:5])) + (", ..." if len(found) > 5 else "")
    worst = max(figures[number].residual for number in found)
    return [
        f"{len(found)} of {len(figures)} time points ({names}) do not agree with the acquired images: the "
        f"data-consistency residual is up to {100 * worst:.3g}%, and {100 * most:g}% at most is expected. "
        "Do not use them."
    ]


def works_beside(device: torch.device) -> bool:
    """Whether the next time point is read and the one before written while a device computes one.

    A CPU all of whose cores compute has none to spare: this gains at most 2% there (``make bench``), loses up to a
    fifth where other programs run, and tells of a time point later.
    """
    return device.type != "cpu"


def _executor(device: torch.device) -> Executor:
    return ThreadPoolExecutor(1) if works_beside(device) else _AtOnce()


class _AtOnce(Executor):
    """Does what it is given at once."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Call a function; its errors are raised here."""
        future: Future[T] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


def _result_of(frames: FrameFolder, number: int, grid: Geometry) -> Volume:
    return Volume(read_volume(frames.file(number)).data, grid)
