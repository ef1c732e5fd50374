"""What commands write: checked before the work, held by one run at a time."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Callable
from contextlib import nullcontext
from functools import wraps
from pathlib import Path

from .checkpoints import check_model_name
from .distributed import is_first
from .errors import InputError
from .files import check_output, write_series, write_volume
from .image_files import check_folder
from .output_lock import alone
from .progress import Progress
from .provenance import description, image_facts
from .series_super_resolution import FrameFolder
from .times import sidecar_of
from .volume import Series

Outputs = dict[str, Path]
Command = Callable[[Namespace, Progress], Outputs]


def alone_at_output(unfinished: Callable[[Path], Path]) -> Callable[[Command], Command]:
    """Let a command hold its output, so that no second run writes there.

    Parameters
    ----------
    unfinished
        Gives the file or folder beside an output where the command keeps what is not finished.
    """

    def decorate(command: Command) -> Command:
        @wraps(command)
        def held(arguments: Namespace, progress: Progress) -> Outputs:
            output = arguments.output
            with alone(output, unfinished(output)) if is_first() else nullcontext():
                return command(arguments, progress)

        return held

    return decorate


def state_file(output: Path) -> Path:
    """Where training keeps what it needs to go on, beside the model that it makes."""
    return output.with_name(output.stem + ".state.safetensors")


def frames_folder(output: Path) -> Path:
    """Where finished time points are kept, beside the series that they add up to."""
    return FrameFolder.beside(output).path


def check_output_of(source: Path, output: Path) -> None:
    """Raise `InputError` before the work if an output cannot be written or would replace what it is made of."""
    check_output(output)
    # Unlike Path.resolve, realpath does not fail on links that lead in a circle.
    names = [(output, source), (sidecar_of(output), sidecar_of(source))]
    if any(os.path.realpath(new) == os.path.realpath(old) for new, old in names):
        message = f"{output} would replace {source} or the description beside it; choose another name."
        raise InputError(message)


def check_model_output(path: Path) -> None:
    """Raise `InputError` before the work if a model cannot be written there."""
    check_model_name(path)
    check_folder(path)


def make_folder(path: Path) -> None:
    """Make a folder and those above it, or raise `InputError`."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = f"Cannot make the folder {path}: {error.strerror}; choose another."
        raise InputError(message) from error


def write_images(series: Series, path: Path, facts: dict[str, object]) -> None:
    """Write a series, or a volume if it has one time point and does not go to a folder, with facts in a sidecar."""
    facts = description(**facts, **image_facts(series.geometry))
    if len(series) == 1 and path.suffix:
        write_volume(series[0], path, facts)
    else:
        write_series(series, path, facts)
