"""Requests: what a command is asked to do, declared once for the command line, for JSON jobs and for the Slicer module.

A command is a class, an option is one of its fields; what `option` is given beside the default is for the command line.
Nothing here loads what takes long, so that the Slicer module can make requests too.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import MISSING, Field, dataclass, field, fields
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, ClassVar, Literal, Union, get_args, get_origin, get_type_hints

from .acquisition.fat import FatPhase
from .acquisition.methods import Method
from .errors import InputError
from .models.budgets import BUDGETS
from .models.recipes import FRACTIONS, RECIPES
from .process.precision import Precision

Matrix = tuple[int, int]

ScenarioName = Literal["signed", "magnitude", "noisy", "scanner"]
"""How a benchmark makes low-resolution series; `benchmark.scenarios` has them."""

_ACQUIRED = "acquired rows and columns of {}, if the scanner stored more (default: detected)"
_NOISE = "SD of the noise of {} at the acquired matrix, before the window (default: estimated)"
_WINDOW = "window of {}: none, hann, hamming, fermi:WIDTH, tukey:SHARE or gauss:SD (default: estimated)"
_SIGNED = "{} keeps the sign of its voxels (default: as the header or negative voxels tell)"
_MAGNITUDE = "{} holds magnitudes"
_PHASE = "phase of {} in radians, on its grid, if the complex images are a pair of files"


def option(
    default: Any = MISSING,
    *,
    help: str = "",
    metavar: str | tuple[str, ...] | None = None,
    flag: str | None = None,
    choices: Collection[str] | None = None,
    group: str = "",
    hidden: tuple[str, ...] = (),
) -> Any:
    """Declare an option of a command as a field of its request.

    Parameters
    ----------
    default
        Its default value; without one the option is required.
    help, metavar, choices
        For the command line. The names of a `Literal` need not be repeated as choices. A registry is given itself, so
        that what is registered later can be chosen too.
    flag
        Its name on the command line; by default ``--`` and the field's name. An empty text makes it positional.
    group
        Options of one group exclude one another; if the group's name ends in ``!``, one of them has to be given.
    hidden
        Flags of earlier versions that still work.
    """
    metadata = {"help": help, "metavar": metavar, "flag": flag, "choices": choices, "group": group, "hidden": hidden}
    return field(default=default, metadata=metadata) if default is not MISSING else field(metadata=metadata)


def argument(metavar: str, help: str = "") -> Any:
    """Declare a positional argument of a command."""
    return option(help=help, metavar=metavar, flag="")


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a command is asked to do."""

    command: ClassVar[str]
    seed: int = option(0, help="random seed (default: 0)")
    device: str = option("auto", help="auto, cpu, cuda, cuda:1, ... (default: auto)")

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise InputError("The seed must be zero or larger; give another one.")

    def to_json(self) -> str:
        """The command and its options as a JSON object, in one line."""
        options = {item.name: _plain(getattr(self, item.name)) for item in fields(self)}
        return json.dumps({"command": self.command, "options": options})


@dataclass(frozen=True, kw_only=True)
class DemoRequest(Request):
    """Run the whole pipeline on a synthetic abdomen and write a report."""

    command = "demo"
    outdir: Path = argument("OUTDIR", "folder to write to")


@dataclass(frozen=True, kw_only=True)
class PhantomRequest(Request):
    """Generate a synthetic abdomen: planning scan (static.nii.gz) and series (dynamic.nii.gz)."""

    command = "phantom"
    outdir: Path = argument("OUTDIR", "folder to write to")
    time_points: int = option(10, help="number of time points (default: 10)")
    needle: bool = option(False, help="add a needle that the planning scan does not show")
    phase: bool = option(
        False, help="write the phases too, in radians, fat opposed to water: static_phase and dynamic_phase"
    )


@dataclass(frozen=True, kw_only=True)
class DownsampleRequest(Request):
    """Simulate a faster acquisition: keep only the centre of in-plane k-space."""

    command = "downsample"
    input: Path = argument("IN", "volume or series")
    output: Path = argument("OUT", "file or folder to write")
    fraction: float | None = option(None, help="fraction of k-space to keep, such as 0.0625")
    fraction_rows: float | None = option(None, metavar="F", help="instead of --fraction: fraction of the rows to keep")
    fraction_columns: float | None = option(None, metavar="F", help="and of the columns")
    like_scanner: bool = option(
        False,
        help="as scanners store images: --simulate-phase --snr 20 --window hann --store 2x --magnitude, rounded to "
        "12 bits; what is given beside it counts instead",
    )
    phase: Path | None = option(
        None, metavar="PHASE", help="phase of IN in radians, on its grid; the magnitude is stored", group="phase"
    )
    simulate_phase: bool = option(
        False,
        help="draw a smooth phase, in some draws with fat opposed to water; the magnitude is stored",
        group="phase",
    )
    snr: float | None = option(
        None, metavar="S", help="add noise: mean of the body at the first time point divided by its SD"
    )
    window: str | None = option(
        None, metavar="W", help="weigh k-space by none, hann, hamming, fermi:WIDTH, tukey:SHARE or gauss:SD"
    )
    shutter: str = option("rectangle", help="what to sample of the matrix, rectangle or ellipse (default: rectangle)")
    partial_fourier: float = option(
        1.0, metavar="F", help="fraction of the rows of that matrix to sample, such as 0.75; zero-filled (default: 1)"
    )
    store: Literal["1x", "2x", "full"] | None = option(
        None, help="store the acquired matrix, twice that, or that of IN (default: 1x)"
    )
    magnitude: bool = option(False, help="store the magnitude instead of an image with its sign")


@dataclass(frozen=True, kw_only=True)
class InterpolateRequest(Request):
    """Interpolate a volume or series to the grid of another volume."""

    command = "interpolate"
    input: Path = argument("IN", "volume or series")
    output: Path = argument("OUT", "file or folder to write")
    like: Path = option(metavar="HRVOLUME", help="volume whose grid to use")
    method: Method = option(help="interpolation method")


@dataclass(frozen=True, kw_only=True)
class ReconstructRequest(Request):
    """Reconstruct images from the k-space of an ISMRMRD file."""

    command = "reconstruct"
    input: Path = argument("IN.h5", "ISMRMRD file: fully sampled Cartesian k-space")
    output: Path = argument("OUT", "file or folder to write: the magnitude")
    phase_output: Path | None = option(None, metavar="PHASE", help="write the phase too, in radians", group="phase")
    complex_output: bool = option(
        False, flag="--complex", help="write complex images to OUT, which is NIfTI then", group="phase"
    )


@dataclass(frozen=True, kw_only=True)
class TrainRequest(Request):
    """Train a base model on many high-resolution volumes; also with torchrun."""

    command = "train"
    data: tuple[Path, ...] = option((), metavar="DIR", help="folders of scans (CHAOS or any other)")
    synthetic: int = option(0, help="number of synthetic abdomens to add")
    weights: tuple[float, ...] = option((), help="sampling weights of each DIR and, last, of the synthetic abdomens")
    output: Path = option(metavar="M.safetensors", help="model to write")
    recipe: str = option("default", choices=RECIPES, help="training recipe (default: default)")
    fractions: tuple[float, ...] = option(FRACTIONS, help="fractions of k-space to train for")
    each_fraction: bool = option(False, help="train one model per fraction: M_0.25.safetensors, ...")
    model: Path | None = option(None, metavar="BASE", help="model to continue from (default: random weights)")
    steps: int = option(4000, help="optimisation steps (default: 4000)")
    features: int | None = option(None, help="feature maps of the first level (default: as in the recipe)")
    batch: int | None = option(None, help="batch size over all processes (default: as in the recipe)")
    learning_rate: float | None = option(None, help="initial learning rate (default: as in the recipe)")
    validation_share: float = option(0.3, help="share of subjects for validation (default: 0.3)")
    validate_every: int = option(500, help="steps between validations (default: 500)")
    patience: int | None = option(None, help="early-stopping patience, in validations (default: no early stopping)")
    precision: Precision = option("float32", help="precision of the convolutions (default: float32)")
    tensorboard: Path | None = option(None, metavar="DIR", help="folder for TensorBoard logs")
    half_precision: bool = option(False, help="store the weights as float16")
    perceptual_network: Path | None = option(
        None, metavar="FILE", help="weights of the perceptual loss (default: the pretrained ones)"
    )
    resume: bool = option(False, help="continue an interrupted run")


@dataclass(frozen=True, kw_only=True)
class TrainPerceptualRequest(Request):
    """Train the network of the perceptual loss on synthetic angiograms."""

    command = "train-perceptual"
    output: Path = option(metavar="M.safetensors", help="network to write")
    steps: int = option(600, help="optimisation steps (default: 600)")
    features: int = option(64, help="feature maps of the first level (default: 64)")
    resume: bool = option(False, help="continue an interrupted run")


@dataclass(frozen=True, kw_only=True)
class FineTuneRequest(Request):
    """Fine-tune a model on the planning scan of a patient."""

    command = "finetune"
    prior: Path = argument("PRIOR", "high-resolution planning scan")
    fraction: float | None = option(None, help="fraction of k-space acquired in the series", group="target!")
    series: Path | None = option(
        None, flag="--like", metavar="LRVOLUME", help="the low-resolution series, or one volume of it", group="target!"
    )
    phase: Path | None = option(None, metavar="PHASE", help=_PHASE.format("LRVOLUME"))
    acquired_matrix: Matrix | None = option(None, metavar="HxW", help=_ACQUIRED.format("LRVOLUME"))
    noise: float | None = option(None, metavar="SD", help=_NOISE.format("LRVOLUME"))
    window: str | None = option(None, metavar="W", help=_WINDOW.format("LRVOLUME"))
    signed: bool = option(False, help=_SIGNED.format("LRVOLUME"), group="sign")
    magnitude: bool | None = option(None, help=_MAGNITUDE.format("LRVOLUME"), group="sign")
    fat: FatPhase | None = option(
        None, help="phase of fat against water in LRVOLUME; opposed ones cancel (default: from its dark lines)"
    )
    output: Path = option(metavar="M.safetensors", help="model to write")
    model: Path | None = option(None, metavar="BASE", help="model to fine-tune (default: the pretrained one)")
    budget: str = option("standard", choices=BUDGETS, help="training budget (default: standard)")
    precision: Precision | None = option(
        None, help="precision of the convolutions (default: the fastest of the device)"
    )
    keep_contrast: bool = option(False, help="never adapt the intensities of the planning scan to the series")
    perceptual_network: Path | None = option(
        None, metavar="FILE", help="weights of the perceptual loss (default: the pretrained ones)"
    )
    resume: bool = option(False, help="continue an interrupted run")


@dataclass(frozen=True, kw_only=True)
class SuperResolveRequest(Request):
    """Super-resolve a volume or series."""

    command = "superresolve"
    input: Path = argument("IN", "low-resolution volume or series; complex NIfTI, too")
    output: Path = argument("OUT", "file or folder to write")
    phase: Path | None = option(None, metavar="PHASE", help=_PHASE.format("IN"))
    model: Path | None = option(
        None, metavar="M", help="model to use (default: the pretrained base model)", group="model"
    )
    fast: bool = option(False, help="use the pretrained fast network", group="model")
    prior: Path | None = option(
        None, metavar="PLANNING", help="planning scan: gives the voxel size and is checked against series and model"
    )
    like: Path | None = option(None, metavar="VOLUME", help="volume whose voxel size to use (default: PLANNING)")
    fraction: float | None = option(
        None, help="fraction of k-space acquired in IN, if nothing else gives the voxel size"
    )
    acquired_matrix: Matrix | None = option(None, metavar="HxW", help=_ACQUIRED.format("IN"))
    noise: float | None = option(None, metavar="SD", help=_NOISE.format("IN"))
    window: str | None = option(None, metavar="W", help=_WINDOW.format("IN"))
    signed: bool = option(False, help=_SIGNED.format("IN"), group="sign")
    magnitude: bool | None = option(None, help=_MAGNITUDE.format("IN"), group="sign")
    frames: str | None = option(None, metavar="A:B", help="time points from A to B-1, one, or a list (default: all)")
    skip_unusable: bool = option(False, help="skip time points that are black or damaged")
    stride: tuple[int, int, int] | None = option(
        None, metavar=("D", "H", "W"), help="use overlapping patches of 24^3 with this step"
    )
    precision: Precision | None = option(
        None, help="precision of the convolutions (default: the fastest of the device)"
    )
    consistency_map: Path | None = option(
        None, metavar="FILE", help="write downsampled result minus IN, on the grid of IN", hidden=("--fidelity-map",)
    )
    resume: bool = option(False, help="continue an interrupted run")


@dataclass(frozen=True, kw_only=True)
class EvaluateRequest(Request):
    """Compare a result, and baselines, with the ground truth."""

    command = "evaluate"
    result: Path = argument("RESULT", "result to evaluate")
    truth: Path = argument("TRUTH", "ground truth")
    baseline: tuple[tuple[str, Path], ...] = option(
        (), metavar="NAME=FILE", help="another result to compare; may be repeated"
    )
    output: Path = option(metavar="DIR", help="folder for tables, maps and report")
    frames: str | None = option(None, metavar="A:B", help="time points of TRUTH to compare (default: all)")
    figures: bool = option(True, flag="--no-figures", help="write tables and maps only (without matplotlib)")


@dataclass(frozen=True, kw_only=True)
class BenchmarkRequest(Request):
    """Compare interpolation, base model and fine-tuned model on all subjects of a folder."""

    command = "benchmark"
    data: Path = argument("DATADIR", "folder with a sub-folder per subject that holds static.* and dynamic.*")
    output: Path = option(metavar="DIR", help="folder to write")
    fractions: tuple[float, ...] = option(FRACTIONS, help="fractions of k-space to compare")
    scenarios: tuple[ScenarioName, ...] = option(
        get_args(ScenarioName),
        help="how to make low-resolution series: the signed cut of k-space, the magnitude of a complex cut, the same "
        "with noise, what a scanner stores (default: all)",
    )
    model: Path | None = option(None, metavar="BASE", help="base model (default: the pretrained one)")
    budget: str = option("standard", choices=BUDGETS, help="training budget of fine-tuning (default: standard)")
    perceptual_network: Path | None = option(
        None, metavar="FILE", help="weights of the perceptual loss (default: the pretrained ones)"
    )
    frames: str | None = option(None, metavar="A:B", help="time points of every series to compare (default: all)")
    figures: bool = option(True, flag="--no-figures", help="write tables only (without matplotlib)")
    resume: bool = option(False, help="continue an interrupted run")


@dataclass(frozen=True, kw_only=True)
class InfoRequest(Request):
    """Show the metadata of a model, or what an image or series is and how it was acquired."""

    command = "info"
    file: Path = argument("FILE", "model, volume or series")
    json: bool = option(False, help="of an image, too, print JSON instead of sentences")


@dataclass(frozen=True, kw_only=True)
class ImportCheckpointRequest(Request):
    """Convert a published PyTorch checkpoint of the paper's network into a model."""

    command = "import-checkpoint"
    input: Path = argument("IN.pth", "checkpoint")
    output: Path = argument("OUT.safetensors", "model to write")
    fractions: tuple[float, ...] = option((), help="fractions of k-space it was trained for")


REQUESTS: dict[str, type[Request]] = {
    kind.command: kind
    for kind in (
        DemoRequest,
        PhantomRequest,
        DownsampleRequest,
        InterpolateRequest,
        ReconstructRequest,
        TrainRequest,
        TrainPerceptualRequest,
        FineTuneRequest,
        SuperResolveRequest,
        EvaluateRequest,
        BenchmarkRequest,
        InfoRequest,
        ImportCheckpointRequest,
    )
}
"""The commands by name."""


def from_json(text: str) -> Request:
    """Read a request that `Request.to_json` wrote; options that are left out have their defaults.

    Raises
    ------
    InputError
        If it is no such request: not JSON, an unknown command or option, or a value of another type.
    """
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError("The request is not JSON; write it as Request.to_json does.") from error
    kind = REQUESTS.get(str(content.get("command"))) if isinstance(content, dict) else None
    options = content.get("options", {}) if isinstance(content, dict) else None
    if kind is None or not isinstance(options, dict):
        message = f"The request names no command; give one of {', '.join(REQUESTS)} with its options."
        raise InputError(message)
    known = options_of(kind)
    unknown = sorted(set(options) - set(known))
    missing = [name for name, (item, _) in known.items() if item.default is MISSING and name not in options]
    if unknown or missing:
        what = f"has no option {unknown[0][:40]!r}" if unknown else f"needs the option {missing[0]!r}"
        message = f"The command {kind.command} {what}; its options are {', '.join(known)}."
        raise InputError(message)
    return kind(**{name: _typed(value, known[name][1], name) for name, value in options.items()})


def options_of(kind: type[Request]) -> Mapping[str, tuple[Field[Any], Any]]:
    """The fields of a request and their types, by name."""
    hints = get_type_hints(kind)
    return {item.name: (item, hints[item.name]) for item in fields(kind)}


def without_none(hint: Any) -> Any:
    """The type itself of one that may be None."""
    if get_origin(hint) not in (Union, UnionType):
        return hint
    return next(part for part in get_args(hint) if part is not NoneType)


def _plain(value: Any) -> Any:
    """A value as JSON holds it."""
    if isinstance(value, Path):
        return str(value)
    return [_plain(each) for each in value] if isinstance(value, tuple) else value


def _typed(value: Any, hint: Any, name: str) -> Any:
    """A value from JSON as its type; `InputError` if it has another."""
    if value is None and without_none(hint) is not hint:
        return None
    hint = without_none(hint)
    origin, parts = get_origin(hint), get_args(hint)
    if origin is tuple and isinstance(value, list):
        if parts[-1] is Ellipsis:
            return tuple(_typed(each, parts[0], name) for each in value)
        if len(value) == len(parts):
            return tuple(_typed(each, part, name) for each, part in zip(value, parts, strict=True))
    elif origin is Literal and type(value) is str and value in parts:
        return value
    elif hint is Path and type(value) is str:
        return Path(value)
    elif hint is float and type(value) in (int, float):
        with suppress(OverflowError):
            return float(value)
    elif type(value) is hint:
        return value
    message = f"The option {name} of the request has a value of the wrong kind; write it as Request.to_json does."
    raise InputError(message)
