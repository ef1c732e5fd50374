"""Whether averaging over mirrored or shifted images is worth its time, which is that of as many images.

    python Studies/averaging.py [--fraction 0.0625]

The network pools voxels by twos twice, so it does not treat all places alike; the mean over shifts would mend that.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from real_scans import FRAMES, time_point

from SRDynamicMRILib.acquisition.acquisition import downsample
from SRDynamicMRILib.acquisition.interpolation import zero_filled
from SRDynamicMRILib.evaluation.metrics import compare
from SRDynamicMRILib.inference.super_resolution import super_resolve
from SRDynamicMRILib.inference.tiling import Inference
from SRDynamicMRILib.models.checkpoints import Model, load_model
from SRDynamicMRILib.models.pretrained import base_model

Operation = Callable[[Tensor], Tensor]


def mirror(*axes: int) -> tuple[Operation, Operation]:
    """Mirroring along axes, and its inverse."""
    return (lambda x: x.flip(axes)), (lambda x: x.flip(axes))


def shift(rows: int, columns: int) -> tuple[Operation, Operation]:
    """A shift in-plane, and its inverse."""
    return (lambda x: x.roll((rows, columns), (3, 4))), (lambda x: x.roll((-rows, -columns), (3, 4)))


AVERAGES: Mapping[str, Sequence[tuple[Operation, Operation]]] = {
    "as it is": [shift(0, 0)],
    "2 shifts": [shift(0, 0), shift(1, 1)],
    "4 shifts": [shift(y, x) for y in (0, 2) for x in (0, 2)],
    "2 mirrored": [shift(0, 0), mirror(4)],
    "4 mirrored": [shift(0, 0), mirror(3), mirror(4), mirror(3, 4)],
}


class Average(nn.Module):
    """Mean of what a network gives for changed images, each changed back."""

    def __init__(self, network: nn.Module, operations: Sequence[tuple[Operation, Operation]]) -> None:
        super().__init__()
        self.network, self.operations = network, operations

    def forward(self, images: Tensor) -> Tensor:
        """Images ``(B, 1, d, h, w)``."""
        outputs = [undo(self.network(do(images))) for do, undo in self.operations]
        return torch.stack(outputs).mean(0)


def main() -> None:
    """Read the arguments, super-resolve and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fraction", type=float, default=0.0625)
    arguments = parser.parse_args()
    model = load_model(base_model(arguments.fraction))
    whole = Inference(memory=1 << 40)
    for scan in FRAMES:
        truth = time_point(scan)
        acquired = downsample(truth, arguments.fraction)
        reference = compare(zero_filled(acquired.data, truth.shape[1:]), truth.data)[0]
        for name, operations in AVERAGES.items():
            averaged = Model(Average(model.network, operations), model.info)
            result = super_resolve(acquired, averaged, truth.geometry, inference=whole)
            metrics = compare(result.data, truth.data)[0]
            gap = (metrics.ssim - reference.ssim) / (1 - reference.ssim)
            gain = metrics.psnr - reference.psnr
            print(f"{scan:8} {name:12} gap closed {100 * gap:.1f}%  {gain:+.2f} dB", flush=True)


if __name__ == "__main__":
    main()
