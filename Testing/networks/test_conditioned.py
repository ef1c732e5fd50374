"""A network that knows how its image was acquired."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.models import TINY_CONDITIONED, same_weights

from SRDynamicMRILib.acquisition.acquisition import Acquisition
from SRDynamicMRILib.acquisition.interpolation import zero_filled
from SRDynamicMRILib.acquisition.kspace import from_sub_pixels
from SRDynamicMRILib.acquisition.stored import StoredImage
from SRDynamicMRILib.acquisition.windows import Window
from SRDynamicMRILib.inference.super_resolution import super_resolve
from SRDynamicMRILib.inference.tiling import Inference
from SRDynamicMRILib.models.checkpoints import Model, load_model, save_model
from SRDynamicMRILib.models.model_info import new_network
from SRDynamicMRILib.networks.conditioned import CONDITIONS, ConditionedSubPixelNetwork, conditions
from SRDynamicMRILib.networks.sub_pixel import SubPixelNetwork
from SRDynamicMRILib.phantom import abdomen
from SRDynamicMRILib.volume import Volume

pytestmark = pytest.mark.usefixtures("one_thread")

TRUTH = abdomen(0, (6, 48, 64), (6.0, 6.0, 8.0), time_points=1).static
PLAIN = Acquisition((12, 16), (48, 64), magnitude=True)
SCANNER = Acquisition((12, 16), (48, 64), (24, 32), window=Window("hann"), noise=20.0, magnitude=True)
INFO = replace(TINY_CONDITIONED, features=4, factor=4, fractions=(0.0625,))


def network(seed: int = 0) -> ConditionedSubPixelNetwork:
    torch.manual_seed(seed)
    made = new_network(INFO).eval()
    assert isinstance(made, ConditionedSubPixelNetwork)
    return made


def that_listens() -> ConditionedSubPixelNetwork:
    """A network whose feature maps depend on what is said of the acquisition, as after training."""
    made = network()
    torch.nn.init.normal_(made.conditioning[-1].weight, std=0.1)
    return made


def stored(acquisition: Acquisition) -> StoredImage:
    return StoredImage.simulated(TRUTH.data, acquisition, rng=np.random.default_rng(0))


def said(acquisition: Acquisition) -> dict[str, float]:
    return dict(zip(CONDITIONS, conditions(acquisition, 100.0, 4), strict=True))


def test_an_acquisition_in_numbers() -> None:
    of_plain, of_scanner = said(PLAIN), said(SCANNER)
    assert of_plain["noise"] == 0 and of_scanner["noise"] == pytest.approx(2)
    assert of_plain["window at 0.5, 0"] == 1 and of_scanner["window at 0.5, 0"] == pytest.approx(0.5, abs=0.01)
    assert (of_plain["rows stored"], of_scanner["rows stored"]) == (0, 1)
    assert of_plain["rows acquired"] == of_scanner["columns acquired"] == 0, "a quarter, of which it makes four voxels"
    assert said(replace(PLAIN, magnitude=False))["magnitude"] == 0
    assert said(replace(PLAIN, shutter="ellipse"))["ellipse"] == 1
    assert said(replace(PLAIN, partial_fourier=0.75))["missing lines"] == pytest.approx(1)


def test_it_is_fed_with_the_image_at_twice_the_acquired_matrix() -> None:
    made = network()
    scale = np.float32(2)
    twice = stored(SCANNER)
    channels = made.input_of(twice, np.empty(0), scale)
    assert channels.shape == (len(made.inputs), 6, 12, 16)
    np.testing.assert_allclose(channels[1], twice.data[:, ::2, 1::2] / 2, atol=1e-3)
    once = stored(PLAIN)
    np.testing.assert_allclose(made.input_of(once, np.empty(0), scale)[0], once.data / 2, atol=1e-3)


def test_it_learns_what_the_stored_image_lacks() -> None:
    image = stored(SCANNER)
    pair = ConditionedSubPixelNetwork.training_pair(TRUTH.data, image, 4, "sinc", "percentile")
    scale = np.percentile(image.acquired, 99.9)
    lacking = from_sub_pixels(pair.target * scale, (12, 16), (48, 64))
    np.testing.assert_allclose(lacking + zero_filled(image.data, (48, 64)), TRUTH.data, atol=0.01 * scale)
    assert pair.input.shape == (18, 6, 12, 16) and pair.factor == 4


def test_before_training_the_acquisition_makes_no_difference_and_after_it_does() -> None:
    inputs = torch.from_numpy(network().input_of(stored(SCANNER), np.empty(0), np.float32(1000)))[None]
    others = inputs.clone()
    others[:, 4:] += 1
    with torch.inference_mode():
        assert torch.equal(network()(inputs), network()(others))
        assert not torch.equal(that_listens()(inputs), that_listens()(others))


def test_it_begins_as_a_network_that_is_told_nothing() -> None:
    torch.manual_seed(1)
    plain, made = SubPixelNetwork(4, 4).eval(), that_listens()
    made.begin_as(that_listens())
    assert same_weights(made, that_listens())
    fresh = network()
    fresh.begin_as(plain)
    inputs = torch.from_numpy(fresh.input_of(stored(PLAIN), np.empty(0), np.float32(1000)))[None]
    with torch.inference_mode():
        torch.testing.assert_close(fresh(inputs), plain(inputs[:, :1]))


def test_a_result_of_a_magnitude_image_is_never_negative() -> None:
    image, grid = stored(SCANNER), TRUTH.geometry
    made = network()
    torch.nn.init.normal_(made.last.weight, std=0.5)
    volume = Volume(image.data, SCANNER.low_resolution_geometry(grid))
    assert super_resolve(volume, Model(made, INFO), grid, acquisition=SCANNER).data.min() == 0
    signed = replace(SCANNER, magnitude=False)
    assert super_resolve(volume, Model(made, INFO), grid, acquisition=signed).data.min() < 0


def test_tiles_make_no_difference() -> None:
    image, grid = stored(SCANNER), TRUTH.geometry
    volume, model = Volume(image.data, SCANNER.low_resolution_geometry(grid)), Model(that_listens(), INFO)
    whole = super_resolve(volume, model, grid, acquisition=SCANNER).data
    tiled = super_resolve(volume, model, grid, acquisition=SCANNER, inference=Inference(memory=1)).data
    np.testing.assert_allclose(tiled, whole, atol=1e-4 * whole.max())


def test_it_comes_back_from_its_file(tmp_path: Path) -> None:
    save_model(Model(that_listens(), INFO), tmp_path / "m.safetensors")
    assert same_weights(load_model(tmp_path / "m.safetensors").network, that_listens())
