"""Super-resolution of one volume: its grid and unit, what was acquired kept, and too little memory."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.recorder import Recorder
from scipy import ndimage
from scipy.spatial.transform import Rotation
from torch import Tensor

from SRDynamicMRILib.acquisition.acquisition import Acquisition, downsample
from SRDynamicMRILib.acquisition.interpolation import trilinear_index, zero_filled
from SRDynamicMRILib.acquisition.kspace import crop_kspace
from SRDynamicMRILib.errors import InputError
from SRDynamicMRILib.geometry import Geometry, shape_of
from SRDynamicMRILib.inference.super_resolution import super_resolve, target_grid
from SRDynamicMRILib.inference.tiling import Inference
from SRDynamicMRILib.models.checkpoints import Model
from SRDynamicMRILib.models.model_info import ModelInfo, new_network
from SRDynamicMRILib.networks.network import SuperResolutionNetwork
from SRDynamicMRILib.networks.unet import UNet3D
from SRDynamicMRILib.volume import Volume

pytestmark = pytest.mark.usefixtures("one_thread")

OBLIQUE = tuple(Rotation.from_euler("xyz", (0.3, -0.2, 0.8)).as_matrix().ravel().tolist())
GRID = Geometry((5, 36, 42), (1.2, 1.3, 4.0), (-20.0, 30.0, 5.0), OBLIQUE)

DEFAULT_INFO = ModelInfo(
    features=4,
    fractions=(0.25, 0.0625),
    interpolation="non_negative",
    normalisation="percentile",
    residual=True,
    data_consistency=True,
)
PAPER_INFO = ModelInfo(features=4, fractions=(0.0625,))


class ShortOfMemory(UNet3D):
    """Has memory for few voxels at a time."""

    def __init__(self, voxels: int) -> None:
        super().__init__(2)
        self.features = 512  # what the size of tiles is reckoned with
        self.voxels = voxels
        self.largest = 0

    def forward(self, x: Tensor) -> Tensor:
        if x.numel() > self.voxels:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        self.largest = max(self.largest, x.numel())
        return super().forward(x)


def model(info: ModelInfo = DEFAULT_INFO) -> Model:
    torch.manual_seed(0)
    return Model(UNet3D(4).eval(), info)


def truth(grid: Geometry = GRID) -> Volume:
    """A smooth, positive object in an empty background."""
    image = ndimage.gaussian_filter(np.random.default_rng(0).random(grid.shape), (0, 2, 2))
    image[:, :6] = image[:, -6:] = 0
    return Volume(1000 * image, grid)


LOW = downsample(truth(), 0.25)


@pytest.mark.parametrize("size", [(36, 42), (37, 41), (33, 50)])
def test_sub_pixel_network_that_adds_nothing_gives_the_zero_filled_image(size: tuple[int, int]) -> None:
    info = replace(
        DEFAULT_INFO, architecture="SubPixelNetwork", factor=3, interpolation="zero_filled", data_consistency=False
    )
    network = new_network(info).eval()
    with torch.no_grad():
        network.last.weight.zero_()
    grid = replace(GRID, shape=(5, *size))
    low = downsample(truth(grid), 0.1)
    result = super_resolve(low, Model(network, info), grid)
    np.testing.assert_allclose(result.data, zero_filled(low.data, size), atol=1e-2)


def test_result_in_bfloat16_is_that_in_float32_but_for_rounding() -> None:
    precise, fast = (
        super_resolve(LOW, model(), GRID, inference=Inference(precision=p)).data for p in ("float32", "bfloat16")
    )
    assert not np.array_equal(precise, fast)
    np.testing.assert_allclose(fast, precise, atol=0.01 * precise.max())


def ramp_network(x: Tensor) -> Tensor:
    return 0.5 * x + 0.25


class Function(SuperResolutionNetwork):
    halo, grid_step, maps_at_once, features = 24, 4, 8, 1

    def __init__(self, function: object) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


@pytest.mark.parametrize("info", [DEFAULT_INFO, PAPER_INFO])
def test_result_lies_on_the_grid(info: ModelInfo) -> None:
    result = super_resolve(LOW, model(info), GRID)
    assert result.geometry == GRID
    assert result.data.dtype == np.float32
    assert np.isfinite(result.data).all()


@pytest.mark.parametrize("info", [DEFAULT_INFO, PAPER_INFO])
def test_result_is_in_the_unit_of_the_input(info: ModelInfo) -> None:
    precise = Inference(precision="float32")  # an untrained network's output is large, and so is its rounding
    result = super_resolve(LOW, model(info), GRID, inference=precise).data
    larger = super_resolve(LOW.with_data(LOW.data * 1000), model(info), GRID, inference=precise).data
    np.testing.assert_allclose(larger, 1000 * result, rtol=1e-3, atol=1e-3 * larger.max())


@pytest.mark.parametrize("fraction", [0.25, 0.10, 0.0625, 1.0])
def test_downsampled_result_is_what_was_acquired(fraction: float) -> None:
    low = downsample(truth(), fraction)
    result = super_resolve(low, model(), GRID)
    again = downsample(result, fraction)
    assert again.geometry.same_grid(low.geometry, tolerance=1e-6)
    assert np.abs(again.data - low.data).max() < 1e-4 * np.abs(low.data).max()


def test_without_data_consistency_the_network_has_the_last_word() -> None:
    result = super_resolve(LOW, model(replace(DEFAULT_INFO, data_consistency=False)), GRID)
    assert np.abs(crop_kspace(result.data, LOW.shape[1:]) - LOW.data).max() > 0.01 * LOW.data.max()


def test_papers_way_is_network_of_index_based_input_over_its_maximum() -> None:
    interpolated = trilinear_index(LOW.data, GRID.shape[1:])
    result = super_resolve(LOW, Model(Function(ramp_network), PAPER_INFO), GRID)
    expected = (0.5 * interpolated / interpolated.max() + 0.25) * interpolated.max()
    np.testing.assert_allclose(result.data, expected, rtol=1e-5)


def test_residual_model_adds_to_its_input_over_the_percentile() -> None:
    info = replace(PAPER_INFO, residual=True, normalisation="percentile", interpolation="zero_filled")
    interpolated = zero_filled(LOW.data, GRID.shape[1:])
    result = super_resolve(LOW, Model(Function(torch.ones_like), info), GRID)
    np.testing.assert_allclose(result.data, interpolated + np.percentile(LOW.data, 99.9), rtol=1e-4)


def test_papers_way_runs_by_patches() -> None:
    by_patches = Inference(patch=(8, 8, 8), stride=(4, 7, 6), batch=5)
    result = super_resolve(LOW, model(PAPER_INFO), GRID, inference=by_patches)
    assert result.geometry == GRID
    assert np.isfinite(result.data).all()
    # A network that looks at each voxel alone cannot tell patches from the whole.
    pointwise = Model(Function(ramp_network), PAPER_INFO)
    np.testing.assert_allclose(
        super_resolve(LOW, pointwise, GRID, inference=by_patches).data,
        super_resolve(LOW, pointwise, GRID).data,
        rtol=1e-5,
    )


def test_model_is_left_as_it_was() -> None:
    used = model()
    before = {name: tensor.clone() for name, tensor in used.network.state_dict().items()}
    super_resolve(LOW, used, GRID)
    assert all(torch.equal(tensor, before[name]) for name, tensor in used.network.state_dict().items())


def test_empty_volume_stays_empty_under_data_consistency() -> None:
    result = super_resolve(LOW.with_data(np.zeros(LOW.shape)), model(), GRID)
    np.testing.assert_allclose(crop_kspace(result.data, LOW.shape[1:]), 0, atol=1e-5)


def test_strongly_negative_volume_is_not_held_above_zero() -> None:
    progress = Recorder()
    low = LOW.with_data(LOW.data - LOW.data.max())
    result = super_resolve(low, model(), GRID, progress=progress)
    assert "strongly negative" in progress.messages[0]
    assert np.abs(crop_kspace(result.data, LOW.shape[1:]) - low.data).max() < 1e-4 * np.abs(low.data).max()


def test_positive_volume_is_nearly_held_above_zero() -> None:
    progress = Recorder()
    result = super_resolve(LOW, model(), GRID, progress=progress).data
    assert progress.messages == []
    assert np.linalg.norm(np.minimum(result, 0)) < 0.02 * np.linalg.norm(result)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("info", [DEFAULT_INFO, PAPER_INFO])
def test_network_output_that_is_not_finite_is_refused(value: float, info: ModelInfo) -> None:
    def spoil(x: Tensor) -> Tensor:
        x = x.clone()
        x[..., 3, 3] = value
        return x

    with pytest.raises(InputError, match="not finite"):
        super_resolve(LOW, Model(Function(spoil), info), GRID)


# -------------------------------------------------------------------------------------------------- memory

LONG = Geometry((8, 8, 256), (1.0, 1.0, 4.0))
LONG_LOW = downsample(Volume(np.random.default_rng(0).random(LONG.shape), LONG), 0.25)


def test_too_little_memory_takes_smaller_tiles_with_the_same_result() -> None:
    torch.manual_seed(0)
    network = ShortOfMemory(12_000)
    progress = Recorder()
    whole_at_first = Inference(memory=1 << 28)
    used = Model(network, PAPER_INFO)
    small = super_resolve(LONG_LOW, used, LONG, inference=whole_at_first, progress=progress)
    assert progress.messages == ["Not enough memory on cpu: trying smaller tiles."]
    assert 0 < network.largest <= 12_000
    network.voxels = 1 << 30
    whole = super_resolve(LONG_LOW, used, LONG, inference=whole_at_first)
    assert network.largest == 8 * 8 * 256
    np.testing.assert_allclose(small.data, whole.data, atol=1e-4)


def test_too_little_memory_takes_fewer_patches_with_the_same_result() -> None:
    torch.manual_seed(0)
    network = ShortOfMemory(2 * 8**3)
    progress = Recorder()
    patches = Inference(patch=(8, 8, 8), stride=(8, 8, 8), batch=8)
    small = super_resolve(LONG_LOW, Model(network, PAPER_INFO), LONG, inference=patches, progress=progress)
    assert progress.messages == ["Not enough memory on cpu: trying fewer patches at a time."] * 2
    network.voxels = 1 << 30
    whole = super_resolve(LONG_LOW, Model(network, PAPER_INFO), LONG, inference=patches)
    np.testing.assert_allclose(small.data, whole.data, atol=1e-5)


@pytest.mark.parametrize("inference", [Inference(memory=1 << 28), Inference(patch=(8, 8, 8), stride=(8, 8, 8))])
def test_no_memory_at_all_is_said(inference: Inference) -> None:
    with pytest.raises(InputError, match="not enough memory"):
        super_resolve(LONG_LOW, Model(ShortOfMemory(10), PAPER_INFO), LONG, inference=inference)


def test_no_memory_on_the_cpu_is_said() -> None:
    huge = Model(Function(lambda x: torch.empty(1 << 50) + x), PAPER_INFO)
    with pytest.raises(InputError, match="not enough memory"):
        super_resolve(LOW, huge, GRID)


# -------------------------------------------------------------------------------------------------- target


def test_grid_of_the_prior_is_taken_first() -> None:
    fine_tuned = model(replace(DEFAULT_INFO, prior_spacing=(0.6, 0.6, 4.0)))
    assert target_grid(LOW.geometry, GRID, fine_tuned, fraction=0.0625) is GRID


def test_fraction_comes_before_what_the_model_knows() -> None:
    fine_tuned = model(replace(DEFAULT_INFO, prior_spacing=(0.6, 0.6, 4.0)))
    assert target_grid(LOW.geometry, None, fine_tuned, fraction=0.25).shape == (5, 32, 40)


def test_model_fine_tuned_on_a_prior_gives_its_voxel_size() -> None:
    fine_tuned = model(replace(DEFAULT_INFO, prior_spacing=GRID.spacing))
    assert target_grid(LOW.geometry, None, fine_tuned).same_grid(GRID)


def test_prior_of_larger_voxels_does_not_shrink_the_volume() -> None:
    coarse = model(replace(DEFAULT_INFO, prior_spacing=(9.0, 9.0, 9.0)))
    assert target_grid(LOW.geometry, None, coarse).shape == LOW.shape


def test_lowest_fraction_of_the_model_is_taken_last() -> None:
    low = downsample(Volume(np.ones((2, 64, 96))), 0.0625)
    assert target_grid(low.geometry, None, model()).shape == (2, 64, 96)
    one = model(replace(DEFAULT_INFO, fractions=(0.25,)))
    assert target_grid(low.geometry, None, one).shape == (2, 32, 48)


def test_nothing_known_of_the_voxel_size_is_an_error() -> None:
    with pytest.raises(InputError, match=r"--like PRIOR or --fraction"):
        target_grid(LOW.geometry, None, model(replace(DEFAULT_INFO, fractions=())))


def test_prior_of_lower_resolution_is_refused() -> None:
    with pytest.raises(InputError, match="larger voxels"):
        target_grid(GRID, LOW.geometry, model())


def test_a_magnitude_keeps_the_centre_of_the_acquired_kspace_and_not_its_edge() -> None:
    low = Volume(np.abs(LOW.data), LOW.geometry)
    known = Acquisition(shape_of(low.data)[1:], shape_of(truth().data)[1:], magnitude=True)
    plain = super_resolve(low, model(replace(DEFAULT_INFO, data_consistency=False)), GRID, acquisition=known)
    result = super_resolve(low, model(), GRID, acquisition=known)
    before, after = (
        np.abs(np.fft.fftshift(np.fft.fft2(known.downsample(each.data) - low.data), axes=(1, 2))).mean(0)
        for each in (plain, result)
    )
    h, w = before.shape
    assert after[h // 2, w // 2] < 0.2 * before[h // 2, w // 2]
    assert after[0].sum() > 0.5 * before[0].sum()
    assert result.data.min() >= 0
