"""What it is worth to know whether fat and water cancel in a series, and how surely that is found.

    python Studies/fat_phase.py [--scenario scanner] [--fraction 0.0625] [--steps 300] [--scans heart pelvis]
    python Studies/fat_phase.py --draws 8

For each scan: the depth of the dark lines relative to the planning scan's, for a smooth phase and with fat turned
against water. Then the models that were fine-tuned with fat turned in some of the draws (as where nothing is known), in
none or in all, on both. Body, over zero-filling the stored image. With --draws, nothing is fine-tuned: so many
acquisitions of each scan and of the kidneys, which have their own phase, are drawn and looked at.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections import Counter
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
from SRDynamicMRILib.acquisition.stored import StoredImage
from SRDynamicMRILib.benchmark.scenarios import SCENARIOS, simulate
from SRDynamicMRILib.io.files import read_series, read_volume
from SRDynamicMRILib.models.budgets import TrainingBudget
from SRDynamicMRILib.models.checkpoints import load_model
from SRDynamicMRILib.models.pretrained import scanner_model
from SRDynamicMRILib.prior.fat_phase import find_fat_phase
from SRDynamicMRILib.training.fine_tuning import fine_tune
from SRDynamicMRILib.volume import Series, Volume


def of_other(acquisition: Acquisition, truth: Volume, prior: Volume) -> Acquisition:
    """The acquisition that makes an image like that of the truth of its planning scan."""
    cut = Acquisition.between(prior.geometry, truth.geometry.with_matrix(acquisition.acquired_matrix))
    brighter = body_signal(prior.data) / body_signal(truth.data)
    return acquisition.of_other_scan(cut.acquired_matrix, cut.full_matrix, brighter)


def look_at(draws: int) -> None:
    """Draw acquisitions of all scans, with fat turned against water and without, and print what is found of it."""
    rng = np.random.default_rng(1)
    counts: Counter[tuple[str, str]] = Counter()
    for scan in (*FRAMES, "kidneys_philips", "kidneys_siemens"):
        kidneys = scan not in FRAMES
        folder = data_folder() / ("bench_complex" if kidneys else "bench") / scan
        truth = read_series(folder / "dynamic.nii.gz")[0] if kidneys else time_point(scan)
        prior = read_volume(folder / "static.nii.gz")
        for number in range(draws):
            settings = list(SCENARIOS.values())[number % 3].settings(fraction=float(rng.uniform(0.06, 0.25)))
            noise = 0.0 if settings.snr is None else body_signal(truth.data) / math.exp(rng.uniform(2, 4))
            acquisition = replace(settings.acquisition((truth.shape[1], truth.shape[2])), noise=noise)
            smooth = smooth_phase(truth.shape, rng)
            turned = smooth + np.float32(np.pi * rng.uniform(0.7, 1)) * fat_like(truth.data, rng)
            if kidneys:
                turned = read_series(folder / "dynamic_phase.nii.gz")[0].data
            for name, phase in {"smooth": smooth, "turned": turned}.items():
                image = StoredImage.simulated(truth.data, acquisition, phase, rng).acquired
                found = find_fat_phase(image, prior.data, of_other(acquisition, truth, prior))
                counts[name, found.fat] += 1
                print(f"{scan:16} {100 * settings.fraction:4.1f}% {name:8} {found.ratio:.2f}: {found.fat}", flush=True)
    for (name, fat), number in sorted(counts.items()):
        print(f"{name:8} found to be {fat:8} {number}")


def main() -> None:
    """Read the arguments, find the phase of fat, fine-tune and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenario", choices=[name for name in SCENARIOS if name != "signed"], default="scanner")
    parser.add_argument("--fraction", type=float, default=0.0625)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--scans", choices=FRAMES, nargs="+", default=list(FRAMES))
    parser.add_argument("--draws", type=int)
    arguments = parser.parse_args()
    if arguments.draws:
        look_at(arguments.draws)
        return
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
        of_prior = of_other(acquisition, truth, prior)
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
