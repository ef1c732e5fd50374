"""What it costs that scanners deliver magnitudes: the base models on low-resolution images with and without their sign.

    python Studies/magnitude.py [--fraction 0.0625]

Cutting k-space leaves negative voxels beside sharp edges. `downsample` keeps them; a scanner delivers magnitudes.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from real_scans import FRAMES, time_point

from SRDynamicMRILib import super_resolve
from SRDynamicMRILib.acquisition.acquisition import downsample
from SRDynamicMRILib.acquisition.interpolation import zero_filled
from SRDynamicMRILib.evaluation.metrics import compare
from SRDynamicMRILib.models.checkpoints import load_model
from SRDynamicMRILib.models.pretrained import base_model


def main() -> None:
    """Read the arguments, super-resolve and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fraction", type=float, default=0.0625)
    arguments = parser.parse_args()
    model = load_model(base_model(arguments.fraction))
    for scan in FRAMES:
        truth = time_point(scan)
        kept = downsample(truth, arguments.fraction)
        for name, acquired in {"sign kept": kept, "magnitude": kept.with_data(np.abs(kept.data))}.items():
            images = {
                "zero-filled": zero_filled(acquired.data, truth.shape[1:]),
                "main training": super_resolve(acquired, model, like=truth).data,
            }
            for method, image in images.items():
                metrics = compare(image, truth.data)[0]
                print(f"{scan:8} {name:10} {method:14} SSIM {metrics.ssim:.4f}  PSNR {metrics.psnr:.2f} dB", flush=True)


if __name__ == "__main__":
    main()
