"""What a planning scan of another sequence costs, and what matching its contrast to the series gives back.

    python Studies/contrast_mismatch.py --output mismatch.json [--scans heart pelvis] [--steps 300]

replaces the intensities of the planning scans in ``bench`` of the folder that SRDYNAMICMRI_DATA names, as other
sequences would show them, fine-tunes at 6.25% of k-space as it is and with `fine_tuning.adapt_prior`, and measures one
time point (paper, section 3: a VIBE prior lost 0.032 SSIM).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from real_scans import FRAMES, data_folder, time_point

from SRDynamicMRILib.acquisition.acquisition import Acquisition, downsample
from SRDynamicMRILib.acquisition.interpolation import zero_filled
from SRDynamicMRILib.evaluation.metrics import compare
from SRDynamicMRILib.inference.super_resolution import super_resolve
from SRDynamicMRILib.io.files import read_volume
from SRDynamicMRILib.models.budgets import TrainingBudget
from SRDynamicMRILib.models.checkpoints import Model, load_model
from SRDynamicMRILib.models.pretrained import start_model
from SRDynamicMRILib.training.fine_tuning import AdaptedPrior, adapt_prior, fine_tune
from SRDynamicMRILib.volume import Volume

FRACTION = 0.0625


def _by_curve(knots: list[float], values: list[float]) -> Callable[[Volume], Volume]:
    """Replace every intensity, relative to the 99.9th percentile, by way of a curve."""

    def change(volume: Volume) -> Volume:
        peak = float(np.percentile(volume.data, 99.9))
        return volume.with_data(np.interp(volume.data / peak, knots, values) * peak)

    return change


CONTRASTS: dict[str, Callable[[Volume], Volume]] = {
    "same": lambda volume: volume,
    "steeper": _by_curve(list(np.linspace(0, 1.5, 31)), list(np.linspace(0, 1.5, 31) ** 2.2)),
    "inverted": _by_curve([0, 0.15, 1, 2], [0, 0.8, 0.1, 0.1]),
    "bent": _by_curve([0, 0.25, 0.5, 0.75, 1, 2], [0, 0.6, 0.3, 0.9, 0.5, 0.5]),
}


def study(data: Path, scan: str, steps: int) -> list[dict[str, object]]:
    """SSIM and PSNR of zero-filling, of the base model, and of fine-tuning on every contrast, matched and not."""
    base = load_model(start_model(FRACTION))
    truth = time_point(scan)
    prior = read_volume(data / "bench" / scan / "static.nii.gz")
    acquired = downsample(truth, FRACTION)
    found: list[dict[str, object]] = []

    def add(contrast: str, way: str, result: Volume) -> None:
        metrics = compare(result.data, truth.data)[0]
        found.append({"scan": scan, "contrast": contrast, "way": way, "ssim": metrics.ssim, "psnr": metrics.psnr})
        print(f"{scan:8} {contrast:10} {way:14} {metrics.ssim:.4f} {metrics.psnr:.2f} dB", flush=True)

    def tuned(on: AdaptedPrior) -> Model:
        acquisition = Acquisition.centre(on.volume.shape[1:], FRACTION)
        return fine_tune(
            on.volume, base, acquisition.acquired_matrix, TrainingBudget("study", steps), strength=on.strength
        )

    add("", "zero-filled", truth.with_data(zero_filled(acquired.data, truth.shape[1:])))
    add("", "main training", super_resolve(acquired, base, truth.geometry))
    for name, change in CONTRASTS.items():
        changed = change(prior)
        ways = {"as it is": AdaptedPrior(changed)}
        adapted = adapt_prior(changed, acquired)
        if adapted.volume is not changed or adapted.strength != 1:
            ways["adapted"] = adapted
        for way, on in ways.items():
            add(name, way, super_resolve(acquired, tuned(on), truth.geometry))
    return found


def main() -> None:
    """Read the arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--scans", nargs="+", choices=tuple(FRAMES), default=list(FRAMES))
    parser.add_argument("--steps", type=int, default=300, help="of fine-tuning (default: 300)")
    arguments = parser.parse_args()
    data = data_folder()
    found = [record for scan in arguments.scans for record in study(data, scan, arguments.steps)]
    arguments.output.write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
