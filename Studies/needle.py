"""Whether a needle that the planning scan does not show survives super-resolution.

    python Studies/needle.py --output needle.json [--subjects 3] [--steps 300]

makes synthetic abdomens into which a needle advances, fine-tunes on the planning scan without it, and measures in
every result the contrast of the shaft (1 is no signal, 0 is that of the tissue beside it) and how far the tip seems
to be from where it is in the ground truth.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, stats

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from SRDynamicMRILib import fine_tune, super_resolve
from SRDynamicMRILib.acquisition.acquisition import downsample
from SRDynamicMRILib.acquisition.interpolation import zero_filled
from SRDynamicMRILib.models.budgets import TrainingBudget
from SRDynamicMRILib.models.checkpoints import load_model
from SRDynamicMRILib.models.pretrained import base_model, start_model
from SRDynamicMRILib.models.recipes import FRACTIONS
from SRDynamicMRILib.phantom import abdomen
from SRDynamicMRILib.volume import Volume

SHAPE = (12, 192, 256)
TIME_POINTS = 4
TRUTH, ZERO_FILLED = "ground truth", "zero-filled"
METHODS = (TRUTH, ZERO_FILLED, "main training", "fine-tuned")

_BEFORE, _AFTER = 30.0, 20.0  # mm of the course before and behind the tip that are looked at
_STEP = 0.25  # mm
_SHAFT = 6.0  # mm from the tip at which the shaft is surely whole
_BESIDE = (6.0, 7.0, 8.0, 9.0)  # mm to either side where the tissue is not the needle's


@dataclass(frozen=True)
class Needle:
    """What is seen of a needle.

    Parameters
    ----------
    contrast
        Of the shaft, relative to the tissue beside it.
    tip
        Where the contrast has fallen to half: mm along the needle from the tip that was put there.
    """

    contrast: float
    tip: float


def measure(volume: Volume, entry: NDArray[np.float64], tip: NDArray[np.float64]) -> Needle:
    """Look at the needle from `entry` to `tip` (mm, LPS) in a volume."""
    course = (tip - entry) / np.linalg.norm(tip - entry)
    across = np.cross(course, volume.geometry.axes[:, 2] / np.linalg.norm(volume.geometry.axes[:, 2]))
    along = np.arange(-_BEFORE, _AFTER, _STEP)

    def signal(beside: float) -> NDArray[np.float64]:
        places = tip + along[:, None] * course + beside * across
        indices = np.array([volume.geometry.index(place)[::-1] for place in places]).T
        return np.asarray(ndimage.map_coordinates(volume.data.astype(float), indices, order=1, mode="nearest"))

    tissue = np.mean([signal(side * distance) for distance in _BESIDE for side in (-1, 1)], axis=0)
    contrast = ndimage.gaussian_filter1d(1 - signal(0.0) / np.maximum(tissue, 1e-6), 1.0 / _STEP)
    shaft = float(contrast[along < -_SHAFT].mean())
    below = np.flatnonzero((along > -_SHAFT) & (contrast < shaft / 2))
    return Needle(shaft, float(along[below[0]]) if len(below) else float(_AFTER))


def study(subjects: int, steps: int) -> list[dict[str, object]]:
    """One record for every subject, fraction, time point and method."""
    found: list[dict[str, object]] = []
    for subject in range(subjects):
        phantom = abdomen(subject, SHAPE, time_points=TIME_POINTS, needle=True)
        assert phantom.needle_entry is not None and phantom.needle_tip is not None
        for fraction in FRACTIONS:
            base, start = load_model(base_model(fraction)), load_model(start_model(fraction))
            budget = TrainingBudget("study", steps)
            tuned = fine_tune(phantom.static, fraction=fraction, model=start, budget=budget)
            for time in range(TIME_POINTS):
                truth = phantom.dynamic[time]
                acquired = downsample(truth, fraction)
                images = (
                    truth,
                    truth.with_data(zero_filled(acquired.data, truth.shape[1:])),
                    super_resolve(acquired, base, like=truth),
                    super_resolve(acquired, tuned, like=truth),
                )
                place = (phantom.needle_entry[time], phantom.needle_tip[time])
                real = measure(truth, *place)
                for method, image in zip(METHODS, images, strict=True):
                    seen = measure(image, *place)
                    facts = {"subject": subject, "fraction": fraction, "time": time, "method": method}
                    found.append({**facts, "contrast": seen.contrast, "tip_error": seen.tip - real.tip})
    return found


def table(found: list[dict[str, object]]) -> str:
    """Means over subjects and time points, and whether the results are worse than zero-filling (one-sided Wilcoxon)."""
    lines = ["| fraction | method | contrast | tip error (mm), mean of sizes | p (worse contrast) | p (worse tip) |"]
    lines.append("|---|---|---|---|---|---|")

    def values(fraction: object, method: str, name: str) -> NDArray[np.float64]:
        return np.array([r[name] for r in found if (r["fraction"], r["method"]) == (fraction, method)], dtype=float)

    for fraction in FRACTIONS:
        for method in METHODS:
            contrast, error = values(fraction, method, "contrast"), np.abs(values(fraction, method, "tip_error"))
            tests = ["", ""]
            if method not in (TRUTH, ZERO_FILLED):
                less = values(fraction, ZERO_FILLED, "contrast") - contrast
                more = error - np.abs(values(fraction, ZERO_FILLED, "tip_error"))
                tests = [
                    f"{stats.wilcoxon(d, alternative='greater').pvalue:.2g}" if d.any() else "1" for d in (less, more)
                ]
            cells = [f"{100 * fraction:g}%", method, f"{contrast.mean():.3f}", f"{error.mean():.2f}", *tests]
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Read the arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--subjects", type=int, default=3)
    parser.add_argument("--steps", type=int, default=300, help="of fine-tuning (default: 300)")
    arguments = parser.parse_args()
    found = study(arguments.subjects, arguments.steps)
    arguments.output.write_text(json.dumps(found, indent=1), encoding="utf-8")
    print(table(found))


if __name__ == "__main__":
    main()
