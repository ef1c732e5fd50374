"""Scanners store more than they acquire: what they acquired is recognised, said and worked with."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.command_line import Command
from helpers.dicom import write_dicom
from helpers.patient import SHAPE, Patient
from hypothesis import given, settings
from hypothesis import strategies as st

from SRDynamicMRILib.acquisition.acquisition import downsample
from SRDynamicMRILib.acquisition.kspace import crop_kspace, pad_kspace, to_image, to_kspace, unpad_kspace
from SRDynamicMRILib.acquisition.recognise_matrix import recognise_acquired_matrix
from SRDynamicMRILib.errors import InputError
from SRDynamicMRILib.geometry import Geometry
from SRDynamicMRILib.io.files import read_series, write_series, write_volume
from SRDynamicMRILib.io.sidecar import recorded
from SRDynamicMRILib.io.times import sidecar_of
from SRDynamicMRILib.phantom import abdomen
from SRDynamicMRILib.volume import Series, Volume

FULL = abdomen(3, (6, 96, 128), (2.6, 2.6, 9.0), 2).static
LOW = downsample(FULL, 0.25)
STORED = {"twice": (96, 128), "a power of two": (64, 128), "other rows alone": (80, 64), "odd": (75, 101)}


def stored(volume: Volume, size: tuple[int, int]) -> Volume:
    """Zero-fill k-space, as a scanner does before it stores an image."""
    return Volume(pad_kspace(volume.data, size), volume.geometry.with_matrix(size))


def magnitude_of(size: tuple[int, int], matrix: tuple[int, int], seed: int = 0, hann: bool = False) -> Volume:
    """Magnitude in 12 bits of the phantom with a phase and some noise, acquired and stored at the sizes given."""
    random = np.random.default_rng(seed)
    y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in FULL.shape[1:]), indexing="ij")
    kspace = to_kspace(FULL.data * np.exp(1j * (1 + 0.6 * x - 0.5 * y + x * y - y * y)))
    rows, columns = (slice(n // 2 - m // 2, n // 2 - m // 2 + m) for n, m in zip(FULL.shape[1:], size, strict=True))
    image = to_image(kspace[:, rows, columns])
    image = image + np.abs(image).mean() / 30 * (random.normal(size=image.shape) + 1j * random.normal(size=image.shape))
    kspace = to_kspace(image)
    if hann:
        kspace = kspace * np.outer(*(0.5 + 0.5 * np.cos(2 * np.pi * (np.arange(n) - n // 2) / n) for n in size))
    filled = np.zeros((len(kspace), *matrix), dtype=complex)
    begin = [n // 2 - m // 2 for n, m in zip(matrix, size, strict=True)]
    filled[:, begin[0] : begin[0] + size[0], begin[1] : begin[1] + size[1]] = kspace
    found = np.abs(to_image(filled))
    return Volume(np.round(found / found.max() * 4095), FULL.geometry.with_matrix(matrix))


def recognised(volume: Volume, header: tuple[int, int] | None = None, **given: tuple[int, int]):
    series = Series(lambda number: volume.data, [0], volume.geometry, acquired_matrix=header)
    return recognise_acquired_matrix(series, **given)


@given(st.tuples(*[st.integers(2, 12)] * 2), st.tuples(*[st.integers(0, 9)] * 2), st.integers(0, 99))
@settings(deadline=None)
def test_unpadding_undoes_padding(size: tuple[int, int], more: tuple[int, int], seed: int) -> None:
    image = np.random.default_rng(seed).normal(size=(2, *size)).astype(np.float32)
    padded = pad_kspace(image, (size[0] + more[0], size[1] + more[1]))
    np.testing.assert_allclose(unpad_kspace(padded, size, (True, True)), image, atol=1e-4)


@pytest.mark.parametrize("size", STORED.values(), ids=STORED)
def test_of_a_signed_image_nothing_is_lost(size: tuple[int, int]) -> None:
    series = Series.of([stored(LOW, size)])
    found = recognise_acquired_matrix(series)
    assert (found.matrix, found.source, found.warnings) == ((48, 64), "spectrum", ())
    back = found.acquisition.at_acquired_matrix(series)
    assert back.geometry.same_grid(LOW.geometry)
    np.testing.assert_allclose(back[0].data, LOW.data, atol=1e-3 * LOW.data.max())


@pytest.mark.parametrize("size", [(96, 128), (64, 128), (128, 128)])
def test_the_matrix_of_a_magnitude_image_is_recognised(size: tuple[int, int]) -> None:
    found = recognised(magnitude_of((48, 64), size))
    assert (found.matrix, found.warnings) == ((48, 64), ())
    assert "48x64 to " in found.in_words()


def test_a_magnitude_image_keeps_nearly_all_of_itself() -> None:
    volume = magnitude_of((48, 64), (96, 128))
    back = recognised(volume).acquisition.at_acquired_matrix(Series.of([volume]))[0]
    again = pad_kspace(back.data, (96, 128))
    assert np.linalg.norm(again - volume.data) < 0.05 * np.linalg.norm(volume.data)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("fraction", [1.0, 0.5, 0.25])
def test_what_was_not_interpolated_is_left_alone(seed: int, fraction: float) -> None:
    phantom = abdomen(seed, SHAPE, (5.0, 5.2, 9.0), 2)
    for volume in (phantom.static, phantom.dynamic[1]):
        low = downsample(volume, fraction)
        for image in (low, low.with_data(np.abs(low.data))):
            found = recognised(image)
            assert not found.interpolated and not found.warnings


@pytest.mark.parametrize("hann", [False, True])
def test_a_magnitude_at_its_own_matrix_is_left_alone(hann: bool) -> None:
    found = recognised(magnitude_of((48, 64), (48, 64), hann=hann))
    assert not found.interpolated and not found.warnings


def test_a_filter_that_hides_the_edge_is_estimated_and_doubted() -> None:
    volume = magnitude_of((48, 64), (96, 128), hann=True)
    found = recognised(volume)
    assert found.matrix == (48, 64)
    (warning,) = found.warnings
    assert "--acquired-matrix" in warning
    for known in (recognised(volume, header=(48, 64)), recognised(volume, declared=(48, 64))):
        assert (known.matrix, known.warnings) == ((48, 64), ())


def test_header_and_spectrum_may_differ_by_rounding_and_else_the_spectrum_counts() -> None:
    volume = magnitude_of((48, 64), (96, 128))
    assert recognised(volume, header=(49, 64)).matrix == (49, 64)
    for wrong in ((96, 128), (64, 80), (30, 40)):
        found = recognised(volume, header=wrong)
        assert (found.matrix, found.source) == ((48, 64), "spectrum")
        assert "header" in found.warnings[0]


def test_a_header_that_the_spectrum_does_not_confirm_is_believed_with_a_warning() -> None:
    found = recognised(LOW, header=(40, 64))
    assert (found.matrix, found.source) == ((40, 64), "header")
    assert "shows no edge" in found.warnings[0]
    assert not recognised(LOW, header=(2, 2)).interpolated  # no scanner stores that much more
    assert not recognised(LOW, header=(512, 512)).interpolated


def test_what_is_declared_counts_and_is_doubted_where_the_spectrum_differs() -> None:
    found = recognised(stored(LOW, (96, 128)), declared=(40, 50))
    assert (found.matrix, found.source) == ((40, 50), "declared")
    assert "48x64" in found.warnings[0]
    assert not recognised(LOW, declared=(40, 64)).warnings
    with pytest.raises(InputError, match="96x64"):
        recognised(LOW, declared=(96, 64))


@pytest.mark.parametrize(
    ("tags", "matrix"),
    [
        ({"0018|1310": "0\\8\\4\\0", "0018|1312": "COL"}, (4, 8)),
        ({"0018|1310": "6\\0\\0\\5", "0018|1312": "ROW"}, (6, 5)),
        ({"0018|1310": "6\\0\\0\\5"}, (6, 5)),
        ({"0018|1310": "8\\0\\0\\4", "0018|1312": "COL"}, (4, 8)),  # before the scanner turned the image
        ({"0018|1310": "0\\8\\3\\0", "0018|1312": "COL", "0018|0094": "50"}, (8, 8)),
        ({"0018|1310": "0\\8\\3\\0", "0018|1312": "COL", "0018|0094": "125"}, (3, 8)),
        ({"0018|1310": "0\\0\\0\\0"}, None),
        ({"0018|1310": "0\\8\\x\\0"}, None),
        ({}, None),
    ],
)
def test_dicom_headers_say_what_was_acquired(
    tags: dict[str, str], matrix: tuple[int, int] | None, tmp_path: Path
) -> None:
    write_dicom(tmp_path, lambda time, level: tags, time_points=1)
    assert read_series(tmp_path).acquired_matrix == matrix


# On the command line


@pytest.fixture
def interpolated(patient: Patient, tmp_path: Path) -> Path:
    """The series of the patient as a scanner stores it: twice as many rows and columns."""
    low = read_series(patient.low)
    size = (2 * low.geometry.shape[1], 2 * low.geometry.shape[2])
    path = tmp_path / "interpolated.nii.gz"
    write_series(low.map(lambda volume: stored(volume, size), low.geometry.with_matrix(size)), path)
    return path


def test_an_interpolated_series_gives_the_result_of_the_acquired_one(
    command: Command, patient: Patient, interpolated: Path, tmp_path: Path
) -> None:
    results = []
    for number, series in enumerate((patient.low, interpolated)):
        out = tmp_path / f"sr{number}.nii.gz"
        outcome = command("superresolve", series, out, "--model", patient.model, "--like", patient.static)
        assert outcome.code == 0
        results.append(read_series(out))
    assert "interpolated from an acquired matrix of 24x32 to 48x64" in outcome.err
    assert results[0].geometry.same_grid(results[1].geometry)
    np.testing.assert_allclose(results[0][0].data, results[1][0].data, atol=0.05)
    facts = recorded(tmp_path / "sr1.nii.gz")
    assert (facts["acquired_matrix"], facts["stored_matrix"], facts["acquired_from"]) == (
        [24, 32],
        [48, 64],
        "spectrum",
    )
    assert facts["consistency"][0]["residual"] < 1e-3
    assert recorded(tmp_path / "sr0.nii.gz")["acquired_from"] == "stored"


def test_without_a_planning_scan_the_grid_follows_from_the_acquired_matrix(
    command: Command, patient: Patient, interpolated: Path, tmp_path: Path
) -> None:
    out = tmp_path / "sr.nii.gz"
    outcome = command("superresolve", interpolated, out, "--model", patient.model, "--fraction", "0.25")
    assert outcome.code == 0 and read_series(out).geometry.shape == SHAPE
    assert "The result gets 48x64 voxels of 5 x 5.2 mm, because 25% of k-space was acquired." in outcome.err


def test_fine_tuning_keeps_of_the_planning_scan_what_was_acquired(
    command: Command, patient: Patient, interpolated: Path, tmp_path: Path
) -> None:
    model = tmp_path / "m.safetensors"
    wanted = ("finetune", patient.static, "--output", model, "--model", patient.model, "--budget", "quick")
    for more, size in (
        (("--like", interpolated), 0.25),
        (("--like", patient.low, "--acquired-matrix", "12x16"), 0.0625),
    ):
        assert command(*wanted, *more).code == 0
        assert json.loads(command("info", model).out)["fractions"] == [size]
    outcome = command(*wanted, "--fraction", "0.25", "--acquired-matrix", "12x16")
    assert outcome.code == 2 and "--like" in outcome.err


@pytest.mark.parametrize(("given", "words"), [("24", "ROWSxCOLUMNS"), ("96x96", "cannot have an acquired matrix")])
def test_a_matrix_that_cannot_be_is_refused(
    given: str, words: str, command: Command, patient: Patient, tmp_path: Path
) -> None:
    outcome = command("superresolve", patient.low, tmp_path / "o.nii.gz", "--acquired-matrix", given)
    assert outcome.code == 2 and words in outcome.err
    assert not (tmp_path / "o.nii.gz").exists()


# What lies beside an image


def test_a_full_matrix_counts_for_the_image_that_it_describes_alone(
    command: Command, patient: Patient, tmp_path: Path
) -> None:
    low, out = tmp_path / "low.nii.gz", tmp_path / "sr.nii.gz"
    assert command("downsample", patient.dynamic, low, "--fraction", "0.25").code == 0
    outcome = command("superresolve", low, out, "--model", patient.model)
    assert "48x64 voxels of 5 x 5.2 mm, the matrix before downsampling" in outcome.err
    other = read_series(low)[0]
    replace_image(low, Volume(other.data[:, :20], replace(other.geometry, shape=(8, 20, 32))))
    outcome = command("superresolve", low, out, "--model", patient.model)
    assert outcome.code == 0 and "describes another image" in outcome.err
    assert read_series(out).geometry.shape != SHAPE


@pytest.mark.parametrize("role", ["series", "planning scan", "series of fine-tuning"])
def test_a_result_is_not_taken_for_measured(role: str, command: Command, patient: Patient, tmp_path: Path) -> None:
    result, model, out = tmp_path / "sr.nii.gz", tmp_path / "m.safetensors", tmp_path / "o.nii.gz"
    assert (
        command("superresolve", patient.low_volume, result, "--model", patient.model, "--like", patient.static).code
        == 0
    )
    outcome = {
        "series": lambda: command("superresolve", result, out, "--model", patient.model),
        "planning scan": lambda: command("finetune", result, "--fraction", "0.25", "--output", model),
        "series of fine-tuning": lambda: command("finetune", patient.static, "--like", result, "--output", model),
    }[role]()
    assert outcome.code == 2 and "AI-generated" in outcome.err
    assert not model.exists() and not out.exists()
    replace_image(result, crop(result))  # the notice beside it is about another image
    if role == "series":
        assert command("superresolve", result, out, "--model", patient.model, "--fraction", "0.25").code == 0


def replace_image(path: Path, volume: Volume) -> None:
    """Put another image in a file's place, as another program does, which leaves the sidecar as it is."""
    sidecar = sidecar_of(path)
    content = sidecar.read_bytes()
    write_volume(volume, path)
    sidecar.write_bytes(content)


def crop(path: Path) -> Volume:
    volume = read_series(path)[0]
    return Volume(crop_kspace(volume.data, (24, 32)), volume.geometry.with_matrix((24, 32)))


def test_series_pass_on_what_is_known_of_them() -> None:
    series = Series(lambda n: np.full((2, 3, 4), n), [0, 1], Geometry((2, 3, 4)), ["Mind the gap."], (3, 2))
    assert series.select([1]).warnings == series.map(lambda v: v, series.geometry).warnings == ("Mind the gap.",)
    assert series.select([1]).acquired_matrix == (3, 2)
    assert series.map(lambda v: v, series.geometry).acquired_matrix is None  # of other voxels nothing is known
