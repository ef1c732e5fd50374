"""The command line: ``python -m SRDynamicMRILib COMMAND`` or ``sr-dynamic-mri COMMAND``.

Exit codes: 0 only when the output is complete; 2 for bad arguments or input, with one plain sentence on stderr;
130 when cancelled; 1 for a fault of this software.
"""

from __future__ import annotations

import argparse
import errno
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any, NoReturn

from .. import __version__
from ..acquisition.interpolation import METHODS
from ..errors import InputError
from ..io.paths import check_name
from ..models.recipes import FRACTIONS, RECIPES
from ..process.precision import PRECISIONS
from ..process.setup import CANCELLED, cancel_on_signals, end_on_signals, signals_restored
from ..process.stop_with_stdin import stopped_with_stdin
from ..progress import BarProgress, JsonProgress, Progress, WarningsOnly
from ..streams import drop, not_printed, write_or_drop

BAD_INPUT = 2
FAULT = 1

_TRACEBACK = "SRDYNAMICMRI_TRACEBACK"
_NO_MEMORY = "There is not enough memory; close other programs or use a smaller volume."
_PROGRESS: dict[str, Callable[[], Progress]] = {"bar": BarProgress, "json": JsonProgress, "none": WarningsOnly}


class _Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one sentence."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{self.prog}: {message}; see {self.prog} --help.")

    def _print_message(self, message: str, file: Any = None) -> None:
        (file or sys.stderr).write(message)  # argparse takes help that cannot be written for written


def _named_file(text: str) -> tuple[str, Path]:
    name, separator, path = text.partition("=")
    if not (name and separator and path):
        message = f"give a baseline as NAME=FILE, not {text!r}"
        raise argparse.ArgumentTypeError(message)
    return name, Path(path)


def _matrix(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)
    if not found:
        message = f"give the matrix as ROWSxCOLUMNS, such as 96x128, not {text!r}"
        raise argparse.ArgumentTypeError(message)
    return int(found[1]), int(found[2])


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    common = _Parser(add_help=False)
    general = common.add_argument_group("every command")
    general.add_argument("--progress", choices=tuple(_PROGRESS), default="bar", help="how to report (default: bar)")
    general.add_argument("--seed", type=int, default=0, help="seed of everything random (default: 0)")
    general.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, ... (default: auto)")
    general.add_argument("--threads", type=int, help="CPU threads (default: as many as there are cores)")
    general.add_argument("--stop-with-stdin", action="store_true", help="cancel when standard input reaches its end")

    parser = _Parser(
        prog="sr-dynamic-mri",
        description="Super-resolution of dynamic MRI with prior knowledge. Not for diagnosis.",
    )
    parser.add_argument("--version", action="version", version=f"SRDynamicMRI {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True, parser_class=_Parser)

    def command(name: str, summary: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, parents=[common], help=summary, description=summary)

    acquired = "rows and columns acquired, where the scanner stored more (default: recognised), of"

    p = command("demo", "Run the whole pipeline on a synthetic abdomen and write report.html.")
    p.add_argument("outdir", metavar="OUTDIR", type=Path)

    p = command("phantom", "Make a synthetic abdomen: static.nii.gz and dynamic.nii.gz.")
    p.add_argument("outdir", metavar="OUTDIR", type=Path)
    p.add_argument("--time-points", type=int, default=10, help="time points of the series (default: 10)")
    p.add_argument("--needle", action="store_true", help="with a needle that the static scan does not have")

    p = command("downsample", "Keep the centre of in-plane k-space, as a faster acquisition would.")
    p.add_argument("input", metavar="IN", type=Path, help="volume or series")
    p.add_argument("output", metavar="OUT", type=Path)
    p.add_argument("--fraction", type=float, required=True, help="share of k-space to keep, such as 0.0625")

    p = command("interpolate", "Bring a volume or series to the grid of another volume, without learning.")
    p.add_argument("input", metavar="IN", type=Path, help="volume or series")
    p.add_argument("output", metavar="OUT", type=Path)
    p.add_argument("--like", metavar="HRVOLUME", type=Path, required=True, help="volume that has the grid wanted")
    p.add_argument("--method", choices=METHODS, required=True)

    p = command("train", "Train a base model on many high-resolution volumes; torchrun shares the work.")
    p.add_argument("--data", metavar="DIR", type=Path, nargs="+", default=[], help="folders of scans (CHAOS or any)")
    p.add_argument("--synthetic", type=int, default=0, help="number of synthetic abdomens to train on as well")
    p.add_argument(
        "--weights", type=float, nargs="+", default=[], help="how often to draw from each DIR and, last, the synthetic"
    )
    p.add_argument("--output", metavar="M.safetensors", type=Path, required=True)
    p.add_argument("--recipe", choices=tuple(RECIPES), default="default")
    p.add_argument("--fractions", type=float, nargs="+", default=list(FRACTIONS), help="shares of k-space to be for")
    p.add_argument("--each-fraction", action="store_true", help="a model for each fraction: M_0.25.safetensors, ...")
    p.add_argument("--model", metavar="BASE", type=Path, help="model to begin with (default: new weights)")
    p.add_argument("--steps", type=int, default=4000, help="optimisation steps (default: 4000)")
    p.add_argument("--features", type=int, help="feature maps of the first level (default: the recipe's)")
    p.add_argument("--batch", type=int, help="patches per step, over all processes (default: the recipe's)")
    p.add_argument("--learning-rate", type=float, help="of Adam, at the start (default: the recipe's)")
    p.add_argument(
        "--validation-share", type=float, default=0.3, help="share of the subjects for validation (default: 0.3)"
    )
    p.add_argument("--validate-every", type=int, default=500, help="steps between validations (default: 500)")
    p.add_argument("--patience", type=int, help="end after so many validations without a better one")
    p.add_argument("--precision", choices=PRECISIONS, default="float32", help="of the convolutions (default: float32)")
    p.add_argument("--tensorboard", metavar="DIR", type=Path, help="folder for TensorBoard's curves")
    p.add_argument("--half-precision", action="store_true", help="store the weights as float16")
    p.add_argument("--perceptual-network", metavar="FILE", type=Path, help="weights of the perceptual loss")
    p.add_argument("--resume", action="store_true", help="go on where an earlier run was stopped")

    p = command("train-perceptual", "Train the network behind the perceptual loss on synthetic angiograms.")
    p.add_argument("--output", metavar="M.safetensors", type=Path, required=True)
    p.add_argument("--steps", type=int, default=600, help="optimisation steps (default: 600)")
    p.add_argument("--features", type=int, default=64, help="feature maps of the first level (default: 64)")
    p.add_argument("--resume", action="store_true", help="go on where an earlier run was stopped")

    p = command("finetune", "Fine-tune a model on the planning scan of a patient.")
    p.add_argument("prior", metavar="PRIOR", type=Path, help="high-resolution planning scan")
    target = p.add_mutually_exclusive_group(required=True)
    target.add_argument("--fraction", type=float, help="share of k-space that the series holds")
    target.add_argument("--like", metavar="LRVOLUME", type=Path, help="the low-resolution series, or a volume of it")
    p.add_argument("--acquired-matrix", metavar="HxW", type=_matrix, help=f"{acquired} LRVOLUME")
    p.add_argument("--output", metavar="M.safetensors", type=Path, required=True)
    p.add_argument("--model", metavar="BASE", type=Path, help="model to begin with (default: the shipped one)")
    p.add_argument("--budget", choices=("quick", "standard", "long", "paper"), default="standard")
    p.add_argument("--precision", choices=PRECISIONS, help="of the convolutions (default: the fastest here)")
    p.add_argument("--keep-contrast", action="store_true", help="never match the prior's intensities to the series")
    p.add_argument("--perceptual-network", metavar="FILE", type=Path, help="weights of the perceptual loss")
    p.add_argument("--resume", action="store_true", help="go on where an earlier run was stopped")

    p = command("superresolve", "Super-resolve a volume or series.")
    p.add_argument("input", metavar="IN", type=Path, help="low-resolution volume or series")
    p.add_argument("output", metavar="OUT", type=Path)
    model = p.add_mutually_exclusive_group()
    model.add_argument("--model", metavar="M", type=Path, help="model to use (default: the shipped base model)")
    model.add_argument("--fast", action="store_true", help="the shipped network for speed")
    p.add_argument("--like", metavar="PRIOR", type=Path, help="volume with the voxel size wanted")
    p.add_argument("--fraction", type=float, help="share of k-space that IN holds, where nothing else tells")
    p.add_argument("--acquired-matrix", metavar="HxW", type=_matrix, help=f"{acquired} IN")
    p.add_argument("--frames", metavar="A:B", help="time points from A to before B, one, or a list (default: all)")
    p.add_argument("--skip-unusable", action="store_true", help="leave out time points that are black or damaged")
    p.add_argument("--stride", type=int, nargs=3, metavar=("D", "H", "W"), help="by overlapping patches of 24^3")
    p.add_argument("--precision", choices=PRECISIONS, help="of the convolutions (default: the fastest here)")
    p.add_argument("--shifts", type=int, default=1, help="average over so many shifts of the image (default: 1)")
    p.add_argument("--fidelity-map", metavar="FILE", type=Path, help="downsampled result minus IN, on the grid of IN")
    p.add_argument("--resume", action="store_true", help="keep the time points that an earlier run has finished")

    p = command("evaluate", "Compare a result and baselines with the ground truth.")
    p.add_argument("result", metavar="RESULT", type=Path)
    p.add_argument("truth", metavar="TRUTH", type=Path)
    p.add_argument("--baseline", metavar="NAME=FILE", type=_named_file, action="append", nargs="+", default=[])
    p.add_argument("--output", metavar="DIR", type=Path, required=True)
    p.add_argument("--frames", metavar="A:B", help="time points of TRUTH to compare (default: all)")
    p.add_argument("--no-figures", dest="figures", action="store_false", help="numbers and maps only (no matplotlib)")

    p = command("benchmark", "Compare interpolation, base and fine-tuned models on all subjects of a folder.")
    p.add_argument("data", metavar="DATADIR", type=Path, help="sub-folders that hold static.* and dynamic.*")
    p.add_argument("--output", metavar="DIR", type=Path, required=True)
    p.add_argument("--fractions", type=float, nargs="+", default=list(FRACTIONS), help="shares of k-space to keep")
    p.add_argument("--model", metavar="BASE", type=Path, help="model after main training (default: the shipped one)")
    p.add_argument(
        "--budget", choices=("quick", "standard", "long", "paper"), default="standard", help="of fine-tuning"
    )
    p.add_argument("--perceptual-network", metavar="FILE", type=Path, help="weights of the perceptual loss")
    p.add_argument("--frames", metavar="A:B", help="time points of every series to compare (default: all)")
    p.add_argument("--no-figures", dest="figures", action="store_false", help="numbers only (no matplotlib)")
    p.add_argument("--resume", action="store_true", help="keep what an earlier run has finished")

    p = command("info", "Show what is known about a model.")
    p.add_argument("model", metavar="M.safetensors", type=Path)

    p = command("import-checkpoint", "Turn a published PyTorch checkpoint of the paper's network into a model.")
    p.add_argument("input", metavar="IN.pth", type=Path)
    p.add_argument("output", metavar="OUT.safetensors", type=Path)
    p.add_argument("--fractions", type=float, nargs="+", default=[], help="shares of k-space it was trained for")
    return parser


def load_commands() -> None:
    """Load what commands need, PyTorch above all; not before --help and wrong arguments have been answered."""
    from . import commands  # noqa: F401


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    with signals_restored():
        try:
            code = _run(arguments)
        except SystemExit as end:  # of --help and --version
            code = int(end.code or 0)
        return _with_all_printed(code)


def _run(arguments: Sequence[str]) -> int:
    progress = _PROGRESS[_asked_for(arguments)]()

    def fail(sentence: str, code: int) -> int:
        with suppress(InputError, KeyboardInterrupt):  # standard output may be what fails
            progress.error(sentence)
        with suppress(BrokenPipeError):  # whoever would read it may be gone
            write_or_drop(sys.stderr, sentence + "\n")
        return code

    end_on_signals(lambda sentence: fail(sentence, CANCELLED))
    try:
        parsed = build_parser().parse_args(arguments)
        load_commands()
        cancel_on_signals()
        from ..process.devices import set_threads
        from ..process.distributed import check_environment, is_extra, is_first, process_group
        from . import commands

        for path in _paths(vars(parsed).values()):
            check_name(path)
        if parsed.threads is not None:
            set_threads(parsed.threads)
        if parsed.command == "evaluate":
            parsed.baseline = [item for group in parsed.baseline for item in group]
        if parsed.seed < 0:
            raise InputError("The seed must be zero or larger; give another one.")
        shared = parsed.command in commands.SHARED
        check_environment()
        if is_extra() and not shared:
            return 0  # the first process does it alone
        # Watched from here on only: an import that is interrupted leaves half a module.
        watched = stopped_with_stdin(CANCELLED) if parsed.stop_with_stdin else nullcontext()
        with watched, process_group(CANCELLED) if shared else nullcontext():
            if not is_first():  # one process speaks for all
                progress = Progress()
            progress.result(commands.COMMANDS[parsed.command](parsed, progress))
    except InputError as error:
        return fail(str(error), BAD_INPUT)
    except KeyboardInterrupt:
        return fail("Cancelled.", CANCELLED)
    except MemoryError:
        return fail(_NO_MEMORY, BAD_INPUT)
    except OSError as error:
        if error.errno == errno.EPIPE:  # whoever read our output is gone
            drop(sys.stdout)
            drop(sys.stderr)
            return CANCELLED
        sentence = f"{error.filename or 'A file'} cannot be read or written: {error.strerror}; check place and space."
        return fail(sentence, BAD_INPUT)
    except Exception as error:
        if os.environ.get(_TRACEBACK):
            raise
        if _is_out_of_memory(error):
            return fail(_NO_MEMORY, BAD_INPUT)
        sentence = (
            f"Something went wrong that should not ({type(error).__name__}: {error}); "
            f"please report it with what you did. Set {_TRACEBACK}=1 to see where."
        )
        return fail(sentence, FAULT)
    return 0


def _paths(values: Iterable[object]) -> Iterator[Path]:
    """All files and folders among the values of arguments."""
    for value in values:
        if isinstance(value, Path):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from _paths(value)


def _asked_for(arguments: Sequence[str]) -> str:
    """Value of ``--progress`` in arguments that may otherwise be wrong: of that, too, is told as the user asked for."""
    parser = _Parser(add_help=False)
    parser.add_argument("--progress")
    with suppress(InputError):
        asked = parser.parse_known_args(arguments)[0].progress
        if asked in _PROGRESS:
            return str(asked)
    return "bar"


def _with_all_printed(code: int) -> int:
    """Exit code, which is not 0 where standard output did not take all that was printed."""
    try:
        sys.stdout.flush()
    except OSError as error:
        drop(sys.stdout)
        if error.errno == errno.EPIPE:
            return code or CANCELLED
        if code == 0:
            write_or_drop(sys.stderr, f"{not_printed(error)}\n")
            return BAD_INPUT
    return code


def _is_out_of_memory(error: Exception) -> bool:
    """Whether PyTorch, if it is loaded at all, ran out of memory."""
    if "torch" not in sys.modules:
        return False
    from ..process.devices import is_out_of_memory

    return is_out_of_memory(error)
