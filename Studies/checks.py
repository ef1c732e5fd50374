"""What the checks of planning scans and intensities measure on images that are right and on images that are not.

    python Studies/checks.py

prints the figures of docs/honest_images.md, for 25%, 10% and 6.25% of k-space; about ten minutes on one core.
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
from wrong_prior import SCANS, put_in_place, scan, shuffled

from SRDynamicMRILib.acquisition.acquisition import downsample
from SRDynamicMRILib.inference.intensities import LIMITS, normalised
from SRDynamicMRILib.io.files import read_series, read_volume
from SRDynamicMRILib.models.prior_copy import PriorCopy
from SRDynamicMRILib.models.recipes import FRACTIONS
from SRDynamicMRILib.phantom import abdomen
from SRDynamicMRILib.prior.similarity import FITS, Fit, fit_of
from SRDynamicMRILib.volume import Volume

SHIFTS = ((0.0, 0.0, 0.0), (20.0, -15.0, 0.0), (30.0, 30.0, 8.0), (0.0, 0.0, 16.0))
NOISE = (0.1, 0.2)
MIRRORS = {"left to right": (2,), "front to back": (1,), "by slices": (0,), "upside down": (1, 2)}


def main() -> None:
    """Print both tables."""
    data = data_folder()
    found: dict[str, list[Fit]] = {}
    for fraction in FRACTIONS:
        for kind, prior, series in pairs(data, fraction):
            fit = fit_of(PriorCopy.of(prior).volume, [series])
            assert fit is not None
            found.setdefault(kind, []).append(fit)
    for kind, fits in found.items():
        values = [fit.similarity for fit in fits]
        ratio = max(fit.mirrored / fit.similarity for fit in fits)
        print(
            f"{kind:50} {len(fits):3} pairs, similarity {min(values):.3f} to {max(values):.3f}, "
            f"{sum(value < FITS for value in values)} below {FITS}, "
            f"mirrored at most {ratio:.2f} times as similar, {sum(fit.is_mirrored for fit in fits)} called mirrored, "
            f"{sum(not fit.is_good for fit in fits)} warned of",
            flush=True,
        )
    seen = [measured(volume) for volume in ordinary(data)]
    print(
        f"ordinary ({len(seen)} volumes): "
        + ", ".join(f"{min(v):.4f} to {max(v):.4f}" for v in zip(*seen, strict=True))
    )
    for name in ("heart", "pelvis"):
        for fault, volume in spoilt(downsample(time_point(name), 0.0625)).items():
            print(f"{name:8} {fault:20} " + ", ".join(f"{value:.4f}" for value in measured(volume)), flush=True)


def subjects(data: Path) -> Iterator[tuple[str, str, Volume, Volume]]:
    """What is shown, of whom, planning scan and another time point in high resolution."""
    for name in ("heart", "pelvis"):
        yield name, name, scan(data, name), time_point(name)
    for name in ("SCD0000101", "SCD0000201"):
        cine = read_series(data / "train" / f"{name}_dynamic.nii.gz")
        yield "heart", name, cine[0], cine[10]
    for name in ("kidneys_philips", "kidneys_siemens"):
        folder = data / "bench_complex" / name
        series = read_series(folder / "dynamic.nii.gz")
        yield "kidneys", name, read_volume(folder / "static.nii.gz"), series[len(series) - 1]
    for seed in range(1, 9):
        phantom = abdomen(seed, (8, 96, 128), (2.7, 2.7, 8.0), time_points=2)
        yield "synthetic abdomen", f"phantom {seed}", phantom.static, phantom.dynamic[1]


def pairs(data: Path, fraction: float) -> Iterator[tuple[str, Volume, Volume]]:
    """Kind, planning scan and time point of everything that is compared."""
    everyone = list(subjects(data))
    for region, name, own, truth in everyone:
        series = downsample(truth, fraction)
        for shift in SHIFTS:
            yield "same patient, shifted", moved(own, shift), series
        for contrast, change in CONTRASTS.items():
            if contrast != "same":
                yield "same patient, shifted, other contrasts", moved(change(own), SHIFTS[1]), series
        for level in NOISE:
            yield f"same patient, series with {level:.0%} noise", own, noisy(series, level)
        for way, axes in MIRRORS.items():
            yield f"same patient, mirrored {way}", own.with_data(np.flip(own.data, axes)), series
        yield "voxels in random order", shuffled(own), series
        yield "head", put_in_place(scan(data, "head"), own.geometry), series
        for other_region, other, prior, _ in everyone:
            if other != name:
                kind = f"another patient: {region}" if region == other_region else "another body region"
                yield kind, put_in_place(prior, own.geometry), series


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


if __name__ == "__main__":
    main()
