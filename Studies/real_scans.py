"""Where the real scans of the studies are."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def data_folder() -> Path:
    """The folder that SRDYNAMICMRI_DATA names; ends the script if there is none."""
    name = os.environ.get("SRDYNAMICMRI_DATA", "")
    if not name or not Path(name, "bench").is_dir():
        sys.exit("Set SRDYNAMICMRI_DATA to the folder of real scans that holds train and bench.")
    return Path(name)
