"""What super-resolution of complex images gives, on kidneys with their own phase.

    python Studies/complex_input.py [--fractions 0.25 0.0625] [--fine-tune STEPS]

The complex image of a breath-hold is cut in k-space, without noise or with it, and super-resolved as anybody's complex
images are: its acquisition is recognised and the pretrained model chosen. Body, over zero-filling of the magnitude and
over the magnitude of the zero-filled complex image. With --fine-tune, after fine-tuning on the planning scan too.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from real_scans import data_folder

from SRDynamicMRILib import ComplexSeries, fine_tune, super_resolve
from SRDynamicMRILib.acquisition.acquisition import Acquisition
from SRDynamicMRILib.acquisition.body import body_mask, body_signal
from SRDynamicMRILib.acquisition.complex_image import zero_filled_image
from SRDynamicMRILib.acquisition.interpolation import zero_filled
from SRDynamicMRILib.acquisition.simulate import acquired_image
from SRDynamicMRILib.evaluation.metrics import compare
from SRDynamicMRILib.geometry import FloatArray
from SRDynamicMRILib.io.files import read_series, read_volume
from SRDynamicMRILib.models import budgets
from SRDynamicMRILib.models.checkpoints import Model
from SRDynamicMRILib.volume import Series, Volume


def gain(result: FloatArray, baseline: FloatArray, truth: FloatArray) -> str:
    """Share of the gap and dB in the body, over a baseline."""
    ours, theirs = (compare(image, truth, body_mask(truth))[0] for image in (result, baseline))
    return f"{100 * (ours.ssim - theirs.ssim) / (1 - theirs.ssim):6.1f}% {ours.psnr - theirs.psnr:+.2f} dB"


def main() -> None:
    """Read the arguments, super-resolve and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fractions", type=float, nargs="+", default=[0.25, 0.0625])
    parser.add_argument("--snr", type=float, help="noise of the complex images (default: none is added)")
    parser.add_argument("--fine-tune", type=int, metavar="STEPS")
    arguments = parser.parse_args()
    if arguments.fine_tune:
        budgets.BUDGETS["standard"] = budgets.TrainingBudget("standard", arguments.fine_tune)
    for name in ("kidneys_philips", "kidneys_siemens"):
        folder = data_folder() / "bench_complex" / name
        truth = read_series(folder / "dynamic.nii.gz")[0]
        phase = read_series(folder / "dynamic_phase.nii.gz")[0].data
        size = (truth.shape[1], truth.shape[2])
        for fraction in arguments.fractions:
            acquisition = Acquisition.centre(size, fraction)
            if arguments.snr:
                acquisition = replace(acquisition, noise=body_signal(truth.data) / arguments.snr)
            image = acquired_image(truth.data, acquisition, phase=phase, rng=np.random.default_rng(9))
            geometry = truth.geometry.with_matrix(acquisition.acquired_matrix)
            images = ComplexSeries(
                Series.of([Volume(np.abs(image), geometry)]), Series.of([Volume(np.angle(image), geometry)])
            )
            padded = np.abs(zero_filled_image(image, acquisition, size))
            baselines = {
                "over the magnitude": np.maximum(zero_filled(np.abs(image), size), 0),
                "over the complex image": padded,
            }
            models: dict[str, Model | None] = {"pretrained": None}
            if arguments.fine_tune:
                models["fine-tuned"] = fine_tune(read_volume(folder / "static.nii.gz"), images)
            for label, model in models.items():
                result = super_resolve(images, model, like=truth)
                told = [f"{what} {gain(result[0].data, each, truth.data)}" for what, each in baselines.items()]
                print(f"{name} {100 * fraction:5.4g}% {label:10} {'   '.join(told)}", flush=True)


if __name__ == "__main__":
    main()
