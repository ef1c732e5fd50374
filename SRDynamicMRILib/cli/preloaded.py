"""A worker that loads everything first and is told later what to do: ``python -m SRDynamicMRILib.cli.preloaded``.

Loading Python and PyTorch takes seconds. Whoever starts a worker before there is anything to do, and writes a request
to its standard input as one line (`requests.Request.to_json`), does not wait for that. The worker is that command from
then on, with its output as ``--progress json`` has it and its exit code; where standard input ends first, so does the
worker.
"""

from __future__ import annotations

import sys

from ..process.setup import set_up_process


def wait_and_run() -> int:
    """Load everything, wait for the request and do it; the exit code."""
    set_up_process()
    from ..requests import from_json
    from . import program

    program.load_commands()
    # Unbuffered: what follows the line belongs to the command, which may watch for the end of standard input.
    with open(0, "rb", buffering=0, closefd=False) as stdin:
        line = stdin.readline()
    if not line:
        return 0
    return program.run_request(lambda: from_json(line.decode("utf-8", "replace")))


if __name__ == "__main__":
    sys.exit(wait_and_run())
