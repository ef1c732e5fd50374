"""What each part of an acquisition costs, and what it gives to know it.

    python Studies/acquisition.py [--fraction 0.0625] [--fine-tune]

From the signed cut of k-space to what a scanner stores, part by part, with the smooth phase of `benchmark`. Each image
is super-resolved by the model for signed images, which is told the acquired matrix alone, and by the model for its
acquisition, which is told everything, or everything but one part. Body, over zero-filling the stored image. With
--fine-tune, the images like a scanner's are also super-resolved after fine-tuning on the planning scan degraded alike,
and degraded by the cut of k-space alone.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from real_scans import FRAMES, data_folder, time_point

from SRDynamicMRILib import fine_tune, super_resolve
from SRDynamicMRILib.acquisition.body import body_mask
from SRDynamicMRILib.acquisition.interpolation import zero_filled
from SRDynamicMRILib.acquisition.scanner import ScanSettings
from SRDynamicMRILib.acquisition.windows import Window
from SRDynamicMRILib.benchmark.scenarios import simulate
from SRDynamicMRILib.evaluation.metrics import compare
from SRDynamicMRILib.io.files import read_volume
from SRDynamicMRILib.models.pretrained import scanner_model, start_model
from SRDynamicMRILib.volume import Series, Volume

_MAGNITUDE: dict[str, Any] = {"magnitude": True, "simulate_phase": True}
_NOISY = {**_MAGNITUDE, "snr": 20.0}
_FILTERED = {**_NOISY, "window": Window("hann")}
STEPS: dict[str, dict[str, Any]] = {
    "sign kept": {},
    "magnitude": _MAGNITUDE,
    "+ noise": _NOISY,
    "+ window": _FILTERED,
    "+ twice the matrix": {**_FILTERED, "store": "2x"},
}
"""Settings of the scan, each with one part more."""


def figures(result: Volume, stored: Volume, truth: Volume) -> str:
    """Share of the gap and dB in the body."""
    mask, size = body_mask(truth.data), (truth.shape[1], truth.shape[2])
    ours, theirs = (compare(image, truth.data, mask)[0] for image in (result.data, zero_filled(stored.data, size)))
    return f"{100 * (ours.ssim - theirs.ssim) / (1 - theirs.ssim):6.1f}% {ours.psnr - theirs.psnr:+.2f} dB"


def main() -> None:
    """Read the arguments, super-resolve and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fraction", type=float, default=0.0625)
    parser.add_argument("--fine-tune", action="store_true")
    arguments = parser.parse_args()
    signed = start_model(arguments.fraction)
    for scan in FRAMES:
        truth = time_point(scan)
        for step, chosen in STEPS.items():
            settings = ScanSettings(fraction=arguments.fraction, **chosen)
            acquisition = settings.acquisition((truth.shape[1], truth.shape[2]))
            low = simulate(Series.of([truth]), settings)
            stored = low[0]
            known = {
                "acquired_matrix": acquisition.acquired_matrix,
                "noise": low.facts["simulated"]["noise"],
                "window": acquisition.window,
                "magnitude": acquisition.magnitude,
            }
            nothing = {**known, "noise": 0.0, "window": "none", "magnitude": False}
            told = {"signed model": (signed, nothing)}
            model = scanner_model(acquisition)
            if model is not None:
                told["knows all"] = (model, known)
                told["not the noise"] = (model, {**known, "noise": 0.0})
                if not acquisition.window.is_flat:
                    told["not the window"] = (model, {**known, "window": "none"})
                if acquisition.stored_matrix != acquisition.acquired_matrix:
                    told["not the matrix"] = (model, {**known, "acquired_matrix": acquisition.stored_matrix})
            for name, (each, said) in told.items():
                result = super_resolve(stored, each, like=truth, **said)
                print(f"{scan:8} {step:20} {name:16} {figures(result, stored, truth)}", flush=True)
        if arguments.fine_tune:
            prior = read_volume(data_folder() / "bench" / scan / "static.nii.gz")
            for name, said in {"like the series": known, "by the cut alone": nothing}.items():
                tuned = fine_tune(prior, stored, model=scanner_model(acquisition), **said)
                result = super_resolve(stored, tuned, like=truth, **known)
                print(f"{scan:8} fine-tuned, degraded {name:16} {figures(result, stored, truth)}", flush=True)


if __name__ == "__main__":
    main()
