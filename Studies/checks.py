"""What the checks of planning scans and intensities measure on images that are right and on images that are not.

    python Studies/checks.py

prints the figures of docs/honest_images.md, for 25%, 10% and 6.25% of k-space; about five minutes on one core.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from contrast_mismatch import CONTRASTS
from real_scans import data_folder, time_point
from wrong_prior import SCANS, priors, put_in_place, scan

from SRDynamicMRILib.files import read_series
from SRDynamicMRILib.intensities import LIMITS, normalised
from SRDynamicMRILib.kspace import downsample
from SRDynamicMRILib.phantom import Phantom, abdomen
from SRDynamicMRILib.prior_fit import similarity
from SRDynamicMRILib.recipes import FRACTIONS
from SRDynamicMRILib.volume import Volume

SHIFTS = ((0.0, 0.0, 0.0), (20.0, -15.0, 0.0), (30.0, 30.0, 8.0), (0.0, 0.0, 16.0))
NOISE = (0.1, 0.2)


def main() -> None:
    """Print both tables."""
    data = data_folder()
    found: dict[str, list[float]] = {}
    for fraction in FRACTIONS:
        for kind, prior, series in pairs(data, fraction):
            value = similarity(prior, series)
            assert value is not None
            found.setdefault(kind, []).append(value)
    for kind, values in found.items():
        print(f"{kind:50} {len(values):3} pairs, similarity {min(values):.3f} to {max(values):.3f}", flush=True)
    seen = [measured(volume) for volume in ordinary(data)]
    print(
        f"ordinary ({len(seen)} volumes): "
        + ", ".join(f"{min(v):.4f} to {max(v):.4f}" for v in zip(*seen, strict=True))
    )
    for name in ("heart", "pelvis"):
        for fault, volume in spoilt(downsample(time_point(name), 0.0625)).items():
            print(f"{name:8} {fault:20} " + ", ".join(f"{value:.4f}" for value in measured(volume)), flush=True)


def pairs(data: Path, fraction: float) -> Iterator[tuple[str, Volume, Volume]]:
    """Kind, planning scan and time point of everything that is compared."""
    for name in ("heart", "pelvis"):
        series = downsample(time_point(name), fraction)
        for wrong, prior in priors(data, name).items():
            if wrong != "own":
                yield "other regions, another heart, shuffled, turned", prior, series
                continue
            for shift in SHIFTS:
                yield "same patient", moved(prior, shift), series
            for change in CONTRASTS.values():
                yield "same patient, shifted, other contrasts", moved(change(prior), SHIFTS[1]), series
            for level in NOISE:
                yield f"same patient, series with {level:.0%} noise", prior, noisy(series, level)
    phantoms = [abdomen(seed, (8, 96, 128), (2.7, 2.7, 8.0), time_points=2) for seed in (1, 2, 3)]
    for number, phantom in enumerate(phantoms):
        series = downsample(phantom.dynamic[1], fraction)
        yield "same patient", phantom.static, series
        yield "same patient, other contrasts", CONTRASTS["inverted"](phantom.static), series
        yield "other regions, another heart, shuffled, turned", turned(phantom), series
        for other in ("pelvis", "heart", "head"):
            prior = put_in_place(scan(data, other), phantom.static.geometry)
            yield "other regions, another heart, shuffled, turned", prior, series
        yield "another synthetic abdomen", phantoms[number - 1].static, series


def ordinary(data: Path) -> Iterator[Volume]:
    """Scans and synthetic abdomens in full and low resolution."""
    scans = [scan(data, name) for name in SCANS]
    scans += [read_series(data / "train" / "SCD0000201_dynamic.nii.gz")[8], time_point("heart"), time_point("pelvis")]
    scans += [abdomen(seed, (16, 128, 160), (2.0, 2.0, 8.0), 1).dynamic[0] for seed in range(1, 9)]
    for volume in scans:
        yield from (downsample(volume, fraction) for fraction in (1.0, *FRACTIONS))


def spoilt(volume: Volume) -> dict[str, Volume]:
    """A volume as it should not be."""
    image, top = volume.data, np.float32(np.percentile(volume.data, 99.9))
    hot = np.random.default_rng(0).random(image.shape) < 5e-4
    images = {
        "as it is": image,
        "mean removed": image - image.mean(),
        "Hounsfield units": image / top * 1300 - 1000,
        "offset of 10%": image + top / 10,
        "inverted": top - image,
        "hot voxels": np.where(hot, 20 * top, image),
        "cut off at 80%": np.minimum(image, 0.8 * top),
    }
    noise = {f"noise of {level:.0%}": noisy(volume, level) for level in (0.05, *NOISE)}
    return {**{name: volume.with_data(one) for name, one in images.items()}, **noise}


def measured(volume: Volume) -> list[float]:
    """The figures of `intensities`, in the order of its limits."""
    image = normalised(volume)
    return [limit.measure(image) for limit in LIMITS]


def moved(volume: Volume, shift: tuple[float, float, float]) -> Volume:
    """The volume somewhere else, by so many mm along its axes."""
    geometry = volume.geometry
    origin = np.asarray(geometry.origin) + np.reshape(geometry.direction, (3, 3)) @ np.asarray(shift)
    return Volume(volume.data, replace(geometry, origin=(float(origin[0]), float(origin[1]), float(origin[2]))))


def noisy(volume: Volume, level: float) -> Volume:
    """The magnitude of the volume with complex noise, relative to the 99.9th percentile."""
    rng, sigma = np.random.default_rng(0), level * float(np.percentile(volume.data, 99.9))
    real = volume.data + rng.normal(0, sigma, volume.shape)
    return volume.with_data(np.hypot(real, rng.normal(0, sigma, volume.shape)))


def turned(phantom: Phantom) -> Volume:
    """The planning scan of a phantom upside down."""
    return phantom.static.with_data(phantom.static.data[:, ::-1, ::-1].copy())


if __name__ == "__main__":
    main()
