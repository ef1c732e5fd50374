"""Jobs of the module: what is asked of SRDynamicMRILib, typed, and the command line that says it."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import ClassVar


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
class FineTuneRequest:
    """Fine-tune a model on a planning scan for a low-resolution series.

    Parameters
    ----------
    prior, series, output
        Planning scan, series and the model to write.
    model
        To begin with; the pretrained one that fits best if None.
    budget, device, seed, keep_contrast
        As the command line has them.
    """

    kind: ClassVar[Kind] = Kind.FINE_TUNE
    positional: ClassVar[tuple[str, ...]] = ("prior",)
    options: ClassVar[Mapping[str, str]] = {"series": "like"}

    prior: Path
    series: Path
    output: Path
    model: Path | None = None
    budget: str = "standard"
    device: str = "auto"
    seed: int = 0
    keep_contrast: bool = False


@dataclass(frozen=True)
class SuperResolveRequest:
    """Super-resolve time points of a series.

    Parameters
    ----------
    series, output
        Series and the file to write.
    model
        The pretrained one that fits best if None.
    prior, fraction
        Planning scan whose voxel size the result gets; or, without one, the fraction of k-space that was acquired.
    frames
        Time points, ``A:B`` or ``A``; all if empty.
    device, seed
        As the command line has them.
    """

    kind: ClassVar[Kind] = Kind.SUPER_RESOLVE
    positional: ClassVar[tuple[str, ...]] = ("series", "output")
    options: ClassVar[Mapping[str, str]] = {"prior": "like"}

    series: Path
    output: Path
    model: Path | None = None
    prior: Path | None = None
    fraction: float | None = None
    frames: str = ""
    device: str = "auto"
    seed: int = 0


@dataclass(frozen=True)
class EvaluateRequest:
    """Compare a result, and baselines by name, with the ground truth; everything goes to the folder `output`."""

    kind: ClassVar[Kind] = Kind.EVALUATE
    positional: ClassVar[tuple[str, ...]] = ("result", "truth")
    options: ClassVar[Mapping[str, str]] = {"baselines": "baseline"}

    result: Path
    truth: Path
    output: Path
    baselines: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True)
class PhantomRequest:
    """Make the synthetic abdomen in the folder `output`."""

    kind: ClassVar[Kind] = Kind.PHANTOM
    positional: ClassVar[tuple[str, ...]] = ("output",)
    options: ClassVar[Mapping[str, str]] = {}

    output: Path
    time_points: int = 10
    seed: int = 0


@dataclass(frozen=True)
class DownsampleRequest:
    """Keep a fraction of a series' in-plane k-space."""

    kind: ClassVar[Kind] = Kind.DOWNSAMPLE
    positional: ClassVar[tuple[str, ...]] = ("series", "output")
    options: ClassVar[Mapping[str, str]] = {}

    series: Path
    output: Path
    fraction: float


@dataclass(frozen=True)
class InterpolateRequest:
    """Interpolate a series to the grid of a planning scan."""

    kind: ClassVar[Kind] = Kind.INTERPOLATE
    positional: ClassVar[tuple[str, ...]] = ("series", "output")
    options: ClassVar[Mapping[str, str]] = {"prior": "like"}

    series: Path
    output: Path
    prior: Path
    method: str = "zero_filled"


@dataclass(frozen=True)
class ImportModelRequest:
    """Turn a published PyTorch checkpoint into a model."""

    kind: ClassVar[Kind] = Kind.IMPORT_MODEL
    positional: ClassVar[tuple[str, ...]] = ("checkpoint", "output")
    options: ClassVar[Mapping[str, str]] = {}

    checkpoint: Path
    output: Path


Request = (
    FineTuneRequest
    | SuperResolveRequest
    | EvaluateRequest
    | PhantomRequest
    | DownsampleRequest
    | InterpolateRequest
    | ImportModelRequest
)
"""What a job may ask. `kind` is its command, `positional` its arguments without a name, and `options` the names of
options that are called otherwise than their field."""


@dataclass(frozen=True)
class Job:
    """One request to the worker.

    Parameters
    ----------
    request
        What it asks.
    resume
        Whether to go on where an equal job was interrupted.
    """

    request: Request
    resume: bool = False

    @property
    def kind(self) -> Kind:
        """What it does."""
        return self.request.kind

    @property
    def arguments(self) -> list[str]:
        """What a Python interpreter has to be started with."""
        resume = ["--resume"] if self.resume else []
        watched = ["--progress", "json", "--stop-with-stdin"]
        return ["-m", "SRDynamicMRILib", *command_line(self.request), *resume, *watched]

    @property
    def can_be_resumed(self) -> bool:
        """Whether an interrupted run leaves something to go on from."""
        return self.kind in (Kind.FINE_TUNE, Kind.SUPER_RESOLVE)

    def resumed(self) -> Job:
        """The same job, going on where it was interrupted."""
        return replace(self, resume=True)


def command_line(request: Request) -> list[str]:
    """The command of SRDynamicMRILib that a request is."""
    values = {one.name: getattr(request, one.name) for one in fields(request)}
    words = [str(values.pop(name)) for name in request.positional]
    for name, value in values.items():
        words += _option(request.options.get(name, name), value)
    return [request.kind.value, *words]


def _option(name: str, value: object) -> Iterator[str]:
    """An option of the command line; left out without a value: None, False or empty."""
    if isinstance(value, Mapping):
        value = [f"{key}={each}" for key, each in value.items()]
    if value is None or value is False or value in ("", []):
        return
    yield "--" + name.replace("_", "-")
    if isinstance(value, list):
        yield from value
    elif value is not True:
        yield str(value)
