"""``python -m SRDynamicMRILib`` and ``sr-dynamic-mri``."""

import sys

from .process.setup import set_up_process


def main() -> int:
    """Set the process up, then load and run the command line; its exit code."""
    set_up_process()
    from .cli.program import main as run

    return run()


if __name__ == "__main__":
    sys.exit(main())
