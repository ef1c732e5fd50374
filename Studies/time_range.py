"""Means over some of the time points of a benchmark, such as those that differ most from the planning scan.

python Studies/time_range.py benchmark.csv 4:13
"""

from __future__ import annotations

import argparse
import csv
from collections import defaultdict
from pathlib import Path
from statistics import fmean

_KEYS = ("subject", "scenario", "fraction", "method")
_FIGURES = {"ssim": "SSIM", "psnr": "PSNR (dB)", "difference_sd": "SD of difference"}


def table(file: Path, first: int, end: int) -> str:
    """Means over the whole volume of the time points `first`, ..., `end` - 1, by `_KEYS`."""
    groups: dict[tuple[str, ...], list[dict[str, str]]] = defaultdict(list)
    with file.open(newline="", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            if row["region"] == "whole" and first <= int(row["time_point"]) < end:
                groups[tuple(row[key] for key in _KEYS)].append(row)
    lines = [f"| {' | '.join([*_KEYS, 'time points', *_FIGURES.values()])} |", "|---" * 8 + "|"]
    for key, rows in groups.items():
        means = [f"{fmean(float(row[name]) for row in rows):.{2 if name == 'psnr' else 4}f}" for name in _FIGURES]
        lines.append(f"| {' | '.join([*key, str(len(rows)), *means])} |")
    return "\n".join(lines)


def main() -> None:
    """Read the arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("benchmark", type=Path, help="benchmark.csv of the command `benchmark`")
    parser.add_argument("range", metavar="A:B", help="time points from A up to and without B")
    arguments = parser.parse_args()
    first, end = (int(number) for number in arguments.range.split(":"))
    print(table(arguments.benchmark, first, end))


if __name__ == "__main__":
    main()
