"""The command line: ``python -m SRDynamicMRILib COMMAND`` or ``sr-dynamic-mri COMMAND``.

Exit codes: 0 only when the output is complete; 2 for bad arguments or input, with one plain sentence on stderr;
130 when cancelled; 1 for a fault of this software.
"""

from __future__ import annotations

import argparse
import errno
import os
import sys
from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext, suppress
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from .. import __version__
from ..errors import InputError
from ..io.paths import check_name
from ..process.setup import CANCELLED, cancel_on_signals, end_on_signals, signals_restored
from ..process.stop_with_stdin import stopped_with_stdin
from ..progress import BarProgress, JsonProgress, Progress, WarningsOnly
from ..requests import REQUESTS, Request
from ..streams import drop, not_printed, write_or_drop
from .arguments import EVERY_COMMAND, add_arguments, request_of

SHARED = frozenset({"benchmark", "superresolve", "train"})
"""Commands that the processes of ``torchrun`` do together; the first does the others alone."""

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


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    common = _Parser(add_help=False)
    general = common.add_argument_group(EVERY_COMMAND)
    general.add_argument(
        "--progress", choices=tuple(_PROGRESS), default="bar", help="how to report progress (default: bar)"
    )
    general.add_argument("--threads", type=int, help="CPU threads (default: as many as there are cores)")
    general.add_argument("--stop-with-stdin", action="store_true", help="cancel when standard input is closed")

    parser = _Parser(
        prog="sr-dynamic-mri",
        description="Super-resolution of dynamic MRI with prior knowledge. Not for diagnosis.",
    )
    parser.add_argument("--version", action="version", version=f"SRDynamicMRI {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True, parser_class=_Parser)
    for name, kind in REQUESTS.items():
        summary = (kind.__doc__ or "").partition("\n")[0]
        add_arguments(commands.add_parser(name, parents=[common], help=summary, description=summary), kind)
    return parser


def load_commands() -> None:
    """Load what all commands need, PyTorch above all; not before --help and wrong arguments have been answered."""
    for name in REQUESTS:
        _command(name)


def _command(name: str) -> Callable[[Any, Progress], dict[str, Path]]:
    """The function that does a command: ``run`` of the file of its name."""
    module = import_module(f".{name.replace('-', '_')}", __package__)
    run: Callable[[Any, Progress], dict[str, Path]] = module.run
    return run


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
    return _answered(lambda: _parsed(arguments), progress)


def run_request(read: Callable[[], Request]) -> int:
    """Do what a request asks for, told as JSON and cancelled when standard input ends; its exit code.

    Parameters
    ----------
    read
        Returns the request, or raises `InputError` if it is none.
    """

    def options() -> tuple[Request, Namespace]:
        return read(), Namespace(threads=None, stop_with_stdin=True)

    with signals_restored():
        return _with_all_printed(_answered(options, JsonProgress()))


def _parsed(arguments: Sequence[str]) -> tuple[Request, Namespace]:
    """What is asked for, and how this process is to work."""
    parsed = build_parser().parse_args(arguments)
    return request_of(REQUESTS[parsed.command], parsed), parsed


def _answered(read: Callable[[], tuple[Request, Namespace]], progress: Progress) -> int:
    """Do what is asked for; whatever goes wrong is told in one sentence and an exit code."""

    def fail(sentence: str, code: int) -> int:
        with suppress(InputError, KeyboardInterrupt):  # standard output may be what fails
            progress.error(sentence)
        with suppress(BrokenPipeError):  # whoever would read it may be gone
            write_or_drop(sys.stderr, sentence + "\n")
        return code

    end_on_signals(lambda sentence: fail(sentence, CANCELLED))
    try:
        request, process = read()
        command = _command(request.command)
        cancel_on_signals()
        from ..process.devices import set_threads
        from ..process.distributed import check_environment, is_extra, is_first, process_group

        for path in _paths(vars(request).values()):
            check_name(path)
        if process.threads is not None:
            set_threads(process.threads)
        shared = request.command in SHARED
        check_environment()
        if is_extra() and not shared:
            return 0  # the first process does it alone
        # Watched from here on only: an import that is interrupted leaves half a module.
        watched = stopped_with_stdin(CANCELLED) if process.stop_with_stdin else nullcontext()
        with watched, process_group(CANCELLED) if shared else nullcontext():
            if not is_first():  # one process speaks for all
                progress = Progress()
            progress.result(command(request, progress))
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
        place = error.filename or "A file"
        sentence = f"{place} cannot be read or written: {error.strerror}; check the path and the free space."
        return fail(sentence, BAD_INPUT)
    except Exception as error:
        if os.environ.get(_TRACEBACK):
            raise
        if _is_out_of_memory(error):
            return fail(_NO_MEMORY, BAD_INPUT)
        sentence = (
            f"An unexpected error occurred ({type(error).__name__}: {error}); "
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
