"""Time and memory of super-resolving one volume of the paper's matrix, as a user would: ``make bench``.

Every row is a run of the command line in a process of its own; time and peak memory are that process's. The last column
is the ratio to the first row. Results also go to ``build/bench.json``.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import tempfile
import time
from pathlib import Path

import torch

from SRDynamicMRILib.files import write_volume
from SRDynamicMRILib.kspace import downsample
from SRDynamicMRILib.phantom import abdomen
from SRDynamicMRILib.recipes import FRACTIONS

SHAPE = (40, 192, 256)
REPEATS = 3
RESULTS = Path("build/bench.json")


def run(arguments: list[str]) -> tuple[float, float]:
    """Seconds and peak memory (GiB) of one run of the command line."""
    command = [sys.executable, "-m", "SRDynamicMRILib", *arguments, "--progress", "none"]
    started = time.perf_counter()
    process = os.posix_spawn(sys.executable, command, os.environ)
    _, status, usage = os.wait4(process, 0)
    seconds = time.perf_counter() - started
    if status != 0:
        sys.exit(f"{' '.join(arguments)} failed")
    return seconds, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 2**30


def main() -> None:
    """Measure, print a table and save it."""
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        volume = abdomen(0, SHAPE, time_points=1).static
        write_volume(volume, folder / "prior.nii.gz")
        for fraction in FRACTIONS:
            write_volume(downsample(volume, fraction), folder / f"{fraction}.nii.gz")
        like = ["--like", str(folder / "prior.nii.gz")]
        out = str(folder / "out.nii")
        low = str(folder / "0.0625.nii.gz")
        cases = {
            f"whole volume, {100 * fraction:g}%": ["superresolve", str(folder / f"{fraction}.nii.gz"), out, *like]
            for fraction in reversed(FRACTIONS)
        }
        cases["patches, stride 12, 6.25%"] = ["superresolve", low, out, *like, "--stride", "12", "12", "12"]
        for case, arguments in cases.items():
            runs = sorted(run(arguments) for _ in range(REPEATS))
            seconds, memory = runs[REPEATS // 2][0], max(memory for _, memory in runs)
            rows.append({"case": case, "seconds": seconds, "peak_GiB": memory})
    machine = (
        f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}"
    )
    lines = [f"Super-resolving one {SHAPE[2]}x{SHAPE[1]}x{SHAPE[0]} volume, start of Python and files included;"]
    lines += [f"median of {REPEATS} runs. {machine}", "", f"{'case':32}{'time (s)':>10}{'peak (GiB)':>12}{'ratio':>8}"]
    for row in rows:
        ratio = row["seconds"] / rows[0]["seconds"]
        lines.append(f"{row['case']:32}{row['seconds']:10.1f}{row['peak_GiB']:12.2f}{ratio:8.2f}")
    sys.stdout.write("\n".join(lines) + "\n")
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({"machine": machine, "rows": rows}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
