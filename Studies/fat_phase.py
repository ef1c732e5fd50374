"""What it is worth to know whether fat and water cancel in a series, and how surely that is found.

    python Studies/fat_phase.py [--scenario scanner] [--fraction 0.0625] [--steps 300] [--scans heart pelvis]

For each scan: the depth of the dark lines relative to the planning scan's, for a smooth phase and with fat turned
against water. Then the models that were fine-tuned with fat turned in some of the draws (as where nothing is known), in
none or in all, on both. Body, over zero-filling the stored image.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from acquisition import figures
from real_scans import FRAMES, data_folder, time_point

from SRDynamicMRILib import super_resolve
from SRDynamicMRILib.acquisition.acquisition import Acquisition
from SRDynamicMRILib.acquisition.body import body_signal
from SRDynamicMRILib.acquisition.phase import WITH_FAT, fat_like, smooth_phase
from SRDynamicMRILib.benchmark.scenarios import SCENARIOS, simulate
from SRDynamicMRILib.io.files import read_volume
from SRDynamicMRILib.models.budgets import TrainingBudget
from SRDynamicMRILib.models.checkpoints import load_model
from SRDynamicMRILib.models.pretrained import scanner_model
from SRDynamicMRILib.prior.fat_phase import find_fat_phase
from SRDynamicMRILib.training.fine_tuning import fine_tune
from SRDynamicMRILib.volume import Series


def main() -> None:
    """Read the arguments, find the phase of fat, fine-tune and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenario", choices=[name for name in SCENARIOS if name != "signed"], default="scanner")
    parser.add_argument("--fraction", type=float, default=0.0625)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--scans", choices=FRAMES, nargs="+", default=list(FRAMES))
    arguments = parser.parse_args()
    settings = SCENARIOS[arguments.scenario].settings(fraction=arguments.fraction)
    for scan in arguments.scans:
        truth, prior = time_point(scan), read_volume(data_folder() / "bench" / scan / "static.nii.gz")
        rng = np.random.default_rng(3)
        smooth = smooth_phase(truth.shape, rng)
        phases = {"smooth": smooth, "fat turned": smooth + np.float32(np.pi) * fat_like(truth.data, rng)}
        wrapped = {name: np.angle(np.exp(np.complex64(1j) * phase)) for name, phase in phases.items()}
        series = {
            name: simulate(Series.of([truth]), settings, phase=Series.of([truth.with_data(phase)]))
            for name, phase in wrapped.items()
        }
        noise = series["smooth"].facts["simulated"]["noise"]
        acquisition = replace(settings.acquisition((truth.shape[1], truth.shape[2])), noise=noise)
        cut = Acquisition.between(prior.geometry, truth.geometry.with_matrix(acquisition.acquired_matrix))
        brighter = body_signal(prior.data) / body_signal(truth.data)
        of_prior = acquisition.of_other_scan(cut.acquired_matrix, cut.full_matrix, brighter)
        for name, low in series.items():
            found = find_fat_phase(acquisition.undo_zero_filling(low[0].data), prior.data, of_prior)
            print(f"{scan:8} {name:10} dark lines {found.ratio:.2f}: {found.fat}", flush=True)
        path = scanner_model(acquisition)
        if path is None:
            continue
        base = load_model(path)
        models = {"not fine-tuned": base}
        for fat in WITH_FAT:
            budget = TrainingBudget("study", arguments.steps)
            models[fat] = fine_tune(prior, base, replace(of_prior, fat=fat), budget)
        for fat, model in models.items():
            for name, low in series.items():
                known = {"acquired_matrix": acquisition.acquired_matrix, "noise": noise, "window": acquisition.window}
                result = super_resolve(low[0], model, like=truth.geometry, magnitude=True, **known)
                print(f"{scan:8} {name:10} trained for {fat:14} {figures(result, low[0], truth)}", flush=True)


if __name__ == "__main__":
    main()
