"""What fine-tuning on a planning scan of something else does to the result, and whether the check notices.

    python Studies/wrong_prior.py --output wrong_prior.json [--scans heart pelvis] [--fraction 0.0625] [--steps 300]

fine-tunes on the right planning scan, on those of other patients and body regions, put in its place, and on its own
voxels in random order, and measures one time point with the fine-tuned weights and with those part of the way to them
from the base model. Scans come from ``bench`` and ``train`` of the folder that SRDYNAMICMRI_DATA names.
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from real_scans import FRAMES, data_folder, time_point

from SRDynamicMRILib.acquisition.acquisition import Acquisition, downsample
from SRDynamicMRILib.acquisition.interpolation import zero_filled
from SRDynamicMRILib.evaluation.metrics import compare
from SRDynamicMRILib.geometry import Geometry
from SRDynamicMRILib.inference.super_resolution import super_resolve
from SRDynamicMRILib.io.files import read_series
from SRDynamicMRILib.models.budgets import TrainingBudget
from SRDynamicMRILib.models.checkpoints import Model, load_model
from SRDynamicMRILib.models.pretrained import start_model
from SRDynamicMRILib.prior.similarity import similarity
from SRDynamicMRILib.training.fine_tuning import adapt_prior, fine_tune
from SRDynamicMRILib.volume import Volume

SCANS = {
    "heart": "bench/heart/static.nii.gz",
    "pelvis": "bench/pelvis/static.nii.gz",
    "another heart": "train/SCD0000101_dynamic.nii.gz",
    "head": "train/head_t1w.nii.gz",
}
THICK = {"head": 8}
"""Slices of this scan that become one, as the others have thick ones."""


def scan(data: Path, name: str) -> Volume:
    """A planning scan by its name in `SCANS`."""
    volume = read_series(data / SCANS[name])[0]
    step = THICK.get(name, 1)
    thick = volume.data[: volume.shape[0] // step * step].reshape(-1, step, *volume.shape[1:]).mean(axis=1)
    x, y, z = volume.geometry.spacing
    return Volume(thick, replace(volume.geometry, shape=thick.shape, spacing=(x, y, z * step)))


def put_in_place(volume: Volume, of: Geometry) -> Volume:
    """The volume with its axes along those of a grid and its middle in the middle of it."""
    turned = replace(volume.geometry, direction=of.direction, origin=(0.0, 0.0, 0.0))
    shift = of.centre - turned.centre
    return Volume(volume.data, replace(turned, origin=(float(shift[0]), float(shift[1]), float(shift[2]))))


def shuffled(volume: Volume) -> Volume:
    """The volume with its voxels in random order."""
    return volume.with_data(np.random.default_rng(0).permutation(volume.data.ravel()).reshape(volume.shape))


def priors(data: Path, name: str) -> dict[str, Volume]:
    """The right planning scan of a scan and wrong ones in its place."""
    own = scan(data, name)
    others = {other: put_in_place(scan(data, other), own.geometry) for other in SCANS if other != name}
    return {"own": own, **others, "shuffled": shuffled(own)}


def study(data: Path, name: str, wanted: argparse.Namespace) -> list[dict[str, object]]:
    """SSIM and PSNR of zero-filling, of the base model, and of fine-tuning on every prior."""
    base = load_model(start_model(wanted.fraction))
    truth = time_point(name)
    acquired = downsample(truth, wanted.fraction)
    found: list[dict[str, object]] = []

    def add(prior: str, way: str, result: Volume, alike: float | None = None) -> None:
        metrics = compare(result.data, truth.data)[0]
        record = {"scan": name, "prior": prior, "similarity": alike, "way": way, "steps": wanted.steps}
        found.append({**record, "fraction": wanted.fraction, "ssim": metrics.ssim, "psnr": metrics.psnr})
        known = "" if alike is None else f"similarity {alike:.2f}"
        print(f"{name:8} {prior:14} {way:20} {metrics.ssim:.4f} {metrics.psnr:.2f} dB {known}", flush=True)

    add("", "zero-filled", truth.with_data(zero_filled(acquired.data, truth.shape[1:])))
    add("", "base model", super_resolve(acquired, base, truth.geometry))
    for prior_name, prior in priors(data, name).items():
        if prior_name not in (wanted.priors or (prior_name,)):
            continue
        alike = similarity(prior, acquired)
        on = adapt_prior(prior, acquired).volume if wanted.adapted else prior
        acquisition = Acquisition.between(on.geometry, acquired.geometry)
        tuned = fine_tune(on, base, acquisition, TrainingBudget("study", wanted.steps))
        for strength in wanted.strengths:
            model = part_of_the_way(base, tuned, strength)
            add(prior_name, f"strength {strength:g}", super_resolve(acquired, model, truth.geometry), alike)
    return found


def part_of_the_way(base: Model, tuned: Model, strength: float) -> Model:
    """The model that fine-tuning with this strength gives."""
    network = copy.deepcopy(base.network)
    end = tuned.network.state_dict()
    network.load_state_dict({key: start.lerp(end[key], strength) for key, start in base.network.state_dict().items()})
    return replace(tuned, network=network)


def main() -> None:
    """Read the arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--scans", nargs="+", choices=tuple(FRAMES), default=list(FRAMES))
    parser.add_argument("--fraction", type=float, default=0.0625, help="share of k-space (default: 0.0625)")
    parser.add_argument("--steps", type=int, default=300, help="of fine-tuning (default: 300)")
    parser.add_argument("--strengths", type=float, nargs="+", default=[1, 0.5, 0.25], help="of fine-tuning")
    parser.add_argument("--adapted", action="store_true", help="match the contrast of every prior to the series")
    parser.add_argument("--priors", nargs="+", help="fine-tune on these alone")
    wanted = parser.parse_args()
    data = data_folder()
    found = []
    for name in wanted.scans:
        found += study(data, name, wanted)
        wanted.output.write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
