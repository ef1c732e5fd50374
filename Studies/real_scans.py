"""Where the real scans of the studies are."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from SRDynamicMRILib.io.files import read_series
from SRDynamicMRILib.volume import Volume

FRAMES = {"heart": 8, "pelvis": 0}
"""Time points that the studies look at, by the scan's name in ``bench``."""


def data_folder() -> Path:
    """The folder that SRDYNAMICMRI_DATA names; ends the script if there is none."""
    name = os.environ.get("SRDYNAMICMRI_DATA", "")
    if not name or not Path(name, "bench").is_dir():
        sys.exit("Set SRDYNAMICMRI_DATA to the folder of real scans that holds train and bench.")
    return Path(name)


def time_point(scan: str) -> Volume:
    """The time point of a scan in ``bench`` that the studies look at."""
    return read_series(data_folder() / "bench" / scan / "dynamic.nii.gz")[FRAMES[scan]]
