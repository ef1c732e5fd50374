"""How a series was acquired is recognised, said, and overridden by what a user declares."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from helpers.command_line import Command
from helpers.dicom import write_dicom
from helpers.patient import Patient

from SRDynamicMRILib.acquisition.acquisition import Acquisition
from SRDynamicMRILib.acquisition.body import body_signal
from SRDynamicMRILib.acquisition.recognise import (
    PARTS,
    DeclaredAcquisition,
    RecognisedAcquisition,
    recognise_acquisition,
)
from SRDynamicMRILib.acquisition.simulate import rounded, stored_image
from SRDynamicMRILib.acquisition.windows import Window
from SRDynamicMRILib.errors import InputError
from SRDynamicMRILib.geometry import FloatArray, Geometry
from SRDynamicMRILib.io.files import read_series
from SRDynamicMRILib.io.sidecar import recorded
from SRDynamicMRILib.phantom import abdomen
from SRDynamicMRILib.volume import Series, Stated

ACQUIRED, FULL = (72, 96), (144, 192)
USUAL = Acquisition(ACQUIRED, FULL, FULL, magnitude=True)


@cache
def scan() -> FloatArray:
    return abdomen(3, (6, *FULL), (1.9, 1.9, 9.0), 2).static.data


def stored(acquisition: Acquisition, snr: float = 10.0) -> FloatArray:
    """What a scanner stores of the phantom with a smooth phase, in 12 bits."""
    y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in FULL), indexing="ij")
    phase = np.broadcast_to(1 + 0.6 * x - 0.5 * y + x * y - y * y, scan().shape) if acquisition.magnitude else None
    noisy = replace(acquisition, noise=noise(snr))
    return rounded(stored_image(scan(), noisy, phase=phase, rng=np.random.default_rng(0)))


def noise(snr: float) -> float:
    return body_signal(scan()) / snr


def series_of(image: FloatArray, matrix: tuple[int, int] | None = None, stated: Stated | None = None) -> Series:
    geometry = Geometry(image.shape, (1.9, 1.9, 9.0))
    return Series(lambda number: image, [0.0], geometry, acquired_matrix=matrix, stated=stated or Stated())


def recognised(acquisition: Acquisition, snr: float = 10.0, **header: tuple[int, int]) -> RecognisedAcquisition:
    return recognise_acquisition(series_of(stored(acquisition, snr), **header))


@pytest.mark.parametrize("magnitude", [False, True])
@pytest.mark.parametrize("window", ["none", "hann", "fermi:0.1"])
def test_noise_and_window_are_those_of_the_acquisition(window: str, magnitude: bool) -> None:
    true = replace(USUAL, window=Window.named(window), magnitude=magnitude)
    found = recognised(true, matrix=ACQUIRED)
    assert found.noise == pytest.approx(noise(10), rel=0.25)
    assert found.magnitude is magnitude
    difference = found.acquisition().sample_weights - true.sample_weights
    assert np.sqrt(np.square(difference).mean()) < 0.2, found.window


def test_zero_filling_changes_neither_noise_nor_matrix() -> None:
    for size in (ACQUIRED, FULL):
        found = recognised(replace(USUAL, stored_matrix=size))
        assert found.matrix == ACQUIRED
        assert found.noise == pytest.approx(noise(10), rel=0.25)


def test_corners_left_out_are_seen() -> None:
    for shutter in ("rectangle", "ellipse"):
        assert recognised(replace(USUAL, shutter=shutter), matrix=ACQUIRED).shutter == shutter


def test_rows_left_out_are_counted_where_the_header_tells_the_matrix() -> None:
    found = recognised(replace(USUAL, partial_fourier=0.75), matrix=ACQUIRED)
    assert (found.matrix, found.partial_fourier, found.sources["partial_fourier"]) == (ACQUIRED, 0.75, "data")


def test_what_is_declared_counts() -> None:
    declared = DeclaredAcquisition((70, 90), Window("hann"), 3.0, magnitude=False)
    found = recognise_acquisition(series_of(stored(USUAL)), declared)
    assert (found.matrix, found.window, found.noise, found.magnitude) == ((70, 90), Window("hann"), 3.0, False)
    assert {found.sources[part] for part in ("window", "noise", "magnitude")} == {"declared"}
    assert found.acquisition(FULL) == Acquisition(
        (70, 90), FULL, FULL, found.shutter, 1.0, found.matrix_part.shared, Window("hann"), 3.0
    )


def test_noise_that_cannot_be_is_refused() -> None:
    with pytest.raises(InputError, match="0 or more"):
        DeclaredAcquisition(noise=-1.0)


def test_a_header_is_checked_against_the_voxels() -> None:
    signed = stored(replace(USUAL, magnitude=False))
    found = recognise_acquisition(series_of(signed, stated=Stated(magnitude=True)))
    assert not found.magnitude and any("negative voxels" in warning for warning in found.warnings)
    positive = np.abs(signed)
    found = recognise_acquisition(series_of(positive, stated=Stated(magnitude=False)))
    assert (found.magnitude, found.sources["magnitude"]) == (False, "header")


@pytest.mark.parametrize(
    ("stated", "share", "source", "doubted"),
    [
        (Stated(partial_fourier=True), 1.0, "assumed", True),
        (Stated(partial_fourier=True, measured_share=0.75), 0.75, "header", False),
        (Stated(partial_fourier=False), 1.0, "header", False),
        (Stated(), 1.0, "assumed", False),
    ],
)
def test_partial_fourier_is_believed_or_doubted(stated: Stated, share: float, source: str, doubted: bool) -> None:
    found = recognise_acquisition(series_of(stored(replace(USUAL, stored_matrix=ACQUIRED)), stated=stated))
    assert (found.partial_fourier, found.sources["partial_fourier"]) == (share, source)
    assert any("partial Fourier" in warning for warning in found.warnings) is doubted


def test_the_header_tells_the_matrix_where_the_square_shows_the_measured_rows_alone() -> None:
    partial = replace(USUAL, partial_fourier=0.75, window=Window("hamming"))
    assert recognised(partial, matrix=ACQUIRED).matrix == ACQUIRED


def test_words_and_facts_say_what_was_recognised_and_what_told() -> None:
    found = recognised(replace(USUAL, window=Window("hann")), matrix=ACQUIRED)
    words = found.in_words()
    for part in ("72x96 to 144x192", "magnitudes", f"SD of {found.noise:.3g}", str(found.window), found.shutter):
        assert part in words
    facts = json.loads(json.dumps(found.facts()))
    assert facts["acquired_matrix"] == list(ACQUIRED) and facts["acquisition"]["noise"] == found.noise
    assert set(facts["acquisition"]["from"]) == set(PARTS)


@pytest.mark.parametrize("image", [np.zeros((2, 32, 32)), np.full((1, 24, 24), 7.0), np.ones((3, 4, 5))])
def test_an_image_without_content_is_no_fault(image: FloatArray) -> None:
    found = recognise_acquisition(series_of(image.astype(np.float32)))
    assert (found.matrix, found.noise, found.window) == (image.shape[1:], 0, Window())


# Headers


@pytest.mark.parametrize(
    ("tags", "stated"),
    [
        ({}, Stated()),
        ({"0008|0008": "ORIGINAL\\PRIMARY\\M\\ND"}, Stated(magnitude=True)),  # Siemens
        ({"0008|0008": "ORIGINAL\\PRIMARY\\M_FFE\\M\\FFE"}, Stated(magnitude=True)),  # Philips
        ({"0008|0008": "ORIGINAL\\PRIMARY\\R\\NORM"}, Stated(magnitude=False)),
        ({"0018|0022": "PFP\\SFS"}, Stated(partial_fourier=True)),
        ({"0018|0022": "SFS"}, Stated(partial_fourier=False)),
        ({"0018|0022": "PFP", "0018|0093": "75"}, Stated(partial_fourier=True, measured_share=0.75)),
        ({"0018|0093": "75"}, Stated()),
        ({"0018|9081": "NO", "0018|0022": "PFP"}, Stated(partial_fourier=False)),
    ],
)
def test_dicom_headers_state_sign_and_partial_fourier(tags: dict[str, str], stated: Stated, tmp_path: Path) -> None:
    write_dicom(tmp_path, lambda time, level: tags, time_points=1)
    assert read_series(tmp_path).stated == stated


def test_the_steps_of_enhanced_headers_count_where_the_classic_matrix_is_missing(tmp_path: Path) -> None:
    tags = {"0018|9058": "8", "0018|9231": "4", "0018|1312": "COL"}
    write_dicom(tmp_path, lambda time, level: tags, time_points=1)
    assert read_series(tmp_path).acquired_matrix == (4, 8)


def test_a_choice_of_time_points_keeps_what_is_stated() -> None:
    series = series_of(np.ones((1, 4, 4), dtype=np.float32), stated=Stated(magnitude=True))
    assert series.select([0]).stated == Stated(magnitude=True)


# On the command line


def test_what_is_recognised_is_in_log_and_sidecar_and_options_count(
    command: Command, patient: Patient, tmp_path: Path
) -> None:
    out = tmp_path / "sr.nii.gz"
    arguments = ("superresolve", patient.low_volume, out, "--model", patient.model, "--like", patient.static)
    outcome = command(*arguments, "--noise", "2.5", "--window", "hann", "--magnitude")
    assert outcome.code == 0
    assert "noise with an SD of 2.5" in outcome.err and "the window hann (as declared)" in outcome.err
    facts = recorded(out)["acquisition"]
    assert (facts["noise"], facts["window"], facts["magnitude"]) == (2.5, "hann", True)
    assert facts["from"]["noise"] == "declared"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (("--noise", "-1"), "0 or more"),
        (("--window", "gauss"), "needs a number"),
        (("--signed", "--magnitude"), "not allowed with"),
    ],
)
def test_options_that_cannot_be_are_refused(
    given: tuple[str, ...], words: str, command: Command, patient: Patient, tmp_path: Path
) -> None:
    outcome = command("superresolve", patient.low, tmp_path / "o.nii.gz", *given)
    assert outcome.code == 2 and words in outcome.err and not (tmp_path / "o.nii.gz").exists()


def test_what_is_declared_needs_the_series(command: Command, patient: Patient, tmp_path: Path) -> None:
    model = tmp_path / "m.safetensors"
    outcome = command("finetune", patient.static, "--fraction", "0.25", "--output", model, "--noise", "1")
    assert outcome.code == 2 and "--like" in outcome.err


def test_info_says_how_a_series_was_acquired(command: Command, patient: Patient) -> None:
    outcome = command("info", patient.low)
    assert outcome.code == 0 and "time points of" in outcome.out and "K-space" in outcome.out
    facts = json.loads(command("info", patient.low, "--json").out)
    assert facts["acquired_matrix"] == facts["stored_matrix"] == facts["shape"][1:]
    assert "noise" in facts["acquisition"]
