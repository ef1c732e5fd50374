"""Whether the acquired matrix of an interpolated image is recognised, and what bringing it back there is worth.

    python Studies/acquired_matrix.py --output acquired.json

Every scan of the bench is acquired at three fractions, in five ways, and stored at four sizes.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from real_scans import data_folder

from SRDynamicMRILib.acquisition.acquisition import Acquisition
from SRDynamicMRILib.acquisition.kspace import to_image, to_kspace
from SRDynamicMRILib.acquisition.recognise_matrix import recognise_acquired_matrix
from SRDynamicMRILib.io.files import read_series, read_volume
from SRDynamicMRILib.phantom import abdomen
from SRDynamicMRILib.volume import Series, Volume

FRACTIONS = (0.25, 0.10, 0.0625)
STORED = ("1x", "2x", "power of two", "planning scan's")
WAYS = {
    "sign kept": {"signed": True},
    "magnitude": {},
    "magnitude, SNR 20": {"snr": 20.0},
    "magnitude, Hann": {"hann": True},
    "magnitude, Hann, SNR 20": {"hann": True, "snr": 20.0},
}

Image = NDArray[np.floating]


def scans() -> Iterator[tuple[str, Image, Image | None]]:
    """Name, magnitude and, where it was measured, phase of the scans of the bench, ``(D, H, W)``."""
    data = data_folder()
    yield "heart", read_series(data / "bench/heart/dynamic.nii.gz")[8].data, None
    yield "pelvis", read_volume(data / "bench/pelvis/dynamic.nii.gz").data, None
    yield "pelvis, planning scan", read_volume(data / "bench/pelvis/static.nii.gz").data, None
    for seed in (0, 1):
        made = abdomen(seed, time_points=2)
        yield f"phantom {seed}", made.dynamic[1].data, None
        yield f"phantom {seed}, planning scan", made.static.data, None
    for name in ("philips", "siemens"):
        folder = data / f"bench_complex/kidneys_{name}"
        magnitude, phase = (read_series(folder / f"dynamic{part}.nii.gz")[0].data for part in ("", "_phase"))
        yield f"kidneys ({name})", magnitude, phase


def smooth_phase(shape: tuple[int, ...], random: np.random.Generator) -> Image:
    """Phase ``(H, W)`` of a second-order polynomial and three waves."""
    y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    weights = random.normal(size=6) * (1, 1.5, 1.5, 1, 1, 1)
    phase = sum(w * term for w, term in zip(weights, (1, x, y, x * x, y * y, x * y), strict=True))
    for _ in range(3):
        across, down = 2 * random.normal(size=2)
        phase = phase + 0.5 * np.sin(np.pi * (across * x + down * y) + random.uniform(0, 2 * np.pi))
    return np.asarray(phase)


def acquire(
    magnitude: Image,
    phase: Image | None,
    size: tuple[int, int],
    stored: tuple[int, int],
    *,
    signed: bool = False,
    hann: bool = False,
    snr: float | None = None,
    seed: int = 1,
) -> Image:
    """What a scanner stores of an object: the centre of k-space, noise, filter, zeros, magnitude, 12 bits."""
    random = np.random.default_rng(seed)
    if signed:
        phase = np.zeros(magnitude.shape[1:])
    elif phase is None:
        phase = smooth_phase(magnitude.shape[1:], random)
    full = magnitude.shape[1:]
    begin = [n // 2 - m // 2 for n, m in zip(full, size, strict=True)]
    kspace = to_kspace(magnitude * np.exp(1j * phase))
    kspace = kspace[:, begin[0] : begin[0] + size[0], begin[1] : begin[1] + size[1]] * (np.prod(size) / np.prod(full))
    if signed:
        kspace = to_kspace(to_image(kspace).real)
    if snr is not None:
        body = magnitude[magnitude > 0.1 * np.percentile(magnitude, 99.9)]
        noise = random.normal(size=(2, *kspace.shape)) * body.mean() / snr
        kspace = kspace + to_kspace(noise[0] + 1j * noise[1])
    if hann:
        rows, columns = (0.5 + 0.5 * np.cos(2 * np.pi * (np.arange(n) - n // 2) / n) for n in size)
        kspace = kspace * np.outer(rows, columns)
    filled = np.zeros((len(magnitude), *stored), dtype=complex)
    begin = [n // 2 - m // 2 for n, m in zip(stored, size, strict=True)]
    filled[:, begin[0] : begin[0] + size[0], begin[1] : begin[1] + size[1]] = kspace
    image = to_image(filled) * (np.prod(stored) / np.prod(size))
    if signed:
        return image.real.astype(np.float32)
    found = np.abs(image)
    return np.asarray(np.round(found / found.max() * 4095), dtype=np.float32)


def stored_size(how: str, size: tuple[int, int], full: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns that are stored of `size` acquired ones."""
    factor = {"1x": 1, "2x": 2}
    if how in factor:
        return factor[how] * size[0], factor[how] * size[1]
    above = [2 ** int(np.floor(np.log2(n)) + 1) for n in size]
    return (above[0], above[1]) if how == "power of two" else full


def main() -> None:
    """Print, by the way of acquisition and the stored size, how often the matrix was recognised."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True)
    output = parser.parse_args().output
    counts: dict[tuple[str, str, str], Counter[str]] = {}
    rows = []
    for name, magnitude, phase in scans():
        full = (magnitude.shape[1], magnitude.shape[2])
        kind = "own phase" if phase is not None else "smooth phase"
        for way, fraction, how in product(WAYS, FRACTIONS, STORED):
            size = Acquisition.centre(full, fraction).acquired_matrix
            stored = stored_size(how, size, full)
            image = acquire(magnitude, phase, size, stored, **WAYS[way])
            found = recognise_acquired_matrix(Series.of([Volume(image)]))
            if found.matrix == size:
                outcome = "right" if not found.warnings else "right, doubted"
            elif found.matrix == stored:
                outcome = "doubted" if found.warnings else "missed"
            else:
                near = all(abs(a - b) <= 2 for a, b in zip(found.matrix, size, strict=True))
                part = all(a in (b, c) for a, b, c in zip(found.matrix, size, stored, strict=True))
                outcome = "within 2" if near else "one axis" if part else "WRONG"
            counts.setdefault((kind, way, how), Counter())[outcome] += 1
            rows.append((name, way, fraction, how, size, stored, found.matrix, found.warnings, outcome))
        print(name, flush=True)
    for (kind, way, how), counter in counts.items():
        print(f"{kind:13} {way:25} {how:16}", ", ".join(f"{n} {outcome}" for outcome, n in counter.most_common()))
    output.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
