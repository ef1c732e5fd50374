"""Subjects of one or two slices, cut from the middle of the benchmark's: what is left of the gain there.

    python Studies/thin_volumes.py OUTDIR --slices 1
    sr-dynamic-mri benchmark OUTDIR --output thin --scenarios signed --fractions 0.0625

The first command writes the subjects, the second measures on them.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from real_scans import data_folder

from SRDynamicMRILib.geometry import Geometry
from SRDynamicMRILib.io.files import read_series, write_series
from SRDynamicMRILib.volume import Series, Volume


def main() -> None:
    """Write the subjects."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("outdir", metavar="OUTDIR", type=Path)
    parser.add_argument("--slices", type=int, default=1)
    arguments = parser.parse_args()
    for subject in ("heart", "pelvis"):
        folder = arguments.outdir / subject
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("static", "dynamic"):
            scan = read_series(data_folder() / "bench" / subject / f"{name}.nii.gz")
            write_series(middle(scan, arguments.slices), folder / f"{name}.nii.gz")


def middle(series: Series, slices: int) -> Series:
    """Series of some slices from the middle."""
    first = (series.geometry.shape[0] - slices) // 2
    x, y, z = (float(each) for each in series.geometry.position((0, 0, first)))
    grid: Geometry = replace(series.geometry, shape=(slices, *series.geometry.shape[1:]), origin=(x, y, z))
    return series.map(lambda volume: Volume(volume.data[first : first + slices], grid), grid)


if __name__ == "__main__":
    main()
