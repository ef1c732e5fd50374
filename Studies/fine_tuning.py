"""How long and how fast to fine-tune: the gain on a time point for numbers of steps and learning rates.

python Studies/fine_tuning.py --output fine_tuning.json [--scan heart] [--network fast] [--moved 0.5] [--runs ...]
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import replace
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from real_scans import FRAMES, data_folder, time_point

from SRDynamicMRILib import fine_tune, super_resolve
from SRDynamicMRILib.acquisition.acquisition import downsample
from SRDynamicMRILib.acquisition.interpolation import zero_filled
from SRDynamicMRILib.evaluation.metrics import compare
from SRDynamicMRILib.io.files import read_volume
from SRDynamicMRILib.models.budgets import TrainingBudget
from SRDynamicMRILib.models.checkpoints import load_model
from SRDynamicMRILib.models.pretrained import base_model, start_model
from SRDynamicMRILib.models.recipes import DEFAULT, FAST, RECIPES
from SRDynamicMRILib.phantom import abdomen
from SRDynamicMRILib.volume import Volume

RUNS = ("100@1.5e-3", "300@1.5e-3", "600@1.5e-3", "3000@1.5e-3")
STARTS = {"fast": start_model, "base": base_model}
ABDOMEN = "abdomen"
"""A synthetic one that breathes; the others are real."""


def patient(scan: str) -> tuple[Volume, Volume]:
    """Planning scan and a later time point."""
    if scan == ABDOMEN:
        phantom = abdomen(1, (12, 192, 256), time_points=2)
        return phantom.static, phantom.dynamic[1]
    return read_volume(data_folder() / "bench" / scan / "static.nii.gz"), time_point(scan)


def main() -> None:
    """Read the arguments, fine-tune and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--scan", choices=(*FRAMES, ABDOMEN), default="heart", help="(default: heart)")
    parser.add_argument("--runs", nargs="+", default=RUNS, metavar="STEPS@RATE")
    parser.add_argument("--fraction", type=float, default=0.0625)
    parser.add_argument("--network", choices=tuple(STARTS), default="fast", help="to begin with (default: fast)")
    parser.add_argument("--moved", type=float, help="share of patches from scans that lie otherwise")
    arguments = parser.parse_args()
    prior, truth = patient(arguments.scan)
    acquired = downsample(truth, arguments.fraction)
    base = load_model(STARTS[arguments.network](arguments.fraction))
    reference = compare(zero_filled(acquired.data, truth.shape[1:]), truth.data)[0]
    found = []
    for run in ("0@0", *arguments.runs):
        steps, rate = int(run.split("@")[0]), float(run.split("@")[1])
        for recipe in (DEFAULT, FAST):
            shifted = recipe.shifted if arguments.moved is None else arguments.moved
            RECIPES[recipe.name] = replace(recipe, fine_tuning_learning_rate=rate, shifted=shifted)
        started = time.perf_counter()
        model = base
        if steps:
            budget = TrainingBudget("study", steps)
            model = fine_tune(prior, fraction=arguments.fraction, model=base, budget=budget)
        seconds = time.perf_counter() - started
        metrics = compare(super_resolve(acquired, model, like=truth).data, truth.data)[0]
        record = {
            "scan": arguments.scan,
            "fraction": arguments.fraction,
            "network": arguments.network,
            "moved": {name: recipe.shifted for name, recipe in RECIPES.items()},
            "steps": steps,
            "learning rate": rate,
            "seconds": seconds,
            "threads": torch.get_num_threads(),
            "ssim": metrics.ssim,
            "psnr": metrics.psnr,
            "gap closed": (metrics.ssim - reference.ssim) / (1 - reference.ssim),
            "psnr gain": metrics.psnr - reference.psnr,
        }
        found.append(record)
        print(
            f"{run:10} {seconds:6.0f} s  SSIM {metrics.ssim:.4f}  PSNR {metrics.psnr:.2f} dB  "
            f"gap closed {100 * record['gap closed']:.1f}%  {record['psnr gain']:+.2f} dB",
            flush=True,
        )
        arguments.output.write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
