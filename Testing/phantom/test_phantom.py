"""The synthetic abdomen: deterministic, with detail to restore, known motion and a known needle."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from SRDynamicMRILib.acquisition.acquisition import Acquisition
from SRDynamicMRILib.acquisition.kspace import crop_kspace, pad_kspace
from SRDynamicMRILib.errors import InputError
from SRDynamicMRILib.phantom import LABELS, Phantom, abdomen, random_abdomen

SHAPE = (12, 96, 128)
SPACING = (2.72, 2.72, 7.0)


@pytest.fixture(scope="module")
def patient() -> Phantom:
    return abdomen(seed=1, shape=SHAPE, spacing=SPACING, needle=True)


def test_same_seed_same_bytes(patient: Phantom) -> None:
    again = abdomen(seed=1, shape=SHAPE, spacing=SPACING, needle=True)
    assert again.static.data.tobytes() == patient.static.data.tobytes()
    assert again.labels.tobytes() == patient.labels.tobytes()
    assert again.diaphragm == patient.diaphragm
    other = abdomen(seed=2, shape=SHAPE, spacing=SPACING, time_points=1)
    assert np.abs(other.static.data - patient.static.data).mean() > 50


def quarter_means(data: np.ndarray) -> np.ndarray:
    """Means over halves of the slices and rows and quarters of the columns, as a plain list of 16 numbers."""
    depth, height, width = data.shape
    return data.reshape(2, depth // 2, 2, height // 2, 4, width // 4).mean(axis=(1, 3, 5), dtype=np.float64).ravel()


def test_a_seed_gives_the_patient_that_it_always_gave(patient: Phantom) -> None:
    """Another order of random draws gives other people, and makes every published figure stale; 0.01 is rounding."""
    static = """250.432 416.580 411.551 298.697 242.074 394.923 425.814 267.939
                193.591 351.998 320.264 211.232 199.212 323.755 349.928 208.041"""
    dynamic = """268.972 428.745 374.716 257.772 253.283 384.189 368.280 227.402
                 236.507 412.708 338.306 207.009 238.156 362.085 347.232 198.296"""
    for data, stored in ((patient.static.data, static), (patient.dynamic[7].data, dynamic)):
        np.testing.assert_allclose(quarter_means(data), [float(word) for word in stored.split()], atol=0.01)
    drawn = random_abdomen(np.random.default_rng(3), (8, 64, 64)).data
    np.testing.assert_allclose(drawn.mean(axis=(1, 2), dtype=np.float64)[[0, 7]], [619.509, 550.883], atol=0.01)


def test_time_points_do_not_depend_on_the_order_of_access(patient: Phantom) -> None:
    late_first = abdomen(seed=1, shape=SHAPE, spacing=SPACING, needle=True).dynamic
    assert late_first[7].data.tobytes() == patient.dynamic[7].data.tobytes()
    assert late_first[2].data.tobytes() == patient.dynamic[2].data.tobytes()


def test_scans_are_nonnegative_float32_on_one_grid(patient: Phantom) -> None:
    assert len(patient.dynamic) == 10
    assert np.allclose(np.diff(patient.dynamic.times), 0.5)
    assert patient.static.geometry.spacing == SPACING
    assert patient.dynamic.geometry.same_grid(patient.static.geometry)
    assert np.abs(patient.static.geometry.origin).max() > 0
    assert patient.labels.shape == SHAPE
    assert patient.labels.dtype == np.uint8
    for volume in (patient.static, patient.dynamic[0]):
        assert volume.shape == SHAPE
        assert volume.data.dtype == np.float32
        assert volume.data.min() >= 0
        assert 500 < np.percentile(volume.data, 99) < 1400


def test_every_slice_shows_anatomy(patient: Phantom) -> None:
    assert (patient.static.data > 150).mean(axis=(1, 2)).min() > 0.15


def test_every_organ_is_there(patient: Phantom) -> None:
    organs = {
        "liver",
        "spleen",
        "kidney_cortex",
        "kidney_medulla",
        "artery",
        "vein",
        "vessel",
        "pancreas",
        "lung",
    }
    organs |= {
        "skin",
        "fat",
        "muscle",
        "marrow",
        "cortical_bone",
        "cerebrospinal_fluid",
        "bowel_wall",
        "bowel_content",
    }
    for name in organs:
        assert (patient.labels == LABELS[name]).sum() >= 20, name


def test_fat_is_opposed_to_water(patient: Phantom) -> None:
    phase = patient.static_phase
    assert phase.geometry == patient.static.geometry
    assert np.abs(phase.data).max() <= np.pi + 1e-6
    fat = np.isin(patient.labels, [LABELS["fat"], LABELS["marrow"]])
    assert 0.02 < fat.mean() < 0.6
    turned = np.exp(1j * phase.data)
    for axis in (1, 2):  # between neighbours the phase hardly changes, but for half a turn from fat to water
        steps = np.diff(turned, axis=axis)
        borders = np.diff(fat, axis=axis)
        assert np.abs(steps[borders]).min() > 1.5
        assert np.abs(steps[~borders]).max() < 1.5


def test_fat_takes_its_phase_along(patient: Phantom) -> None:
    assert len(patient.dynamic_phase) == len(patient.dynamic)
    assert patient.dynamic_phase.times == patient.dynamic.times
    one, other = (np.exp(1j * patient.dynamic_phase[number].data) for number in (0, 4))
    apart = np.abs(one - other)
    turned = apart > 1.9
    assert 0.001 < turned.mean() < 0.3, "what was fat is water, or the other way round"
    assert apart[~turned].max() < 1e-3, "all else keeps the phase of the session"
    again = abdomen(seed=1, shape=SHAPE, spacing=SPACING, needle=True).dynamic_phase
    assert again[4].data.tobytes() == patient.dynamic_phase[4].data.tobytes()


def test_organs_move_and_the_spine_does_not(patient: Phantom) -> None:
    order = np.argsort(patient.diaphragm)
    up, down = (patient.dynamic[int(order[n])].data for n in (0, -1))
    change = ndimage.gaussian_filter(np.abs(up - down), 0.7)
    liver = np.isin(patient.labels, [LABELS["liver"], LABELS["vessel"]])
    moving = ndimage.binary_dilation(liver, iterations=2)
    canal = ndimage.binary_erosion(patient.labels == LABELS["cerebrospinal_fluid"], np.ones((1, 2, 2)))
    spine = ndimage.binary_dilation(canal, np.ones((1, 5, 5)))
    assert patient.diaphragm[order[-1]] - patient.diaphragm[order[0]] > 6
    assert np.percentile(change[moving], 95) > 60
    assert change[spine].mean() < 20  # complex noise of SD 12 in both leaves 13 or so


def test_needle_is_dark_up_to_its_tip_and_absent_from_the_static_scan(patient: Phantom) -> None:
    tips, entries = patient.needle_tip, patient.needle_entry
    assert tips is not None
    assert entries is not None
    assert tips.shape == entries.shape == (10, 3)
    travelled = np.linalg.norm(tips - entries, axis=1)
    assert np.all(np.diff(travelled) > 0)
    free = abdomen(seed=1, shape=SHAPE, spacing=SPACING).dynamic
    geometry = patient.dynamic.geometry
    for number in (0, 9):
        tip, entry = tips[number], entries[number]
        along = (tip - entry) / np.linalg.norm(tip - entry)

        def sample(
            data: np.ndarray, behind: np.ndarray, tip: np.ndarray = tip, along: np.ndarray = along
        ) -> np.ndarray:
            places = np.stack([geometry.index(tip - d * along)[::-1] for d in behind], axis=1)
            return ndimage.map_coordinates(data, places, order=1)

        shaft, ahead = np.arange(3.0, 25.0), np.arange(-24.0, -15.0)
        with_needle, without = patient.dynamic[number].data, free[number].data
        assert sample(with_needle, shaft).mean() < 0.4 * sample(without, shaft).mean()
        np.testing.assert_array_equal(sample(with_needle, ahead), sample(without, ahead))
        assert sample(patient.static.data, shaft).mean() > 2 * sample(with_needle, shaft).mean()
    column, row, plane = np.round(geometry.index(tips[-1])).astype(int)
    near = patient.labels[plane, row - 3 : row + 4, column - 3 : column + 4]
    assert np.isin(near, [LABELS["liver"], LABELS["vessel"]]).mean() > 0.8


def test_there_is_no_needle_unless_asked_for() -> None:
    patient = abdomen(shape=(4, 24, 32), spacing=(10, 10, 10), time_points=1)
    assert patient.needle_tip is None
    assert patient.needle_entry is None


def test_a_sixteenth_of_kspace_loses_detail_above_the_noise() -> None:
    data = abdomen(seed=3, shape=(8, 192, 256), time_points=1).static.data
    size = Acquisition.centre((192, 256), 0.0625).acquired_matrix
    zero_filled = pad_kspace(crop_kspace(data, size), (192, 256))
    body = ndimage.gaussian_filter(data, (0, 3, 3)) > 120
    error = np.sqrt(np.mean((zero_filled - data)[body] ** 2))
    assert error > 4 * 10  # noise SD of the planning scan


def test_random_abdomens_differ_in_contrast_and_grid() -> None:
    draws = [random_abdomen(np.random.default_rng(seed), (8, 64, 64)) for seed in range(8)]
    again = random_abdomen(np.random.default_rng(3), (8, 64, 64))
    assert again.data.tobytes() == draws[3].data.tobytes()
    assert len({volume.geometry.spacing for volume in draws}) == 8
    for volume in draws:
        assert volume.data.dtype == np.float32
        assert volume.data.min() >= 0
        x, y, z = volume.geometry.spacing
        assert 0.8 <= x == y <= 2.0
        assert 2 <= z <= 8
        bright = volume.data[volume.data > 0.1 * np.percentile(volume.data, 99)]
        assert np.percentile(bright, 90) > 1.4 * np.percentile(bright, 10)  # several tissues
    correlation = np.corrcoef([volume.data.ravel() for volume in draws])
    assert np.abs(correlation - np.eye(8)).max() < 0.97


def test_random_abdomen_takes_a_given_spacing() -> None:
    volume = random_abdomen(np.random.default_rng(0), (6, 32, 48), (1.5, 1.5, 5.0))
    assert volume.geometry.spacing == (1.5, 1.5, 5.0)
    assert volume.shape == (6, 32, 48)


def test_contrast_changes_intensities_but_not_anatomy() -> None:
    grid = {"shape": (4, 48, 64), "spacing": (5.4, 5.4, 10.0), "time_points": 1}
    flash, other = abdomen(5, **grid), abdomen(5, **grid, contrast="random")
    assert np.array_equal(flash.labels, other.labels)
    assert not np.array_equal(flash.static.data, other.static.data)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"shape": (3, 64, 64)}, "at least 4 voxels"),
        ({"time_points": 0}, "at least 1 time point"),
        ({"contrast": "t3"}, "contrast must be"),
    ],
)
def test_bad_arguments_are_said_plainly(arguments: dict, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        abdomen(**arguments)


def test_random_abdomen_says_when_the_shape_is_too_small() -> None:
    with pytest.raises(InputError, match="at least 4 voxels"):
        random_abdomen(np.random.default_rng(0), (8, 2, 64))
