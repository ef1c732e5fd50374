"""Intensities unlike those that models have seen are told; those of ordinary scans are not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from SRDynamicMRILib.acquisition.acquisition import downsample
from SRDynamicMRILib.inference.intensities import noise, unusual
from SRDynamicMRILib.io.files import read_series
from SRDynamicMRILib.phantom import abdomen
from SRDynamicMRILib.volume import Volume

PHANTOM = abdomen(1, (8, 96, 128), (2.7, 2.7, 8.0), time_points=2).dynamic
SERIES = [downsample(volume, 0.25) for volume in PHANTOM]
PEAK = float(np.percentile(SERIES[0].data, 99.9))


def noisy(image: NDArray[np.floating], level: float) -> NDArray[np.floating]:
    rng = np.random.default_rng(0)
    return np.hypot(image + rng.normal(0, level * PEAK, image.shape), rng.normal(0, level * PEAK, image.shape))


SPOILT: dict[str, tuple[Callable[[NDArray[np.floating]], NDArray[np.floating]], str]] = {
    "Hounsfield units": (lambda image: image / PEAK * 1300 - 1000, "clearly negative"),
    "mean removed": (lambda image: (image - image.mean()) / image.std(), "clearly negative"),
    "an offset": (lambda image: image + 0.2 * PEAK, "even the darkest 1%"),
    "inverted": (lambda image: 1.2 * PEAK - image, "even the darkest 1%"),
    "a spike": (
        lambda image: np.where(np.arange(image.size).reshape(image.shape) == 999, 20 * PEAK, image),
        "times as",
    ),
    "cut off": (lambda image: np.minimum(image, 0.6 * PEAK), "have the highest value"),
    "noise": (lambda image: noisy(image, 0.15), "noise is"),
}


@pytest.mark.parametrize("fault", SPOILT)
def test_what_is_unusual_is_told(fault: str) -> None:
    spoil, words = SPOILT[fault]
    sentences = unusual([volume.with_data(spoil(volume.data)) for volume in SERIES], "the series")
    found = [sentence for sentence in sentences if words in sentence]
    assert len(found) == 1
    assert found[0].startswith(
        "The intensities of the series are unlike those that the model was trained on in 2 of 2 time "
    )
    assert found[0].endswith(".")


@pytest.mark.parametrize("factor", [1.0, 1e-6, 3e4])
@pytest.mark.parametrize("fraction", [1.0, 0.25, 0.1, 0.0625])
def test_an_ordinary_scan_is_not(fraction: float, factor: float) -> None:
    volumes = [abdomen(seed, (8, 192, 256), (1.36, 1.36, 8.0), 1).dynamic[0] for seed in (0, 3)]
    assert unusual([downsample(v.with_data(factor * v.data), fraction) for v in volumes], "the series") == []


def test_one_bad_time_point_is_counted() -> None:
    spoilt = SERIES[1].with_data(SERIES[1].data + 0.2 * PEAK)
    assert " in 1 of 2 time points: " in unusual([SERIES[0], spoilt], "the series")[0]
    assert "time point" not in unusual([spoilt], "the planning scan")[0]


@pytest.mark.parametrize("level", [0.5, 4.0])
def test_noise_is_measured_in_an_image_of_edges(level: float) -> None:
    image = np.kron(np.random.default_rng(0).integers(0, 100, (4, 8, 8)), np.ones((1, 12, 12)))
    assert noise(image + np.random.default_rng(1).normal(0, level, image.shape)) == pytest.approx(level, rel=0.3)


@pytest.mark.real_data
@pytest.mark.parametrize("name", ["bench/heart/dynamic", "bench/heart/static", "bench/pelvis/dynamic"])
def test_real_scans_that_no_model_was_trained_on_are_ordinary(real_data: Path, name: str) -> None:
    scan: Volume = read_series(real_data / f"{name}.nii.gz")[0]
    for fraction in (1.0, 0.25, 0.1, 0.0625):
        assert unusual([downsample(scan, fraction)], "the series") == []
