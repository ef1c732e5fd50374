"""What super-resolution and fine-tuning cost here: ``make bench``.

A synthetic abdomen of the paper's matrix, 256x192x40, is super-resolved at each fraction of k-space by the U-Net and by
the fast network. Every time is also told as a ratio to the plain way (float32, overlapping patches of 24^3 with stride
3, the reference implementation's default) and as a share of what the largest rate of a bfloat16 convolution here would
allow. The table goes to ``build/bench.json`` and ``build/bench.md``.

Patches are many, so stride 6 and 3 are timed by some hundred patches and their SSIM is that of the middle of the volume.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from SRDynamicMRILib.checkpoints import Model, load_model
from SRDynamicMRILib.devices import fastest_precision
from SRDynamicMRILib.files import write_volume
from SRDynamicMRILib.inference import Inference
from SRDynamicMRILib.interpolation import zero_filled
from SRDynamicMRILib.kspace import downsample
from SRDynamicMRILib.metrics import compare, ssim
from SRDynamicMRILib.patches import patch_positions
from SRDynamicMRILib.phantom import abdomen
from SRDynamicMRILib.recipes import FRACTIONS, PAPER
from SRDynamicMRILib.shipped import base_model, fast_model, start_model
from SRDynamicMRILib.super_resolution import super_resolve
from SRDynamicMRILib.training.fine_tuning import Budget, fine_tune, kept_by_fraction
from SRDynamicMRILib.volume import Volume, shape_of

SHAPE = (40, 192, 256)
REPEATS = 3
LOWEST = min(FRACTIONS)
MIDDLE = (slice(8, 32), slice(72, 120), slice(104, 152))
"""Part of the volume ``(24, 48, 48)`` that patches of small strides are tried on."""

STEPS = (25, 100, 300)
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
    floating_point_operations
        Of the network.
    """

    case: str
    fraction: float
    device: str
    seconds: float
    file_to_file: float | None = None
    peak: float | None = None
    ssim: float | None = None
    floating_point_operations: float | None = None


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
    network = model.network.to(CPU)
    with FlopCounterMode(display=False) as counter, torch.device("meta"):
        type(network)(**_size(model)).eval()(torch.empty(1, 1, *given))
    return float(counter.get_total_flops())


def _size(model: Model) -> dict[str, int]:
    more = {"factor": model.info.factor} if model.info.factor > 1 else {}
    return {"features": model.info.features, **more}


def command(arguments: list[str]) -> tuple[float, float]:
    """Seconds and peak memory (GiB) of one run of the command line."""
    words = [sys.executable, "-m", "SRDynamicMRILib", *arguments, "--progress", "none"]
    started = time.perf_counter()
    process = os.posix_spawn(sys.executable, words, os.environ)
    _, status, usage = os.wait4(process, 0)
    if status != 0:
        sys.exit(f"{' '.join(arguments)} failed")
    return time.perf_counter() - started, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 2**30


def whole_volumes(truth: Volume, device: torch.device, folder: Path) -> Iterator[Row]:
    """Both networks at every fraction, and the U-Net in float32."""
    write_volume(truth, folder / "prior.nii.gz")
    for fraction in FRACTIONS:
        low = downsample(truth, fraction)
        write_volume(low, folder / "low.nii.gz")
        cases = {"U-Net": (base_model(fraction), None, []), "fast network": (fast_model(fraction), None, ["--fast"])}
        if fraction == LOWEST:
            cases["U-Net, float32"] = (base_model(fraction), "float32", ["--precision", "float32"])
            cases["U-Net, 4 shifts"] = (base_model(fraction), None, ["--shifts", "4"])
        for case, (path, precision, more) in cases.items():
            assert path is not None
            model = load_model(path)
            inference = Inference(precision=precision, shifts=4 if "shifts" in case else 1)
            results: list[Volume] = []

            def run(
                low: Volume = low, model: Model = model, inference: Inference = inference, to: list[Volume] = results
            ) -> None:
                to[:] = [super_resolve(low, model, truth.geometry, device=device, inference=inference)]

            run()
            seconds = median_time(run)
            files = [str(folder / name) for name in ("low.nii.gz", "out.nii")]
            like = ["--like", str(folder / "prior.nii.gz"), "--device", str(device)]
            whole, peak = command(["superresolve", *files, *like, *more])
            quality = ssim(results[0].data, truth.data)
            yield Row(case, fraction, str(device), seconds, whole, peak, quality, operations_of(model, low, truth))


def by_patches(truth: Volume, device: torch.device) -> Iterator[Row]:
    """The U-Net by overlapping patches, in float32."""
    part = Volume(truth.data[MIDDLE], replace(truth.geometry, shape=shape_of(truth.data[MIDDLE])))
    low, model = downsample(part, LOWEST), load_model(base_model(LOWEST))
    for stride in (12, 6, 3):
        inference = Inference(patch=PAPER.patch, stride=(stride, stride, stride))
        results: list[Volume] = []
        seconds = median_time(
            lambda inference=inference, to=results: to.append(  # type: ignore[misc]
                super_resolve(low, model, part.geometry, device=device, inference=inference)
            ),
            1,
        )
        done, wanted = (len(patch_positions(shape, PAPER.patch, inference.stride)) for shape in (part.shape, SHAPE))
        quality = ssim(results[0].data, part.data)
        yield Row(f"U-Net, patches, stride {stride} *", LOWEST, str(device), seconds * wanted / done, ssim=quality)
    whole = ssim(super_resolve(low, model, part.geometry, device=device).data, part.data)
    yield Row("U-Net, whole volume *", LOWEST, str(device), median_time(lambda: None), ssim=whole)


def fine_tuning(device: torch.device) -> list[dict[str, object]]:
    """Time and gain of fine-tuning against steps, by both networks, on an abdomen that breathes."""
    phantom = abdomen(1, (12, 192, 256), time_points=2)
    prior, truth = phantom.static, phantom.dynamic[1]
    low, kept = downsample(truth, LOWEST), kept_by_fraction(prior.geometry, LOWEST)
    reference = compare(zero_filled(low.data, truth.shape[1:]), truth.data)[0]
    found: list[dict[str, object]] = []
    for name, path in (("U-Net", base_model(LOWEST)), ("fast network", start_model(LOWEST))):
        start = load_model(path)
        for steps in (0, *STEPS):
            started = time.perf_counter()
            model = fine_tune(prior, start, kept, Budget("bench", steps), device=device) if steps else start
            seconds = time.perf_counter() - started
            metrics = compare(super_resolve(low, model, truth.geometry, device=device).data, truth.data)[0]
            gap = (metrics.ssim - reference.ssim) / (1 - reference.ssim)
            gain = metrics.psnr - reference.psnr
            found.append({"network": name, "steps": steps, "seconds": seconds, "gap closed": gap, "dB": gain})
    return found


def scaling(truth: Volume) -> list[dict[str, object]]:
    """Time of the fast network and the U-Net on the CPU against voxels and threads."""
    found: list[dict[str, object]] = []
    threads = torch.get_num_threads()
    for name, path in (("U-Net", base_model(LOWEST)), ("fast network", fast_model(LOWEST))):
        assert path is not None
        model = load_model(path)
        for times in (1, 2, 4, 8):
            part = Volume(truth.data[: 5 * times], replace(truth.geometry, shape=(5 * times, *SHAPE[1:])))
            seconds = _seconds(model, part)
            found.append({"network": name, "voxels": part.data.size, "threads": threads, "seconds": seconds})
        for number in sorted({1, threads}):
            with _threads(number):
                seconds = _seconds(model, truth)
            found.append({"network": name, "voxels": truth.data.size, "threads": number, "seconds": seconds})
    return found


def _seconds(model: Model, truth: Volume) -> float:
    low = downsample(truth, LOWEST)
    return median_time(lambda: super_resolve(low, model, truth.geometry))


@contextmanager
def _threads(number: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    yield
    torch.set_num_threads(before)


def table(rows: list[Row], rates: dict[str, float]) -> list[str]:
    """The rows as Markdown, with ratios."""
    reference = next(
        row.seconds for row in rows if row.case.startswith("U-Net, patches, stride 3") and row.device == "cpu"
    )
    lines = [
        "| case | k-space | device | compute (s) | file to file (s) | peak (GiB) | SSIM | faster than the plain way | share of the ceiling |"
    ]
    lines.append("|---|---|---|---|---|---|---|---|---|")

    def number(value: float | None, digits: int) -> str:
        return "" if value is None else f"{value:.{digits}f}"

    for row in rows:
        share = ""
        if row.floating_point_operations is not None:
            share = f"{100 * row.floating_point_operations / row.seconds / rates[row.device]:.0f}%"
        cells = [row.case, f"{100 * row.fraction:g}%", row.device, number(row.seconds, 2), number(row.file_to_file, 1)]
        cells += [number(row.peak, 2), number(row.ssim, 4), f"{reference / row.seconds:.1f}", share]
        lines.append("| " + " | ".join(cells) + " |")
    return lines
