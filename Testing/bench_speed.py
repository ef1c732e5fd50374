"""What super-resolution and fine-tuning cost here: ``make bench``.

A synthetic abdomen of the paper's matrix, 256x192x40, is super-resolved at each fraction of k-space by the U-Net and by
the fast network. Every time is also told as a ratio to the plain way (float32, overlapping patches of 24^3 with stride
3, the reference implementation's default), and the network's share as a part of what the largest rate of a bfloat16
convolution here would allow. The tables go to ``build/bench.json`` and ``build/bench.md``.

Patches are many, so their SSIM is that of the middle of the volume alone, and their time that of its patches times how
many more the whole volume has.
"""

from __future__ import annotations

import copy
import json
import math
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from unittest.mock import patch

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from SRDynamicMRILib.acquisition.acquisition import downsample
from SRDynamicMRILib.acquisition.interpolation import zero_filled
from SRDynamicMRILib.api import fine_tune
from SRDynamicMRILib.evaluation.metrics import compare, ssim
from SRDynamicMRILib.geometry import shape_of
from SRDynamicMRILib.inference import series as series_super_resolution
from SRDynamicMRILib.inference.patches import patch_positions
from SRDynamicMRILib.inference.series import FrameFolder, super_resolve_series
from SRDynamicMRILib.inference.super_resolution import super_resolve
from SRDynamicMRILib.inference.tiling import Inference
from SRDynamicMRILib.io.files import read_series, write_series, write_volume
from SRDynamicMRILib.models.budgets import TrainingBudget
from SRDynamicMRILib.models.checkpoints import Model, load_model
from SRDynamicMRILib.models.pretrained import base_model, fast_model, start_model
from SRDynamicMRILib.models.recipes import FRACTIONS, PAPER
from SRDynamicMRILib.phantom import abdomen
from SRDynamicMRILib.process.devices import fastest_precision
from SRDynamicMRILib.progress import Progress
from SRDynamicMRILib.volume import Series, Volume

SHAPE = (40, 192, 256)
REPEATS = 3
LOWEST = min(FRACTIONS)
MIDDLE = (slice(8, 32), slice(72, 120), slice(104, 152))
"""Part of the volume ``(24, 48, 48)`` that patches of small strides are tried on."""

PATCHES = "patches, stride "
STEPS = (25, 100, 300)
TIME_POINTS = 6
PRECISE = Inference(precision="float32")
FOLDER = Path("build")
CPU = torch.device("cpu")


@dataclass
class Row:
    """One line of the table; None where it was not measured.

    Parameters
    ----------
    case, fraction, device
        What was done.
    seconds
        To compute one time point.
    file_to_file
        Seconds of the whole command with Python's start, reading and writing.
    peak
        Largest memory of that command in GiB.
    ssim
        Of the result.
    operations
        Floating-point operations of the network.
    """

    case: str
    fraction: float
    device: str
    seconds: float
    file_to_file: float | None = None
    peak: float | None = None
    ssim: float | None = None
    operations: float | None = None


def median_time(action: Callable[[], object], repeats: int = REPEATS) -> float:
    """Seconds of an action, the median of some runs."""
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def convolution_rate(device: torch.device) -> float:
    """Floating-point operations per second of a large bfloat16 convolution, the best of several sizes."""
    best = 0.0
    for features, size in ((32, (24, 96, 128)), (64, (24, 64, 96)), (128, (16, 64, 64))):
        layer = nn.Conv3d(features, features, 3, padding=1).to(device, torch.bfloat16)
        layer = layer.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
        image = torch.rand(1, features, *size, device=device, dtype=torch.bfloat16)
        image = image.contiguous(memory_format=torch.channels_last_3d)
        operations = 2 * 27 * features**2 * image[0, 0].numel()

        def run(layer: nn.Module = layer, image: torch.Tensor = image) -> None:
            with torch.inference_mode():
                layer(image)
            if device.type == "cuda":
                torch.cuda.synchronize(device)

        run()
        best = max(best, operations / median_time(run, 5))
    return best


def operations_of(model: Model, low: Volume, truth: Volume) -> float:
    """Floating-point operations of the network for one time point."""
    given = low.shape if model.info.factor > 1 else truth.shape
    network = copy.deepcopy(model.network).to("meta")
    with FlopCounterMode(display=False) as counter:
        network(torch.empty(1, 1, *given, device="meta"))
    return float(counter.get_total_flops())


def command(arguments: list[str]) -> tuple[float, float]:
    """Seconds and peak memory (GiB) of one run of the command line."""
    words = [sys.executable, "-m", "SRDynamicMRILib", *arguments, "--progress", "none"]
    started = time.perf_counter()
    process = os.posix_spawn(sys.executable, words, os.environ)
    _, status, usage = os.wait4(process, 0)
    if status != 0:
        sys.exit(f"{' '.join(arguments)} failed")
    return time.perf_counter() - started, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 2**30


def timed(low: Volume, truth: Volume, model: Model, device: torch.device, inference: Inference) -> tuple[float, Volume]:
    """Median seconds of super-resolving a volume, and the result; the first time does not count."""
    result = super_resolve(low, model, truth.geometry, device=device, inference=inference)
    return median_time(lambda: super_resolve(low, model, truth.geometry, device=device, inference=inference)), result


@dataclass(frozen=True)
class Case:
    """One way to super-resolve a whole volume, from Python and from the command line."""

    name: str
    fraction: float
    model: Path | None
    inference: Inference
    options: tuple[str, ...]


def cases() -> list[Case]:
    """Both networks at every fraction, and other ways to use the U-Net at the lowest."""
    found = []
    for fraction in FRACTIONS:
        found.append(Case("fast network", fraction, fast_model(fraction), Inference(), ("--fast",)))
        found.append(Case("U-Net", fraction, base_model(fraction), Inference(), ()))
    found.append(Case("U-Net, float32", LOWEST, base_model(LOWEST), PRECISE, ("--precision", "float32")))
    return found


def whole_volumes(truth: Volume, device: torch.device, folder: Path) -> list[Row]:
    """Time, memory and SSIM of every case.

    Commands come first: the peak that the system tells of a process is at least what this one has when it starts it.
    """
    write_volume(truth, folder / "prior.nii.gz")
    like = ["--like", str(folder / "prior.nii.gz"), "--device", str(device)]
    low = {fraction: downsample(truth, fraction) for fraction in FRACTIONS}
    commands = []
    for case in cases():
        write_volume(low[case.fraction], folder / "low.nii.gz")
        files = [str(folder / name) for name in ("low.nii.gz", "out.nii")]
        commands.append(command(["superresolve", *files, *like, *case.options]))
    rows = []
    for case, (whole, peak) in zip(cases(), commands, strict=True):
        assert case.model is not None
        model = load_model(case.model)
        seconds, result = timed(low[case.fraction], truth, model, device, case.inference)
        operations = operations_of(model, low[case.fraction], truth)
        quality = ssim(result.data, truth.data)
        rows.append(Row(case.name, case.fraction, str(device), seconds, whole, peak, quality, operations))
    return rows


def by_patches(truth: Volume, device: torch.device) -> Iterator[Row]:
    """The U-Net by overlapping patches of the volume's middle, in float32; times are scaled to the whole volume."""
    part = Volume(truth.data[MIDDLE], replace(truth.geometry, shape=shape_of(truth.data[MIDDLE])))
    low, model = downsample(part, LOWEST), load_model(base_model(LOWEST))
    result = super_resolve(low, model, part.geometry, device=device, inference=PRECISE)
    yield Row("middle alone, whole", LOWEST, str(device), math.nan, ssim=ssim(result.data, part.data))
    for stride in (12, 6, 3):
        inference = Inference(patch=PAPER.patch, stride=(stride, stride, stride))
        started = time.perf_counter()
        result = super_resolve(low, model, part.geometry, device=device, inference=inference)
        seconds = time.perf_counter() - started
        done, wanted = (len(patch_positions(shape, PAPER.patch, inference.stride)) for shape in (part.shape, SHAPE))
        quality = ssim(result.data, part.data)
        yield Row(f"middle alone, {PATCHES}{stride}", LOWEST, str(device), seconds * wanted / done, ssim=quality)


def fine_tuning(device: torch.device) -> Iterator[dict[str, object]]:
    """Time and gain of fine-tuning against steps, by both networks, on an abdomen that breathes."""
    phantom = abdomen(1, (12, 192, 256), time_points=2)
    prior, truth = phantom.static, phantom.dynamic[1]
    low = downsample(truth, LOWEST)
    reference = compare(zero_filled(low.data, truth.shape[1:]), truth.data)[0]
    for name, path in (("fast network", start_model(LOWEST)), ("U-Net", base_model(LOWEST))):
        start = load_model(path)
        for steps in (0, *STEPS):
            started = time.perf_counter()
            budget = TrainingBudget("bench", steps)
            model = (
                fine_tune(prior, fraction=LOWEST, model=start, budget=budget, device=str(device)) if steps else start
            )
            seconds = time.perf_counter() - started
            metrics = compare(super_resolve(low, model, truth.geometry, device=device).data, truth.data)[0]
            gap = (metrics.ssim - reference.ssim) / (1 - reference.ssim)
            gain = metrics.psnr - reference.psnr
            yield {"network": name, "device": str(device), "steps": steps, "seconds": seconds, "gap": gap, "dB": gain}


def series(truth: Volume, device: torch.device, folder: Path) -> Iterator[dict[str, object]]:
    """Time of a series from file to file: one thing after the other, and reading and writing beside computing."""
    low = downsample(truth, LOWEST)
    write_series(Series.of([low] * TIME_POINTS), folder / "series.nii.gz")
    given, frames = read_series(folder / "series.nii.gz"), FrameFolder(folder / "frames")
    for name, path in (("fast network", fast_model(LOWEST)), ("U-Net", base_model(LOWEST))):
        assert path is not None
        model = load_model(path)

        def run(beside: bool, model: Model = model) -> None:
            settings = {"device": device, "inference": Inference(), "progress": Progress()}
            with patch.object(series_super_resolution, "works_beside", lambda _: beside):
                super_resolve_series(given, range(TIME_POINTS), model, truth.geometry, frames, **settings)  # type: ignore[arg-type]

        run(False)
        one, other = (median_time(partial(run, beside)) / TIME_POINTS for beside in (False, True))
        yield {"network": name, "device": str(device), "in turn": one, "beside": other, "ratio": one / other}


def batches(truth: Volume, device: torch.device) -> Iterator[dict[str, object]]:
    """Time of a network for four time points of twelve slices, one after the other and in one batch."""
    part = Volume(truth.data[:12], replace(truth.geometry, shape=(12, *SHAPE[1:])))
    for name, path, image in (
        ("fast network", fast_model(LOWEST), downsample(part, LOWEST).data),
        ("U-Net", base_model(LOWEST), part.data),
    ):
        assert path is not None
        network = load_model(path).network.to(device, memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
        images = torch.from_numpy(image / image.max()).to(device).expand(4, 1, *image.shape)
        images = images.contiguous(memory_format=torch.channels_last_3d)

        def run(size: int, network: nn.Module = network, images: torch.Tensor = images) -> None:
            precision = fastest_precision(device)
            with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16"):
                for batch in images.split(size):
                    network(batch).cpu()

        run(1)
        single, together = (median_time(partial(run, size), 5) for size in (1, 4))
        yield {
            "network": name,
            "device": str(device),
            "one by one": single,
            "batch of 4": together,
            "ratio": single / together,
        }


def scaling(truth: Volume) -> Iterator[dict[str, object]]:
    """Time of both networks on the CPU against voxels and threads."""
    threads = torch.get_num_threads()
    for name, path in (("fast network", fast_model(LOWEST)), ("U-Net", base_model(LOWEST))):
        assert path is not None
        model = load_model(path)
        cases = [(times, threads) for times in (1, 2, 4, 8)]
        cases += [(8, number) for number in sorted({1, threads}) if number != threads]
        for times, number in cases:
            part = Volume(truth.data[: 5 * times], replace(truth.geometry, shape=(5 * times, *SHAPE[1:])))
            torch.set_num_threads(number)
            seconds, _ = timed(downsample(part, LOWEST), part, model, CPU, Inference())
            yield {"network": name, "voxels": part.data.size, "threads": number, "seconds": seconds}
        torch.set_num_threads(threads)


def markdown(rows: Sequence[Mapping[str, object]]) -> str:
    """Rows of equal keys as a table."""

    def text(value: object) -> str:
        if value is None or (isinstance(value, float) and math.isnan(value)):
            return ""
        return f"{value:.4g}" if isinstance(value, float) else str(value)

    lines = ["| " + " | ".join(rows[0]) + " |", "|" + "---|" * len(rows[0])]
    lines += ["| " + " | ".join(text(value) for value in row.values()) + " |" for row in rows]
    return "\n".join(lines)


def with_ratios(rows: Sequence[Row], rates: Mapping[str, float]) -> list[dict[str, object]]:
    """The rows, each with how many times faster it is than the plain way and its share of the ceiling."""
    plain = {row.device: row.seconds for row in rows if row.case.endswith(f"{PATCHES}3")}
    found = []
    for row in rows:
        facts = asdict(row)
        operations = facts.pop("operations")
        facts["times faster than the plain way"] = plain["cpu"] / row.seconds
        facts["share of the ceiling"] = operations and operations / row.seconds / rates[row.device]
        found.append(facts)
    return found


def main() -> None:
    """Measure, print the tables and save them."""
    devices = [CPU, *([torch.device("cuda")] if torch.cuda.is_available() else [])]
    truth = abdomen(0, SHAPE, time_points=1).static
    rates = {str(device): convolution_rate(device) for device in devices}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = [
            row for device in devices for row in (*whole_volumes(truth, device, folder), *by_patches(truth, device))
        ]
        overlap = [row for device in devices for row in series(truth, device, folder)]
    results = {
        "machine": f"{processor()}, {torch.get_num_threads()} threads, torch {torch.__version__}",
        "ceiling (GFLOP/s)": {device: rate / 1e9 for device, rate in rates.items()},
        "super-resolution": with_ratios(rows, rates),
        "fine-tuning": [row for device in devices for row in fine_tuning(device)],
        "series": overlap,
        "batches": [row for device in devices for row in batches(truth, device)],
        "scaling": list(scaling(truth)),
    }
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / "bench.json").write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    parts = [f"Machine: {results['machine']}", f"Ceiling: {results['ceiling (GFLOP/s)']} GFLOP/s"]
    for title in ("super-resolution", "fine-tuning", "series", "batches", "scaling"):
        parts += [f"## {title}", markdown(results[title])]  # type: ignore[arg-type]
    text = "\n\n".join(parts) + "\n"
    (FOLDER / "bench.md").write_text(text, encoding="utf-8")
    sys.stdout.write(text)


def processor() -> str:
    """Name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


if __name__ == "__main__":
    main()
