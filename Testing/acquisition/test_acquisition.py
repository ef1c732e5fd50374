"""`Acquisition`: the paper's matrices, resolutions and times, and the mathematics of every sampling pattern."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from SRDynamicMRILib import Acquisition, InputError
from SRDynamicMRILib.acquisition.acquisition import data_consistency, downsample
from SRDynamicMRILib.acquisition.kspace import crop_kspace, pad_kspace, zero_fill_adjoint, zero_fill_kspace
from SRDynamicMRILib.acquisition.sampling import SHUTTERS, frequencies, sampling_mask
from SRDynamicMRILib.acquisition.windows import Window
from SRDynamicMRILib.geometry import Geometry
from SRDynamicMRILib.models.recipes import FRACTIONS
from SRDynamicMRILib.volume import Series, Volume

PROPERTY = settings(max_examples=80, deadline=None)
WHOLE = (True, True)

seeds = st.integers(0, 2**32 - 1)
matrices = st.tuples(st.integers(12, 300), st.integers(12, 300))
fractions = st.floats(0.04, 1.0)


def cross(matrix: tuple[int, int]) -> np.ndarray:
    """A pattern that the library does not have: the central rows and the central columns."""
    rows, columns = frequencies(matrix)
    return (np.abs(rows) <= 0.3) | (np.abs(columns) <= 0.3)


@pytest.fixture(scope="module", autouse=True)
def _with_a_cross():
    """All that is needed for a new pattern: a function, and a line in the registry."""
    SHUTTERS["cross"] = cross
    yield
    del SHUTTERS["cross"]


PATTERNS = {
    "even": ((6, 4), (10, 8)),
    "odd": ((5, 3), (9, 7)),
    "odd within even": ((5, 3), (10, 8)),
    "even within odd": ((6, 4), (9, 7)),
    "even, all rows": ((10, 4), (10, 8)),
    "everything": ((10, 8), (10, 8)),
    "a point": ((1, 1), (10, 8)),
    "ellipse": ((6, 6), (10, 10), None, "ellipse"),
    "odd ellipse": ((7, 5), (9, 8), None, "ellipse"),
    "ellipse in the full matrix": ((10, 8), (10, 8), None, "ellipse"),
    "partial Fourier": ((8, 6), (10, 10), None, "rectangle", 0.75),
    "odd, partial Fourier": ((7, 5), (9, 9), None, "rectangle", 0.6),
    "all rows, partial Fourier": ((10, 6), (10, 10), None, "rectangle", 0.6),
    "ellipse, partial Fourier": ((8, 8), (10, 10), None, "ellipse", 0.625),
    "stored twice": ((6, 4), (10, 8), (12, 8)),
    "stored odd": ((6, 4), (10, 8), (9, 11)),
    "other rows alone": ((6, 4), (10, 8), (8, 4)),
    "stored in the full matrix": ((6, 4), (10, 8), (10, 8)),
    "stored, both ends whole": ((6, 4), (10, 8), (12, 8), "rectangle", 1.0, (False, False)),
    "stored, one axis whole": ((6, 4), (10, 8), (12, 8), "rectangle", 1.0, (True, False)),
    "all at once": ((6, 6), (10, 8), (12, 10), "ellipse", 0.75),
    "cross": ((8, 7), (10, 10), None, "cross"),
    "cross, stored, partial Fourier": ((8, 6), (10, 10), (13, 12), "cross", 0.75),
    "Hamming": ((6, 4), (10, 8), None, "rectangle", 1.0, WHOLE, Window("hamming")),
    "Hann, odd, stored": ((7, 5), (10, 8), (14, 10), "rectangle", 1.0, WHOLE, Window("hann")),
    "Hann in the plane, everything": ((10, 8), (10, 8), None, "rectangle", 1.0, WHOLE, Window("hann", radial=True)),
    "Fermi, ellipse": ((8, 8), (10, 10), None, "ellipse", 1.0, WHOLE, Window("fermi", 0.1)),
    "Tukey, partial Fourier": ((8, 6), (10, 10), None, "rectangle", 0.75, WHOLE, Window("tukey", 0.5)),
    "Gauss and all": ((6, 6), (10, 8), (12, 10), "ellipse", 0.75, (True, False), Window("gauss", 0.5)),
}

WINDOWED = [
    Window(),
    *(Window("hamming", radial=radial) for radial in (False, True)),
    Window("fermi", 0.15),
    Window("tukey", 0.4),
    Window("gauss", 0.6),
]


@pytest.fixture(params=PATTERNS.values(), ids=PATTERNS)
def acquisition(request: pytest.FixtureRequest) -> Acquisition:
    return Acquisition(*request.param)


@st.composite
def acquisitions(draw: st.DrawFn) -> Acquisition:
    """Any acquisition of a small matrix."""
    full = draw(st.tuples(st.integers(1, 10), st.integers(1, 10)))
    acquired = (draw(st.integers(1, full[0])), draw(st.integers(1, full[1])))
    stored = (acquired[0] + draw(st.integers(0, 5)), acquired[1] + draw(st.integers(0, 5)))
    shutter, partial = draw(st.sampled_from(["rectangle", "ellipse", "cross"])), draw(st.floats(0.51, 1.0))
    shared = draw(st.tuples(st.booleans(), st.booleans()))
    return Acquisition(acquired, full, stored, shutter, partial, shared, draw(st.sampled_from(WINDOWED)))


def noise(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.3, 1, shape).astype(np.float32)


def basis(size: tuple[int, int]) -> np.ndarray:
    """Every image of a single voxel, ``(H * W, H, W)``."""
    return np.eye(size[0] * size[1], dtype=np.float32).reshape(-1, *size)


def matrix_of(operator, size: tuple[int, int]) -> np.ndarray:
    """An operator on images as a matrix, one column for every voxel."""
    images = operator(basis(size))
    return images.reshape(len(images), -1).T.astype(np.float64)


# What an acquisition is, against definitions that share nothing with the code.


def measured(acquisition: Acquisition, image: np.ndarray) -> np.ndarray:
    """The real part of the zero-filled reconstruction from the weighted samples in the mask, in double precision."""

    def placed(kspace: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """Centred k-space with its centre in that of another matrix."""
        target = np.zeros(size, dtype=complex)
        for k in np.ndindex(kspace.shape):
            at = tuple(i - n // 2 + m // 2 for i, n, m in zip(k, kspace.shape, size, strict=True))
            if all(0 <= i < m for i, m in zip(at, size, strict=True)):
                target[at] = kspace[k]
        return target

    def kspace_of(x: np.ndarray) -> np.ndarray:
        return np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(x))) / x.size

    def image_of(kspace: np.ndarray) -> np.ndarray:
        return (np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(kspace))) * kspace.size).real

    samples = placed(kspace_of(image.astype(np.float64)), acquisition.acquired_matrix)
    acquired = image_of(samples * acquisition.mask * acquisition.window.weights(acquisition.acquired_matrix))
    return image_of(placed(kspace_of(acquired), acquisition.stored_matrix))


@PROPERTY
@given(acquisitions(), seeds)
@example(Acquisition((8, 6), (10, 6), None, "rectangle", 0.75), 1)
def test_downsampling_is_the_real_part_of_the_zero_filled_reconstruction(acquisition: Acquisition, seed: int) -> None:
    # Of an even number of columns D sees the mean of both ends, which partial Fourier would weigh differently.
    columns, full = acquisition.acquired_matrix[1], acquisition.full_matrix[1]
    assume(acquisition.partial_fourier == 1 or columns % 2 or columns == full)
    acquisition = replace(acquisition, shared_nyquist=WHOLE)
    image = noise(acquisition.full_matrix, seed)
    np.testing.assert_allclose(acquisition.downsample(image), measured(acquisition, image), atol=2e-5)


def test_adjoint_and_pseudoinverse_are_those_of_linear_algebra(acquisition: Acquisition) -> None:
    down = matrix_of(acquisition.downsample, acquisition.full_matrix)
    np.testing.assert_allclose(matrix_of(acquisition.adjoint, acquisition.stored_matrix), down.T, atol=1e-5)
    inverse = np.linalg.pinv(down, rcond=1e-4)
    found = matrix_of(acquisition.pseudoinverse, acquisition.stored_matrix)
    tolerance = max(2e-5, 5e-6 * float(np.linalg.norm(inverse, 2)))  # a window's inverse is large
    np.testing.assert_allclose(found, inverse, atol=tolerance)


@PROPERTY
@given(acquisitions(), seeds)
def test_the_adjoint_is_one(acquisition: Acquisition, seed: int) -> None:
    x, y = noise((2, *acquisition.full_matrix), seed), noise((2, *acquisition.stored_matrix), seed + 1)
    there, back = acquisition.downsample(x), acquisition.adjoint(y)
    assert np.vdot(there, y) == pytest.approx(np.vdot(x, back), abs=1e-5 * float(np.linalg.norm(x) * np.linalg.norm(y)))


@PROPERTY
@given(acquisitions(), seeds)
def test_what_can_be_measured_is_measured_again(acquisition: Acquisition, seed: int) -> None:
    y = acquisition.downsample(noise((2, *acquisition.full_matrix), seed))
    assert np.abs(y).max() > 1e-3
    np.testing.assert_allclose(acquisition.downsample(acquisition.pseudoinverse(y)), y, atol=3e-5)


def test_separate_fractions_are_measured_again() -> None:
    acquisition = Acquisition.centre((20, 24), rows=0.5, columns=0.75, shutter="ellipse")
    y = acquisition.downsample(noise((20, 24)))
    np.testing.assert_allclose(acquisition.downsample(acquisition.pseudoinverse(y)), y, atol=1e-5)


# Data consistency.


@PROPERTY
@given(acquisitions(), seeds)
def test_the_projection_agrees_with_the_data_and_stays_there(acquisition: Acquisition, seed: int) -> None:
    y = acquisition.downsample(noise((2, *acquisition.full_matrix), seed))
    once = acquisition.project(noise((2, *acquisition.full_matrix), seed + 1), y)
    np.testing.assert_allclose(acquisition.downsample(once), y, atol=5e-5)
    np.testing.assert_allclose(acquisition.project(once, y), once, atol=5e-5)


@PROPERTY
@given(acquisitions(), seeds)
def test_the_projection_is_orthogonal_and_never_raises_the_error(acquisition: Acquisition, seed: int) -> None:
    truth, estimate = noise((1, *acquisition.full_matrix), seed), noise((1, *acquisition.full_matrix), seed + 1)
    projected = acquisition.project(estimate, acquisition.downsample(truth))
    # Pythagoras: what was changed is orthogonal to what is still wrong.
    before, after = np.sum((estimate - truth) ** 2), np.sum((projected - truth) ** 2)
    assert after + np.sum((projected - estimate) ** 2) == pytest.approx(before, rel=1e-4, abs=1e-4)
    assert after <= before * (1 + 1e-5)


def test_the_projection_changes_the_sampled_frequencies_alone(acquisition: Acquisition) -> None:
    beyond = noise(acquisition.full_matrix)
    beyond = beyond - acquisition.pseudoinverse(acquisition.downsample(beyond))
    np.testing.assert_allclose(acquisition.downsample(beyond), 0, atol=1e-5)
    sampled = acquisition.pseudoinverse(acquisition.downsample(noise(acquisition.full_matrix, 1)))
    found = acquisition.project(beyond, acquisition.downsample(sampled))
    np.testing.assert_allclose(found, beyond + sampled, atol=2e-5)


def test_consistency_weights_are_where_the_data_are() -> None:
    ellipse = Acquisition((9, 9), (12, 12), shutter="ellipse")
    np.testing.assert_array_equal(ellipse.consistency_weights, ellipse.mask)
    partial = Acquisition((8, 6), (12, 12), partial_fourier=0.75)
    assert partial.mask.sum() == 36
    assert partial.consistency_weights.min() == 1, "a real image has the same at opposite frequencies"
    np.testing.assert_array_equal(
        partial.weights[:, 0], [1, 1, 1, 1, 1, 1, 1, 1] - 0.5 * np.isin(range(8), (1, 2, 6, 7))
    )


def test_partial_fourier_loses_nothing_of_a_real_image() -> None:
    image = noise((3, 10, 12))
    acquisition = Acquisition((10, 12), (10, 12), partial_fourier=0.6)
    assert np.abs(acquisition.downsample(image) - image).max() > 0.1
    np.testing.assert_allclose(acquisition.pseudoinverse(acquisition.downsample(image)), image, atol=1e-5)


def test_the_corners_of_an_ellipse_are_not_restored() -> None:
    image = noise((12, 12))
    acquisition = Acquisition((12, 12), (12, 12), shutter="ellipse")
    restored = acquisition.pseudoinverse(acquisition.downsample(image))
    corners = 1 - acquisition.sampled_fraction
    assert np.sum((restored - image) ** 2) / np.sum((image - image.mean()) ** 2) == pytest.approx(corners, rel=0.5)


# The rectangles that everything was measured with stay what they were, to the last bit.


@pytest.mark.parametrize(
    ("acquired", "full"), [((6, 4), (10, 8)), ((5, 3), (9, 7)), ((5, 4), (9, 8)), ((7, 6), (7, 6))]
)
def test_rectangles_are_cropped_and_padded_to_the_last_bit(acquired: tuple[int, int], full: tuple[int, int]) -> None:
    x, y = noise((2, *full)), noise((2, *acquired), 1)
    acquisition = Acquisition(acquired, full)
    np.testing.assert_array_equal(acquisition.downsample(x), crop_kspace(x, acquired))
    np.testing.assert_array_equal(acquisition.pseudoinverse(y), pad_kspace(y, full, nyquist=2.0))
    replaced = x + pad_kspace(y - crop_kspace(x, acquired), full, nyquist=2.0)
    np.testing.assert_array_equal(acquisition.project(x, y), replaced)
    np.testing.assert_array_equal(data_consistency(x, y), replaced)


# The stored matrix.


@PROPERTY
@given(acquisitions(), seeds)
def test_zero_filling_is_undone(acquisition: Acquisition, seed: int) -> None:
    image = noise((2, *acquisition.acquired_matrix), seed)
    stored = zero_fill_kspace(image, acquisition.stored_matrix, acquisition.shared_nyquist)
    assert stored.mean() == pytest.approx(image.mean(), abs=1e-5)
    np.testing.assert_allclose(acquisition.undo_zero_filling(stored), image, atol=3e-5)


def test_zero_filling_with_shared_ends_is_sinc_interpolation() -> None:
    image = noise((2, 6, 4))
    np.testing.assert_allclose(zero_fill_kspace(image, (9, 8), WHOLE), pad_kspace(image, (9, 8)), atol=1e-6)
    whole = zero_fill_kspace(image, (9, 8), (False, False))
    np.testing.assert_allclose(whole, pad_kspace(image, (9, 8), nyquist=2.0), atol=1e-6)


@pytest.mark.parametrize("shared", [(True, True), (False, True), (True, False), (False, False)])
def test_zero_filling_has_its_adjoint(shared: tuple[bool, bool]) -> None:
    forward = matrix_of(lambda images: zero_fill_kspace(images, (9, 8), shared), (6, 4))
    backward = matrix_of(lambda images: zero_fill_adjoint(images, (6, 4), shared), (9, 8))
    np.testing.assert_allclose(backward, forward.T, atol=1e-6)


def test_a_series_is_brought_back_to_the_acquired_matrix() -> None:
    acquisition = Acquisition((6, 4), (12, 8), (9, 8))
    full = Volume(noise((3, 12, 8)), Geometry((3, 12, 8), (1.0, 1.5, 4.0), (7.0, 8.0, 9.0)))
    stored = Volume(acquisition.downsample(full.data), acquisition.low_resolution_geometry(full.geometry))
    back = acquisition.at_acquired_matrix(Series.of([stored, stored], [0.0, 2.0]))
    assert back.times == (0.0, 2.0)
    assert back.geometry.same_grid(full.geometry.with_matrix((6, 4)), tolerance=1e-6)
    np.testing.assert_allclose(back[1].data, crop_kspace(full.data, (6, 4)), atol=1e-5)
    series = Series.of([full])
    assert Acquisition((12, 8), (12, 8)).at_acquired_matrix(series) is series


def test_the_stored_matrix_is_the_acquired_one_unless_said() -> None:
    acquisition = Acquisition((6, 4), (10, 8))
    assert acquisition.stored_matrix == (6, 4)
    assert acquisition == Acquisition((6, 4), (10, 8), (6, 4))
    assert replace(acquisition, stored_matrix=(12, 8)).stored_matrix == (12, 8)


# How much: the paper's matrices, resolutions and times.


@pytest.mark.parametrize(
    ("full", "expected"),
    [((256, 192), [(128, 96), (80, 60), (64, 48)]), ((192, 256), [(96, 128), (60, 80), (48, 64)])],
)
def test_matrices_are_those_of_the_paper(full: tuple[int, int], expected: list[tuple[int, int]]) -> None:
    found = [Acquisition.centre(full, fraction) for fraction in FRACTIONS]
    assert [acquisition.acquired_matrix for acquisition in found] == expected
    assert [acquisition.fraction for acquisition in found] == pytest.approx(FRACTIONS, rel=0.03)


@pytest.mark.parametrize(("field_of_view", "expected"), [(280, [2.19, 3.50, 4.38]), (350, [2.73, 4.38, 5.47])])
def test_resolutions_are_those_of_table_2(field_of_view: float, expected: list[float]) -> None:
    spacing = field_of_view / 256
    full = Geometry((1, 192, 256), (spacing,) * 3)
    for fraction, resolution in zip(FRACTIONS, expected, strict=True):
        acquisition = Acquisition.centre((192, 256), fraction)
        x, y = acquisition.effective_resolution(full)
        assert x == y
        assert x == pytest.approx(resolution, abs=0.00501)
        stored = replace(acquisition, stored_matrix=(150, 200))
        assert stored.effective_resolution(stored.low_resolution_geometry(full)) == pytest.approx((x, y))
        volume = downsample(Volume(np.ones((1, 192, 256)), full), fraction)
        assert volume.geometry.spacing == pytest.approx((x, y, spacing))


@PROPERTY
@given(matrices, fractions)
def test_the_fraction_is_the_largest_not_above_the_one_wanted(full: tuple[int, int], fraction: float) -> None:
    assume(0.5 < full[0] / full[1] < 2)
    acquisition = Acquisition.centre(full, fraction)
    (height, width), area = acquisition.acquired_matrix, full[0] * full[1]
    assert acquisition.fraction == height * width / area <= fraction
    assert acquisition.sampled_fraction == pytest.approx(acquisition.fraction)
    if (height, width) != full:
        assert (height + 2) * (width + 2 * math.ceil(full[1] / full[0]) + 2) > fraction * area
    assert (full[0] - height) % 2 == (full[1] - width) % 2 == 0
    assert abs(width - height * full[1] / full[0]) < 2


@PROPERTY
@given(matrices, st.floats(0.2, 1.0), st.floats(0.2, 1.0))
@example((100, 100), 0.58, 0.29)
def test_rows_and_columns_have_fractions_of_their_own(full: tuple[int, int], rows: float, columns: float) -> None:
    found = Acquisition.centre(full, rows=rows, columns=columns).acquired_matrix
    for lines, size, fraction in zip(found, full, (rows, columns), strict=True):
        assert (size - lines) % 2 == 0
        assert lines <= fraction * size + 1e-6 < lines + 2


def test_an_axis_without_a_fraction_is_whole() -> None:
    assert Acquisition.centre((256, 192), rows=0.25).acquired_matrix == (64, 192)
    assert Acquisition.centre((256, 192), columns=0.5).acquired_matrix == (256, 96)
    assert Acquisition.centre((100, 100), rows=0.58).acquired_matrix == (58, 100), "0.58 * 100 is just below 58"


def test_shutter_and_partial_fourier_leave_samples_out() -> None:
    ellipse = Acquisition.centre((256, 256), 0.25, shutter="ellipse")
    assert ellipse.fraction == 0.25
    assert ellipse.sampled_fraction == pytest.approx(0.25 * math.pi / 4, rel=0.01)
    partial = Acquisition.centre((256, 256), 0.25, partial_fourier=0.75)
    assert partial.fraction == 0.25
    assert partial.sampled_fraction == 0.25 * 0.75
    assert partial.mask[64].all(), "the line through the centre"


@pytest.mark.parametrize("full", [(192, 256), (256, 192), (256, 256), (320, 320), (384, 272), (176, 256)])
@pytest.mark.parametrize("fraction", [0.25, 0.10, 0.0625])
def test_usual_full_matrices_are_guessed(full: tuple[int, int], fraction: float) -> None:
    acquired = Acquisition.centre(full, fraction).acquired_matrix
    assert Acquisition.from_fraction_of_acquired(acquired, fraction) == Acquisition(acquired, full)


@pytest.mark.parametrize(("acquired", "fraction", "full"), [((4, 4), 0.25, (8, 8)), ((2, 3), 0.0625, (8, 13))])
def test_tiny_full_matrices_are_guessed_too(acquired: tuple[int, int], fraction: float, full: tuple[int, int]) -> None:
    assert Acquisition.from_fraction_of_acquired(acquired, fraction).full_matrix == full


@given(st.integers(1, 200), st.integers(1, 200), st.floats(0.01, 1.0))
def test_a_guessed_full_matrix_is_no_smaller(height: int, width: int, fraction: float) -> None:
    full = Acquisition.from_fraction_of_acquired((height, width), fraction).full_matrix
    assert full[0] >= height
    assert full[1] >= width


def test_a_series_says_what_to_acquire_of_a_planning_scan() -> None:
    planning = Geometry((40, 256, 192), (1.0, 1.0, 3.0))
    acquisition = Acquisition.centre((256, 192), 0.10)
    assert Acquisition.between(planning, acquisition.low_resolution_geometry(planning)) == acquisition
    other_field_of_view = Geometry((20, 50, 90), (2.0, 4.0, 3.0))
    assert Acquisition.between(planning, other_field_of_view).acquired_matrix == (64, 96)


def test_a_planning_scan_of_lower_resolution_is_refused() -> None:
    coarse, fine = Geometry((4, 20, 20), (2.0, 2.0, 3.0)), Geometry((4, 40, 20), (2.0, 1.0, 3.0))
    with pytest.raises(InputError, match=r"lower resolution .* give a sharper planning scan"):
        Acquisition.between(coarse, fine)


@pytest.mark.parametrize(
    ("rows", "slices", "repetition_time", "slice_resolution", "acceleration", "seconds"),
    [(144, 40, 2.34, 0.65, 2, 4.81), (144, 40, 2.34, 0.65, 1, 9.61), (96, 44, 2.23, 0.64, 1, 6.62)],
)
def test_times_are_those_of_table_2(
    rows: int, slices: int, repetition_time: float, slice_resolution: float, acceleration: float, seconds: float
) -> None:
    # Phase resolutions of 75% and 50% of 192 lines.
    found = Acquisition((rows, 256), (192, 256)).acquisition_time(
        slices,
        repetition_time,
        phase_oversampling=0.10,
        slice_resolution=slice_resolution,
        acceleration=acceleration,
    )
    assert round(found, 2) == seconds


def test_time_is_sampled_lines_times_slices_times_repetition_time() -> None:
    acquisition = Acquisition((100, 60), (200, 120))
    assert acquisition.acquisition_time(30, 5) == pytest.approx(15.0)
    assert acquisition.acquisition_time(30, 5, slice_oversampling=0.2) == pytest.approx(18.0)
    assert replace(acquisition, partial_fourier=0.75).acquisition_time(30, 5) == pytest.approx(11.25)


@pytest.mark.parametrize("wrong", [{"acceleration": 0}, {"slice_resolution": -0.5}, {"slices": 0}])
def test_numbers_that_are_not_positive_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError, match="above zero"):
        Acquisition((96, 96), (192, 192)).acquisition_time(**{"slices": 40, "repetition_time": 2.34} | wrong)


# What cannot be.


@pytest.mark.parametrize("fraction", [0, -0.25, 1.0001, math.inf, math.nan])
def test_a_fraction_outside_its_range_is_refused(fraction: float) -> None:
    for make in (
        lambda: Acquisition.centre((8, 8), fraction),
        lambda: Acquisition.centre((8, 8), columns=fraction),
        lambda: Acquisition.from_fraction_of_acquired((8, 8), fraction),
    ):
        with pytest.raises(InputError, match="above 0 and at most 1"):
            make()


def test_a_fraction_that_leaves_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="leaves nothing of a 6x8 matrix"):
        Acquisition.centre((6, 8), 0.01)
    with pytest.raises(InputError, match="leaves nothing of a 6x8 matrix"):
        Acquisition.centre((6, 8), rows=0.1)


@pytest.mark.parametrize("fractions", [{}, {"fraction": 0.25, "rows": 0.5}])
def test_either_one_fraction_or_two_are_given(fractions: dict[str, float]) -> None:
    with pytest.raises(InputError, match="either one fraction"):
        Acquisition.centre((8, 8), **fractions)


@pytest.mark.parametrize("matrices", [((9, 4), (8, 8)), ((4, 9), (8, 8)), ((0, 4), (8, 8)), ((4, 4), (8, 8), (3, 4))])
def test_matrices_that_do_not_fit_are_refused(matrices: tuple[tuple[int, int], ...]) -> None:
    with pytest.raises(InputError, match="does not fit into a"):
        Acquisition(*matrices)


@pytest.mark.parametrize("noise", [-1, math.nan, math.inf])
def test_noise_outside_its_range_is_refused(noise: float) -> None:
    with pytest.raises(InputError, match="noise must be 0 or more"):
        Acquisition((4, 4), (8, 8), noise=noise)


@pytest.mark.parametrize("share", [0.5, 0, 1.01, math.nan])
def test_partial_fourier_outside_its_range_is_refused(share: float) -> None:
    with pytest.raises(InputError, match=r"above 0\.5 and at most 1"):
        Acquisition((4, 4), (8, 8), partial_fourier=share)


def test_a_pattern_that_is_not_there_is_refused() -> None:
    with pytest.raises(InputError, match="no sampling pattern named spiral; use one of rectangle, ellipse"):
        Acquisition((4, 4), (8, 8), shutter="spiral")


def test_a_pattern_that_measures_nothing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SHUTTERS, "empty", lambda matrix: np.zeros(matrix, dtype=bool))
    with pytest.raises(InputError, match="pattern empty measures nothing of a 4x4 matrix"):
        sampling_mask((4, 4), "empty")


def test_an_image_of_another_matrix_is_refused() -> None:
    acquisition = Acquisition((4, 4), (8, 8), (6, 6))
    for operator, name in (
        (acquisition.downsample, "full"),
        (acquisition.adjoint, "stored"),
        (acquisition.pseudoinverse, "stored"),
        (acquisition.undo_zero_filling, "stored"),
    ):
        with pytest.raises(InputError, match=f"4x4 rows and columns, but the {name} matrix"):
            operator(noise((2, 4, 4)))


def test_the_centre_of_a_magnitude_counts_most_and_the_edge_not_at_all() -> None:
    weights = Acquisition((8, 6), (16, 12), magnitude=True).consistency_weights
    assert weights[4, 3] == 1
    assert weights[0].max() == weights[:, 0].max() == 0
    assert np.all(np.diff(weights[4, 3:]) < 0)
    assert Acquisition((8, 6), (16, 12)).consistency_weights.min() == 1
