"""Which choices of the recipe matter: one row per choice, each trained for the same processor time.

    python Studies/ablation.py --output DIR [--minutes 6] [--rows NAME ...]

trains every row on ``train`` of the folder that SRDYNAMICMRI_DATA names, one scan held out, and measures it on
that scan and on the two of ``bench``. Rows that are in DIR already are kept; ``--table`` prints them all.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from real_scans import data_folder
from torch import Tensor
from torch.nn import functional as F

from SRDynamicMRILib.acquisition.acquisition import downsample
from SRDynamicMRILib.acquisition.interpolation import zero_filled
from SRDynamicMRILib.evaluation.metrics import compare
from SRDynamicMRILib.inference.super_resolution import super_resolve
from SRDynamicMRILib.inference.tiling import Inference
from SRDynamicMRILib.io.files import read_series
from SRDynamicMRILib.losses.perceptual import PerceptualLoss
from SRDynamicMRILib.losses.registry import PERCEPTUAL_LOSSES, VOXEL_LOSSES
from SRDynamicMRILib.models.checkpoints import Model, load_model, save_model
from SRDynamicMRILib.models.recipes import DEFAULT, FRACTIONS, PAPER, Recipe
from SRDynamicMRILib.progress import Progress
from SRDynamicMRILib.training.main_training import MainTraining, train
from SRDynamicMRILib.volume import Volume


class L1AndPerceptual(PerceptualLoss):
    """Sum of the L1 loss of voxels and the perceptual loss."""

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Loss of images ``(B, 1, D, H, W)``: a scalar."""
        return F.l1_loss(output, target) + super().forward(output, target)


VOXEL_LOSSES["l1"] = F.l1_loss
PERCEPTUAL_LOSSES["l1+perceptual"] = L1AndPerceptual

HELD_OUT = "SCD0000201_dynamic.nii.gz"
SLICES = 6
SYNTHETIC = 60
SEED = 0


@dataclass(frozen=True)
class Row:
    """One choice.

    Parameters
    ----------
    name
        What the table calls it.
    recipe
        How the model is trained.
    fractions
        What it is trained for, and measured at.
    real, synthetic
        Whether it sees real scans, and how many synthetic ones.
    trained_as
        Name of the row whose weights it uses; its own if empty.
    use
        Changes of the model's metadata for inference.
    inference
        How the network is applied.
    crop
        In-plane voxels that are measured; 0 takes all. For inference that takes too long on whole slices.
    """

    name: str
    recipe: Recipe = DEFAULT
    fractions: Sequence[float] = FRACTIONS
    real: bool = True
    synthetic: int = SYNTHETIC
    trained_as: str = ""
    use: dict[str, Any] = field(default_factory=dict)
    inference: Inference = field(default_factory=Inference)
    crop: int = 0


def _patches(stride: int) -> Row:
    inference = Inference(patch=(12, 48, 48), stride=(stride, stride, stride))
    return Row(f"patches, stride {stride}", trained_as="default", inference=inference, crop=72)


ROWS = (
    Row("default"),
    Row("input: trilinear by index", replace(DEFAULT, interpolation="trilinear_index")),
    Row("input: trilinear", replace(DEFAULT, interpolation="trilinear")),
    Row("input: zero-filled", replace(DEFAULT, interpolation="zero_filled")),
    Row("no residual", replace(DEFAULT, residual=False)),
    Row("loss: L1", replace(DEFAULT, loss="l1")),
    Row("loss: perceptual", replace(DEFAULT, loss="perceptual")),
    Row("loss: L1 + perceptual", replace(DEFAULT, loss="l1+perceptual")),
    Row("model for 25% alone", fractions=FRACTIONS[:1]),
    Row("model for 10% alone", fractions=FRACTIONS[1:2]),
    Row("model for 6.25% alone", fractions=FRACTIONS[2:]),
    Row("synthetic scans alone", real=False),
    Row("real scans alone", synthetic=0),
    Row("16 features", replace(DEFAULT, features=16)),
    Row("64 features", replace(DEFAULT, features=64)),
    Row("paper", PAPER),
    Row("no data consistency", trained_as="default", use={"data_consistency": False}),
    Row("whole volume, cropped", trained_as="default", crop=72),
    _patches(12),
    _patches(6),
    _patches(3),
    _patches(1),
)


class _Clock(Progress):
    """Processor time of a step, after the first few."""

    def __init__(self) -> None:
        self.marks: dict[int, float] = {}

    def stage(self, name: str) -> None:
        self.marks.clear()  # making synthetic scans has steps too

    def step(self, done: int, total: int) -> None:
        self.marks[done] = time.process_time()

    def per_step(self) -> float:
        first, last = 4, max(self.marks)
        return (self.marks[last] - self.marks[first]) / (last - first)


@cache
def held_out_scans(data: Path) -> dict[str, Volume]:
    """The middle slices of scans that no row has seen."""
    places = {
        "cine": (data / "train" / HELD_OUT, 8),
        "heart": (data / "bench" / "heart" / "dynamic.nii.gz", 8),
        "pelvis": (data / "bench" / "pelvis" / "dynamic.nii.gz", 0),
    }
    scans = {}
    for name, (path, frame) in places.items():
        volume = read_series(path)[frame]
        first = (volume.shape[0] - SLICES) // 2
        scans[name] = _part(volume, slice(first, first + SLICES), slice(None))
    return scans


def _part(volume: Volume, slices: slice, plane: slice) -> Volume:
    data = volume.data[slices, plane, plane].copy()
    return Volume(data, replace(volume.geometry, shape=data.shape))


def _centre(volume: Volume, crop: int) -> Volume:
    if not crop:
        return volume
    first = (volume.shape[1] - crop) // 2
    return _part(volume, slice(None), slice(first, first + crop))


def train_row(row: Row, data: Path, minutes: float, perceptual_network: Path | None) -> tuple[Model, dict[str, float]]:
    """Train a row for a number of minutes of processor time."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        for path in (data / "train").glob("*.nii.gz"):
            if path.name != HELD_OUT:
                (Path(name) / path.name).symlink_to(path)
        task = MainTraining(
            [Path(name)] if row.real else [], row.synthetic, fractions=row.fractions, seed=SEED, validation_share=0
        )

        def run(steps: int, progress: Progress) -> Model:
            return train(
                replace(task, steps=steps),
                row.recipe,
                torch.device("cpu"),
                progress,
                perceptual_network=perceptual_network,
            )

        clock = _Clock()
        run(20, clock)
        steps = max(20, int(60 * minutes / clock.per_step()))
        clock = _Clock()
        model = run(steps, clock)
    return model, {"steps": steps, "seconds per step": clock.per_step()}


def measure_row(row: Row, model: Model, data: Path) -> dict[str, dict[str, float]]:
    """SSIM and PSNR of a row and of zero-filling on every scan at every fraction."""
    model = model.with_info(**row.use) if row.use else model
    figures = {}
    for name, scan in held_out_scans(data).items():
        truth = _centre(scan, row.crop)
        for fraction in row.fractions:
            acquired = downsample(truth, fraction)
            result = super_resolve(acquired, model, truth.geometry, inference=row.inference)
            ours = compare(result.data, truth.data)[0]
            reference = compare(zero_filled(acquired.data, truth.shape[1:]), truth.data)[0]
            figures[f"{name} {fraction:g}"] = {
                "ssim": ours.ssim,
                "psnr": ours.psnr,
                "gap closed": (ours.ssim - reference.ssim) / (1 - reference.ssim),
                "psnr gain": ours.psnr - reference.psnr,
            }
    return figures


def run(rows: Sequence[Row], data: Path, output: Path, minutes: float, perceptual_network: Path | None) -> None:
    """Train and measure rows that are not in the output folder yet."""
    output.mkdir(parents=True, exist_ok=True)
    for row in rows:
        file = output / f"{_file_name(row.name)}.json"
        if file.exists():
            continue
        weights = output / f"{_file_name(row.trained_as or row.name)}.safetensors"
        facts: dict[str, float] = {}
        if not weights.exists():
            if row.trained_as:
                sys.exit(f"{row.name} needs the weights of {row.trained_as}; run that row first.")
            model, facts = train_row(row, data, minutes, perceptual_network)
            save_model(model, weights)
        figures = measure_row(row, load_model(weights), data)
        result = {"row": asdict(row), "minutes": minutes, **facts, "figures": figures}
        file.write_text(json.dumps(result, indent=2), encoding="utf-8")
        print(_line(result), flush=True)


def table(output: Path) -> str:
    """Markdown table of the rows in a folder, in the order of `ROWS`."""
    lines = ["| row | steps | heart: gap closed | dB | cine | dB | pelvis | dB |", "|---|---|---|---|---|---|---|---|"]
    for row in ROWS:
        file = output / f"{_file_name(row.name)}.json"
        if file.exists():
            lines.append(_line(json.loads(file.read_text(encoding="utf-8"))))
    return "\n".join(lines)


def _line(result: dict[str, Any]) -> str:
    """Means over the fractions of a row, scan by scan."""
    cells = [result["row"]["name"], str(result.get("steps", ""))]
    for scan in ("heart", "cine", "pelvis"):
        found = [v for name, v in result["figures"].items() if name.startswith(scan)]
        cells.append(f"{100 * sum(f['gap closed'] for f in found) / len(found):.1f}%")
        cells.append(f"{sum(f['psnr gain'] for f in found) / len(found):+.2f}")
    return "| " + " | ".join(cells) + " |"


def _file_name(name: str) -> str:
    return "".join(c if c.isalnum() else "_" for c in name)


def main() -> None:
    """Read the arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=6.0, help="processor time of each row (default: 6)")
    parser.add_argument("--rows", nargs="+", choices=[row.name for row in ROWS], help="default: all")
    parser.add_argument("--perceptual-network", type=Path)
    parser.add_argument("--table", action="store_true", help="print what DIR holds, train nothing")
    arguments = parser.parse_args()
    if not arguments.table:
        data = data_folder()
        rows = [row for row in ROWS if not arguments.rows or row.name in arguments.rows]
        run(rows, data, arguments.output, arguments.minutes, arguments.perceptual_network)
    print(table(arguments.output))


if __name__ == "__main__":
    main()
