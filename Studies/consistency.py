"""How strong data consistency should be for images of scanners: none, hard, tapered, or what the errors ask for.

    python Studies/consistency.py MODEL [--fraction 0.0625] [--scenarios magnitude noisy scanner]

For a result x, the acquired image y and D of `Acquisition`, a weight W moves every spatial frequency of x by W times
the residual y - D x. The best one is the regression of the error on the residual. Where a network has learnt to make
the error small it is near 0, for all that y says is in x already; it is learnt from held-out synthetic abdomens here
and tried on real scans. The body's figures, as shares of zero-filling's gap and dB above it.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from real_scans import FRAMES, time_point

from SRDynamicMRILib.acquisition.acquisition import Acquisition
from SRDynamicMRILib.acquisition.body import body_mask
from SRDynamicMRILib.acquisition.interpolation import zero_filled
from SRDynamicMRILib.acquisition.kspace import crop_kspace, filter_kspace, to_kspace
from SRDynamicMRILib.acquisition.scanner import ScanSettings, simulate
from SRDynamicMRILib.acquisition.windows import frequencies
from SRDynamicMRILib.evaluation.metrics import compare
from SRDynamicMRILib.geometry import FloatArray
from SRDynamicMRILib.inference.super_resolution import super_resolve
from SRDynamicMRILib.models.checkpoints import Model, load_model
from SRDynamicMRILib.training.datasets import synthetic_image
from SRDynamicMRILib.volume import Volume

SCENARIOS = {
    "magnitude": {"magnitude": True, "simulate_phase": True},
    "noisy": {"magnitude": True, "simulate_phase": True, "snr": 20.0},
    "scanner": {},
}
BINS = 12
HELD_OUT = range(210, 222)
"""Synthetic abdomens that the pretrained models were not trained on."""


def settings(scenario: str, fraction: float) -> ScanSettings:
    """How a scanner scans in a scenario."""
    if scenario == "scanner":
        return ScanSettings.like_scanner(fraction=fraction)
    return ScanSettings(fraction=fraction, **SCENARIOS[scenario])  # type: ignore[arg-type]


class Case:
    """A scan, what is stored of it and what a network makes of that."""

    def __init__(self, truth: Volume, model: Model, scenario: str, fraction: float, seed: int) -> None:
        self.truth = truth
        stored = simulate(truth, settings(scenario, fraction), seed=seed)
        said = stored.facts["simulated"]
        acquisition = settings(scenario, fraction).acquisition((truth.shape[1], truth.shape[2]))
        acquisition = Acquisition(
            acquisition.acquired_matrix,
            acquisition.full_matrix,
            acquisition.stored_matrix,
            window=acquisition.window,
            noise=said["noise"],
            magnitude=True,
        )
        self.acquired = acquisition.undo_zero_filling(stored.data)
        self.acquisition = Acquisition(
            acquisition.acquired_matrix, acquisition.full_matrix, window=acquisition.window, magnitude=True
        )
        self.zero_filled = zero_filled(stored.data, acquisition.full_matrix)
        self.result = super_resolve(stored, model, truth.geometry, acquisition=acquisition).data

    @property
    def residual(self) -> FloatArray:
        """Acquired image less what would be acquired of the result."""
        return self.acquired - self.acquisition.downsample(self.result)

    def moved(self, weights: NDArray[np.floating]) -> FloatArray:
        """The result moved by weights ``(h, w)`` towards the data."""
        part = filter_kspace(self.residual, weights)
        return np.maximum(self.result + self.acquisition.pseudoinverse(part), 0)

    def figures(self, image: FloatArray) -> tuple[float, float]:
        """Share of the gap closed, in percent, and dB above zero-filling, in the body."""
        mask = body_mask(self.truth.data)
        ours, theirs = (compare(each, self.truth.data, mask)[0] for each in (image, self.zero_filled))
        return 100 * (ours.ssim - theirs.ssim) / (1 - theirs.ssim), ours.psnr - theirs.psnr


def radii(acquisition: Acquisition) -> NDArray[np.floating]:
    """Distance of every sample ``(h, w)`` from the centre of k-space, 1 at the edge of an axis."""
    rows, columns = frequencies(acquisition.acquired_matrix)
    return np.hypot(rows, columns)


def learnt_weights(cases: list[Case]) -> NDArray[np.floating]:
    """Weight of every ring of k-space: regression of the error at the acquired frequencies on the residual there."""
    both, square = np.zeros(BINS), np.zeros(BINS)
    for case in cases:
        matrix = case.acquisition.acquired_matrix
        window = np.maximum(case.acquisition.weights, 0.05)
        error = to_kspace(crop_kspace(case.truth.data - case.result, matrix))
        residual = to_kspace(case.residual) / window
        ring = np.minimum((radii(case.acquisition) / np.sqrt(2) * BINS).astype(int), BINS - 1)
        for n in range(BINS):
            e, r = error[:, ring == n], residual[:, ring == n]
            both[n] += float((e * r.conj()).real.sum())
            square[n] += float((np.abs(r) ** 2).sum())
    return both / np.maximum(square, 1e-12)


def main() -> None:
    """Read the arguments, learn the weights and try all ways."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--fraction", type=float, default=0.0625)
    parser.add_argument("--scenarios", nargs="+", choices=SCENARIOS, default=list(SCENARIOS))
    arguments = parser.parse_args()
    model = load_model(arguments.model)
    for scenario in arguments.scenarios:
        held_out = [
            Case(Volume(synthetic_image(number, 0)), model, scenario, arguments.fraction, number) for number in HELD_OUT
        ]
        learnt = learnt_weights(held_out)
        print(f"{scenario}: learnt from the centre to the corners {' '.join(f'{w:.2f}' for w in learnt)}", flush=True)
        scans = {"synthetic": held_out}
        scans |= {scan: [Case(time_point(scan), model, scenario, arguments.fraction, 0)] for scan in FRAMES}
        for scan, cases in scans.items():
            for way in ("none", "hard", "tapered", "learnt"):
                figures = []
                for case in cases:
                    distance = radii(case.acquisition)
                    weights = {
                        "none": np.zeros_like(distance),
                        "hard": np.ones_like(distance),
                        "tapered": np.clip(1 - distance, 0, 1),
                        "learnt": np.interp(distance / np.sqrt(2) * BINS - 0.5, np.arange(BINS), learnt),
                    }[way]
                    figures.append(case.figures(case.moved(weights)))
                gap, gain = np.mean(figures, axis=0)
                print(f"  {scan:10} {way:8} {gap:6.1f}% {gain:+.2f} dB", flush=True)


if __name__ == "__main__":
    main()
