"""Super-resolution of a whole series: every finished time point is kept, and an interrupted run can go on."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from . import __version__
from .checkpoints import Model
from .distributed import is_first, share, wait
from .errors import InputError
from .fidelity import Fidelity, fidelity
from .files import read_volume, write_volume
from .inference import Inference
from .progress import Progress
from .super_resolution import super_resolve
from .volume import Geometry, Series, Volume

_MANIFEST = "job.json"


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
        """File of time point `number`."""
        return self.path / f"frame_{number:04d}.nii.gz"

    def begin(self, job: str, resume: bool) -> None:
        """Make the folder for a job: as it is if it holds the same job and is to be resumed, else empty.

        Raises
        ------
        InputError
            If the folder cannot be made, holds other things, or belongs to another job that was to be resumed.
        """
        manifest = self.path / _MANIFEST
        if self.path.exists():
            if not manifest.is_file():
                message = (
                    f"{self.path} is in the way and was not made by this software; move it or choose another output."
                )
                raise InputError(message)
            if resume:
                if manifest.read_text(encoding="utf-8") != job:
                    message = (
                        f"The time points in {self.path} come from another input, model or setting, so they cannot be "
                        "resumed; run without --resume to start anew."
                    )
                    raise InputError(message)
                return
            shutil.rmtree(self.path)
        try:
            self.path.mkdir(parents=True)
            manifest.write_text(job, encoding="utf-8")
        except OSError as error:
            message = f"Cannot write to {self.path.parent}: {error.strerror}; choose another place for the output."
            raise InputError(message) from error

    def series(self, numbers: Sequence[int], times: Sequence[float], geometry: Geometry) -> Series:
        """Return the finished time points as a series, read one at a time."""
        files = [self.file(number) for number in numbers]
        return Series(lambda i: read_volume(files[i]).data, times, geometry)

    def remove(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self.path, ignore_errors=True)


def job_description(series: Series, model: Model, grid: Geometry, inference: Inference, device: torch.device) -> str:
    """JSON that two runs share only if they compute the same: input voxels, weights, grid and settings."""
    voxels = hashlib.sha256()
    for volume in series:
        voxels.update(volume.data.tobytes())
    facts = {
        "version": __version__,
        "input": voxels.hexdigest(),
        "model": model.sha256,
        "grid": [grid.shape, grid.spacing, grid.origin, grid.direction],
        "patch": inference.patch,
        "stride": inference.stride if inference.patch else None,
        "precision": inference.precision_on(device),
        "shifts": inference.shifts,
        "device": device.type,
    }
    return json.dumps(facts, sort_keys=True)


def super_resolve_series(
    series: Series,
    numbers: Sequence[int],
    model: Model,
    grid: Geometry,
    frames: FrameFolder,
    *,
    device: torch.device,
    inference: Inference,
    progress: Progress,
    resume: bool = False,
) -> tuple[Series, dict[int, Fidelity]]:
    """Super-resolve some time points of a series into a folder of frames; processes of ``torchrun`` share them.

    Parameters
    ----------
    series
        Low-resolution series.
    numbers
        Time points to do.
    model, grid, device, inference
        As for `super_resolution.super_resolve`.
    frames
        Where the results go; each appears there complete or not at all.
    progress
        Told about every time point.
    resume
        Whether time points that the same job has finished before are kept.

    Returns
    -------
        The results, read from the folder when asked for, and how true each is to its acquired image, by time point; of
        several processes, the first has all of these.

    Raises
    ------
    InputError
        If a volume cannot be used or a file cannot be written.
    """
    if is_first():
        frames.begin(job_description(series.select(numbers), model, grid, inference, device), resume)
    wait()
    progress.stage("Super-resolving")
    mine = share(numbers)
    figures: dict[int, Fidelity] = {}

    def tell(number: int) -> None:
        # Of what is in the file, which an interrupted run or another process may have written.
        figures[number] = fidelity(Volume(read_volume(frames.file(number)).data, grid), series[number])
        progress.frame(number, frames.file(number), figures[number])

    for done, number in enumerate(mine, start=1):
        if not frames.file(number).exists():
            result = super_resolve(series[number], model, grid, device=device, inference=inference, progress=progress)
            write_volume(result, frames.file(number))
        tell(number)
        progress.step(done, len(mine))
    wait()
    if is_first():
        for number in sorted(set(numbers).difference(mine)):
            tell(number)
    return frames.series(numbers, [series.times[n] for n in numbers], grid), figures
