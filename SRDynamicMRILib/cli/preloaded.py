"""A worker that loads everything first and is told later what to do: ``python -m SRDynamicMRILib.cli.preloaded``.

Loading Python and PyTorch takes seconds. Whoever starts a worker before there is anything to do, and writes the
arguments of a command to its standard input as one line, a JSON list of texts, does not wait for that. The worker is
that command from then on, with its output and exit code; where standard input ends first, so does the worker.
"""

from __future__ import annotations

import json
import sys

from ..process.setup import set_up_process
from ..streams import write_or_drop


def wait_and_run() -> int:
    """Load everything, wait for the arguments and run the command; its exit code."""
    set_up_process()
    from . import program as cli

    cli.load_commands()
    # Unbuffered: what follows the line belongs to the command, which may watch for the end of standard input.
    with open(0, "rb", buffering=0, closefd=False) as stdin:
        line = stdin.readline()
    if not line:
        return 0
    try:
        arguments = json.loads(line)
        if not (isinstance(arguments, list) and all(isinstance(one, str) for one in arguments)):
            raise ValueError
    except (ValueError, RecursionError):
        write_or_drop(sys.stderr, "A worker that waits is told what to do as a JSON list of texts, in one line.\n")
        return cli.BAD_INPUT
    return cli.main(arguments)


if __name__ == "__main__":
    sys.exit(wait_and_run())
