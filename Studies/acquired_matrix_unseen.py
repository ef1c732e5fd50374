"""Whether the acquired matrix is recognised of images on which none of the limits was chosen.

python Studies/acquired_matrix_unseen.py
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from acquired_matrix import WAYS, acquire
from real_scans import data_folder

from SRDynamicMRILib.acquisition.acquisition import Acquisition
from SRDynamicMRILib.acquisition.recognise_matrix import recognise_acquired_matrix
from SRDynamicMRILib.io.files import read_series
from SRDynamicMRILib.phantom import abdomen
from SRDynamicMRILib.volume import Series, Volume

SETS = (
    (range(100, 108), 11, (0.6, 0.35, 0.15), (1.0, 1.3, 2.5), 900),
    (range(200, 208), 5, (0.5, 0.3, 0.2), (1.0, 1.5, 2.2), 7000),
)
"""Seeds of abdomens, time point of scans, fractions, stored relative to acquired matrix, seed of noise and phase."""


def scans(seeds: range, number: int) -> Iterator[tuple[str, NDArray[np.floating]]]:
    """Name and voxels ``(8, H, W)`` of abdomens and of the scans in ``train``."""
    for seed in seeds:
        yield f"abdomen {seed}", abdomen(seed, (8, 96, 128), (2.5, 2.6, 9.0), 2).dynamic[1].data
    for file in sorted((data_folder() / "train").iterdir()):
        series = read_series(file)
        voxels = series[min(number, len(series) - 1)].data
        yield file.name, voxels[len(voxels) // 2 - 4 : len(voxels) // 2 + 4]


def outcome(found: tuple[int, int], size: tuple[int, int], stored: tuple[int, int], warned: bool) -> str:
    """What a recognised matrix is worth."""
    if found == size:
        return "doubted" if warned and size == stored else "right"
    if size == stored:
        return "FALSE POSITIVE"
    if found == stored:
        return "doubted" if warned else "missed"
    if all(f in (n, s) for f, n, s in zip(found, size, stored, strict=True)):
        return "one axis"
    return "within 2" if all(abs(f - n) <= 2 for f, n in zip(found, size, strict=True)) else "other"


def main() -> None:
    """Count the outcomes."""
    counts: Counter[tuple[str, str, str]] = Counter()
    for seeds, number, fractions, factors, noise in SETS:
        for place, (name, voxels) in enumerate(scans(seeds, number)):
            for fraction in fractions:
                size = Acquisition.centre((voxels.shape[1], voxels.shape[2]), fraction).acquired_matrix
                for way, options in WAYS.items():
                    for factor in factors:
                        # Even, as scanners store them.
                        rows, columns = (n if factor == 1 else 2 * round(n * factor / 2) for n in size)
                        image = acquire(voxels, None, size, (rows, columns), seed=noise + place, **options)
                        found = recognise_acquired_matrix(Series.of([Volume(image)]))
                        how = outcome(found.matrix, size, (rows, columns), bool(found.warnings))
                        counts[way, f"{factor:g}x", how] += 1
                        if how in ("other", "FALSE POSITIVE"):
                            print(name, way, f"{size} stored at {(rows, columns)}: {found.matrix}, {how}", flush=True)
    for key, count in sorted(counts.items()):
        print(*key, count, sep=" | ")


if __name__ == "__main__":
    main()
