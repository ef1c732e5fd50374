"""How well the acquisition of a series is recognised from its voxels: matrix, noise, window, shutter, sign.

    python Studies/recognition.py --output recognition.json

Random acquisitions of real and synthetic scans, as a scanner stores them: phase, noise, shutter, window, partial
Fourier, zero-filling, magnitude, 12 bits.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from real_scans import data_folder

from SRDynamicMRILib.acquisition.acquisition import Acquisition
from SRDynamicMRILib.acquisition.air import air_of
from SRDynamicMRILib.acquisition.body import body_signal
from SRDynamicMRILib.acquisition.kspace import crop_kspace
from SRDynamicMRILib.acquisition.phase import random_phase
from SRDynamicMRILib.acquisition.recognise import RecognisedAcquisition, recognise_acquisition
from SRDynamicMRILib.acquisition.simulate import rounded, stored_image
from SRDynamicMRILib.acquisition.windows import Window
from SRDynamicMRILib.geometry import FloatArray, Geometry
from SRDynamicMRILib.io.files import read_series, read_volume
from SRDynamicMRILib.phantom import abdomen
from SRDynamicMRILib.volume import Series, Stated

SLICES = 8
SHARPEST = 0.7
"""Share of rows and columns taken of a real scan: some scanners had interpolated them, so the rest may be empty."""


@dataclass(frozen=True)
class Case:
    """One acquisition and what was stored.

    `own_noise` is that which the scan itself has at the acquired matrix, as far as its air tells; `acquisition` has the
    noise that was added.
    """

    scan: str
    acquisition: Acquisition
    signal: float
    own_noise: float
    image: FloatArray


def scans() -> dict[str, Callable[[], tuple[FloatArray, FloatArray | None]]]:
    """Magnitude and, where it was measured, phase ``(D, H, W)`` of every scan, by name."""
    data = data_folder()

    def real(path: str, number: int = 0) -> Callable[[], tuple[FloatArray, FloatArray | None]]:
        def read() -> tuple[FloatArray, FloatArray | None]:
            image = read_series(data / path)[number].data
            middle = max(0, len(image) // 2 - SLICES // 2)
            image = image[middle : middle + SLICES]
            return np.maximum(crop_kspace(image, tuple(round(SHARPEST * n) for n in image.shape[1:])), 0), None

        return read

    def kidneys(name: str) -> Callable[[], tuple[FloatArray, FloatArray | None]]:
        def read() -> tuple[FloatArray, FloatArray | None]:
            folder = data / f"bench_complex/kidneys_{name}"
            return (
                read_volume(folder / "static.nii.gz").data[:SLICES],
                read_volume(folder / "static_phase.nii.gz").data[:SLICES],
            )

        return read

    def synthetic(seed: int) -> Callable[[], tuple[FloatArray, FloatArray | None]]:
        shape = [(SLICES, 192, 256), (SLICES, 256, 256), (SLICES, 240, 320), (SLICES, 144, 192)][seed % 4]
        size = 380 / shape[2]

        def make() -> tuple[FloatArray, FloatArray | None]:
            made = abdomen(seed, shape, (size, size, 6.0), 2)
            return (made.static if seed % 2 else made.dynamic[1]).data, None

        return make

    found = {
        f"{name} {number}": real(path, number)
        for name, path, numbers in (
            ("cine 1", "train/SCD0000101_dynamic.nii.gz", (0, 8)),
            ("cine 2", "train/SCD0000201_dynamic.nii.gz", (3, 12)),
            ("heart", "bench/heart/dynamic.nii.gz", (2, 9)),
            ("knee", "train/knee_mese.nii.gz", (0, 2)),
            ("head", "train/head_t1w.nii.gz", (0,)),
            ("pelvis, planning scan", "bench/pelvis/static.nii.gz", (0,)),
            ("pelvis", "bench/pelvis/dynamic.nii.gz", (0,)),
        )
        for number in numbers
    }
    found |= {f"kidneys ({name})": kidneys(name) for name in ("philips", "siemens")}
    return found | {f"phantom {seed}": synthetic(seed) for seed in range(8)}


def random_window(rng: np.random.Generator) -> Window:
    """Draw a window, along the axes or radial."""
    name = str(rng.choice(["none", "none", "hann", "hamming", "fermi", "tukey", "gauss"]))
    parameter = {
        "fermi": rng.uniform(0.03, 0.15),
        "tukey": rng.uniform(0.1, 0.8),
        "gauss": rng.uniform(0.35, 0.9),
    }.get(name, 0.0)
    return Window(name, float(parameter), bool(name != "none" and rng.random() < 0.4))


def random_acquisition(full: tuple[int, int], signal: float, rng: np.random.Generator) -> Acquisition:
    """Draw an acquisition of a scan with this matrix."""
    area, aspect = 0.04 * 10 ** rng.uniform(0, 1), np.exp(rng.uniform(-0.4, 0.4))
    shares = [min(1.0, np.sqrt(area * aspect)), min(1.0, np.sqrt(area / aspect))]
    if rng.random() < 0.2:
        whole = int(rng.integers(2))
        shares[whole], shares[1 - whole] = 1.0, max(area, 0.15)
    acquired = [max(24, round(share * n)) for share, n in zip(shares, full, strict=True)]
    acquired = [min(a, n) for a, n in zip(acquired, full, strict=True)]
    ways = {
        "1x": tuple(acquired),
        "2x": tuple(2 * n for n in acquired),
        "power of two": tuple(2 ** int(np.ceil(np.log2(n))) for n in acquired),
        "planning scan's": full,
    }
    way = str(rng.choice(list(ways)))
    signed = rng.random() < 0.15
    return Acquisition(
        (acquired[0], acquired[1]),
        full,
        ways[way],
        shutter="ellipse" if rng.random() < 0.25 else "rectangle",
        partial_fourier=float(rng.choice([1.0, 1.0, 1.0, 0.875, 0.75])),
        window=random_window(rng),
        noise=signal / 5 / 20 ** rng.random(),
        magnitude=not signed,
    )


def cases(number: int, seed: int = 0) -> Iterator[Case]:
    """Draw acquisitions, the scans one after the other."""
    sources = {name: cache(read) for name, read in scans().items()}
    names = list(sources)
    for n in range(number):
        rng = np.random.default_rng((seed, n))
        name = names[n % len(names)]
        magnitude, phase = sources[name]()
        signal = body_signal(magnitude)
        acquisition = random_acquisition((magnitude.shape[1], magnitude.shape[2]), signal, rng)
        if phase is None:
            phase = random_phase(magnitude, rng)
        image = stored_image(magnitude, acquisition, phase=phase if acquisition.magnitude else None, rng=rng)
        yield Case(name, acquisition, signal, own_noise(magnitude, acquisition), rounded(image))


def own_noise(scan: FloatArray, acquisition: Acquisition) -> float:
    """Noise that a scan brings along to the acquired matrix: that of its air, which fewer samples average."""
    air = air_of(scan, (scan.shape[1], scan.shape[2]))
    return 0.0 if air is None else float(np.sqrt(air.power / 2 * acquisition.fraction))


def look(case: Case, header: bool) -> dict[str, Any]:
    """What is recognised of a case, beside the truth; with a header that says matrix and component, or without."""
    true, (depth, rows, columns) = case.acquisition, case.image.shape
    geometry = Geometry((depth, rows, columns), (1.0, 1.0, 1.0))
    matrix, stated = (true.acquired_matrix, Stated(true.magnitude)) if header else (None, Stated())
    series = Series(lambda _: case.image, [0.0], geometry, acquired_matrix=matrix, stated=stated)
    found = recognise_acquisition(series)
    noise = float(np.hypot(true.noise, case.own_noise))
    measured = (round(true.partial_fourier * true.acquired_matrix[0]), true.acquired_matrix[1])
    return {
        "scan": case.scan,
        "header": header,
        "true": described(true) | {"noise": noise, "snr": case.signal / noise},
        "found": described(found.acquisition()) | {"noise": found.noise},
        "warnings": list(found.warnings),
        "lines": [a - b for a, b in zip(found.matrix, true.acquired_matrix, strict=True)],
        "measured": [a - b for a, b in zip(found.matrix, measured, strict=True)],
        "snr_ratio": noise / found.noise if found.noise else None,
        "weights": weights_apart(found, true),
    }


def described(acquisition: Acquisition) -> dict[str, Any]:
    """Describe an acquisition as JSON holds it."""
    return {
        "matrix": acquisition.acquired_matrix,
        "stored": acquisition.stored_matrix,
        "shutter": acquisition.shutter,
        "partial_fourier": acquisition.partial_fourier,
        "window": str(acquisition.window),
        "magnitude": acquisition.magnitude,
    }


def weights_apart(found: RecognisedAcquisition, true: Acquisition) -> float:
    """RMS difference of the weights of k-space, as functions of the distance from centre to edge."""
    matrix = (64, 64)
    weights = [
        Acquisition(matrix, matrix, shutter=each.shutter, window=each.window).sample_weights for each in (found, true)
    ]
    return float(np.sqrt(np.square(weights[0] - weights[1]).mean()))


def shares(found: list[dict[str, Any]]) -> dict[str, float]:
    """Shares of the cases in which each part was recognised."""

    def share(good: Callable[[dict[str, Any]], bool]) -> float:
        return round(sum(map(good, found)) / max(len(found), 1), 3)

    return {
        "cases": len(found),
        "matrix within 2 lines": share(is_right),
        "matrix or measured lines within 2": share(lambda c: is_right(c) or max(map(abs, c["measured"])) <= 2),
        "matrix too small by more than 2": share(lambda c: min(c["lines"]) < -2),
        "wrong without a warning": share(lambda c: not is_right(c) and not c["warnings"]),
        "SNR within 25%": share(lambda c: bool(c["snr_ratio"]) and 0.75 <= c["snr_ratio"] <= 1.25),
        "signed or magnitude": share(lambda c: c["true"]["magnitude"] == c["found"]["magnitude"]),
        "window within 0.1 RMS": share(lambda c: c["weights"] < 0.1),
        "window within 0.25 RMS": share(lambda c: c["weights"] < 0.25),
        "shutter": share(lambda c: c["true"]["shutter"] == c["found"]["shutter"]),
    }


def is_right(case: dict[str, Any]) -> bool:
    """Whether the acquired matrix was found within 2 rows and columns."""
    return max(map(abs, case["lines"])) <= 2


def ratio(case: dict[str, Any]) -> float:
    """How many times more was stored than acquired, along the axis where it is least but more than once."""
    ratios = [m / h for m, h in zip(case["true"]["stored"], case["true"]["matrix"], strict=True)]
    return min([each for each in ratios if each > 1] or [1.0])


def ends_at_nothing(case: dict[str, Any]) -> bool:
    """Whether the window comes down to nothing at the edge."""
    return str(case["true"]["window"]).startswith(("hann", "tukey"))


PARTS: dict[str, Callable[[dict[str, Any]], bool]] = {
    "all": lambda c: True,
    "signed": lambda c: not c["true"]["magnitude"],
    "magnitude, stored as acquired": lambda c: c["true"]["magnitude"] and ratio(c) == 1,
    "magnitude, below 2x": lambda c: c["true"]["magnitude"] and 1 < ratio(c) < 2,
    "magnitude, 2x and more": lambda c: c["true"]["magnitude"] and ratio(c) >= 2,
    "the same, window ends at nothing": lambda c: PARTS["magnitude, 2x and more"](c) and ends_at_nothing(c),
    "the same, other windows": lambda c: PARTS["magnitude, 2x and more"](c) and not ends_at_nothing(c),
    "partial Fourier": lambda c: c["true"]["partial_fourier"] < 1,
    "SNR below 20": lambda c: c["true"]["snr"] < 20,
}
"""Parts of the cases that are counted on their own."""


def main() -> None:
    """Run the study."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, help="JSON file to write")
    parser.add_argument("--cases", type=int, default=300)
    arguments = parser.parse_args()
    found = [look(case, header) for case in cases(arguments.cases) for header in (False, True)]
    table = {
        f"{part}, {'with' if header else 'without'} header": shares(
            [case for case in found if case["header"] == header and PARTS[part](case)]
        )
        for part in PARTS
        for header in (False, True)
    }
    sys.stdout.write(json.dumps(table, indent=1) + "\n")
    if arguments.output:
        arguments.output.write_text(json.dumps({"shares": table, "cases": found}, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
