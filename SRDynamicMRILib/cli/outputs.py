"""What commands write: checked before the work, held by one run at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import wraps
from pathlib import Path
from typing import Protocol, TypeVar

from ..inference.series import FrameFolder
from ..io.files import check_apart, check_output
from ..io.image_files import check_folder
from ..io.locking import alone
from ..models.checkpoints import check_model_name
from ..process.distributed import is_first
from ..progress import Progress

Outputs = dict[str, Path]


class _WithOutput(Protocol):
    @property
    def output(self) -> Path: ...


R = TypeVar("R", bound=_WithOutput)
Command = Callable[[R, Progress], Outputs]


def alone_at_output(unfinished: Callable[[Path], Path]) -> Callable[[Command[R]], Command[R]]:
    """Let a command hold its output, so that no second run writes there.

    Parameters
    ----------
    unfinished
        Gives the file or folder beside an output where the command keeps what is not finished.
    """

    def decorate(command: Command[R]) -> Command[R]:
        @wraps(command)
        def held(request: R, progress: Progress) -> Outputs:
            with alone(request.output, unfinished(request.output)) if is_first() else nullcontext():
                return command(request, progress)

        return held

    return decorate


def state_file(output: Path) -> Path:
    """Where training keeps what it needs to go on, beside the model that it makes."""
    return output.with_name(output.stem + ".state.safetensors")


def frames_folder(output: Path) -> Path:
    """Where finished time points are kept, beside the series that they add up to."""
    return FrameFolder.beside(output).path


def check_output_of(sources: Sequence[Path | None], output: Path, *unfinished: Path) -> None:
    """Find out before the work whether an output can be written without loss.

    Parameters
    ----------
    sources
        Images that the output is made of; None for one that was not given.
    output
        File or folder to be made.
    unfinished
        What is written beside it before it is finished.

    Raises
    ------
    InputError
        If it cannot be written, or would replace what it is made of.
    """
    check_output(output)
    check_apart([output, *unfinished], [source for source in sources if source is not None])


def check_model_output(path: Path) -> None:
    """Raise `InputError` before the work if a model cannot be written there."""
    check_model_name(path)
    check_folder(path)


def require_matplotlib() -> None:
    """Raise `InputError` before the work if its figures could not be drawn."""
    from ..evaluation.report import Panel  # noqa: F401
