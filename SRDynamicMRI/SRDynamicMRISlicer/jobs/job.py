"""Jobs of the module as command lines of SRDynamicMRILib."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path


class Kind(enum.Enum):
    """What a job does; the value is the command."""

    FINE_TUNE = "finetune"
    SUPER_RESOLVE = "superresolve"
    EVALUATE = "evaluate"
    PHANTOM = "phantom"
    DOWNSAMPLE = "downsample"
    INTERPOLATE = "interpolate"
    IMPORT_MODEL = "import-checkpoint"


@dataclass(frozen=True)
class Job:
    """One command for the worker.

    Parameters
    ----------
    kind
        What it does.
    settings
        Arguments of the command, in order.
    resume
        Whether to go on where an equal job was interrupted.
    """

    kind: Kind
    settings: tuple[str, ...]
    resume: bool = False

    @property
    def arguments(self) -> list[str]:
        """What a Python interpreter has to be started with."""
        resume = ["--resume"] if self.resume else []
        watched = ["--progress", "json", "--stop-with-stdin"]
        return ["-m", "SRDynamicMRILib", self.kind.value, *self.settings, *resume, *watched]

    @property
    def can_be_resumed(self) -> bool:
        """Whether an interrupted run leaves something to go on from."""
        return self.kind in (Kind.FINE_TUNE, Kind.SUPER_RESOLVE)

    def resumed(self) -> Job:
        """The same job, going on where it was interrupted."""
        return replace(self, resume=True)


def _options(**values: object) -> Iterator[str]:
    """Command-line options; those without a value (None, False, an empty text) are left out."""
    for name, value in values.items():
        option = "--" + name.replace("_", "-")
        if value is True:
            yield option
        elif not (value is None or value is False or value == ""):
            yield from (option, str(value))


def fine_tune_job(
    prior: Path,
    series: Path,
    output: Path,
    *,
    model: Path | None = None,
    budget: str = "standard",
    device: str = "auto",
    seed: int = 0,
    keep_contrast: bool = False,
) -> Job:
    """Fine-tune a model (the shipped one if none is given) on the planning scan `prior` for a low-resolution series."""
    options = _options(
        like=series, output=output, model=model, budget=budget, device=device, seed=seed, keep_contrast=keep_contrast
    )
    return Job(Kind.FINE_TUNE, (str(prior), *options))


def super_resolve_job(
    series: Path,
    output: Path,
    *,
    model: Path | None = None,
    prior: Path | None = None,
    fraction: float | None = None,
    frames: str = "",
    device: str = "auto",
    seed: int = 0,
) -> Job:
    """Super-resolve the time points `frames` (``A:B`` or ``A``; all if empty) to the voxel size of `prior`."""
    options = _options(model=model, like=prior, fraction=fraction, frames=frames, device=device, seed=seed)
    return Job(Kind.SUPER_RESOLVE, (str(series), str(output), *options))


def evaluate_job(result: Path, truth: Path, output: Path, *, baselines: Mapping[str, Path] | None = None) -> Job:
    """Compare a result, and baselines by name, with the ground truth; everything goes to the folder `output`."""
    named = [f"{name}={path}" for name, path in (baselines or {}).items()]
    options = _options(output=output)
    return Job(Kind.EVALUATE, (str(result), str(truth), *(["--baseline", *named] if named else []), *options))


def phantom_job(folder: Path, *, time_points: int = 10, seed: int = 0) -> Job:
    """Make the synthetic abdomen in a folder."""
    return Job(Kind.PHANTOM, (str(folder), *_options(time_points=time_points, seed=seed)))


def downsample_job(series: Path, output: Path, *, fraction: float) -> Job:
    """Keep that share of a series' in-plane k-space."""
    return Job(Kind.DOWNSAMPLE, (str(series), str(output), *_options(fraction=fraction)))


def interpolate_job(series: Path, output: Path, *, like: Path, method: str = "zero_filled") -> Job:
    """Bring a series to the grid of a volume without learning."""
    return Job(Kind.INTERPOLATE, (str(series), str(output), *_options(like=like, method=method)))


def import_model_job(checkpoint: Path, output: Path) -> Job:
    """Turn a published PyTorch checkpoint into a model."""
    return Job(Kind.IMPORT_MODEL, (str(checkpoint), str(output)))
