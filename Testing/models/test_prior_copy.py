"""The small copy of the planning scan in a fine-tuned model: what comes back, how large it is, what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.models import TINY, same_weights, tiny_network
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from SRDynamicMRILib.acquisition.acquisition import downsample
from SRDynamicMRILib.errors import InputError
from SRDynamicMRILib.geometry import Geometry
from SRDynamicMRILib.models.checkpoints import Model, load_model, save_model
from SRDynamicMRILib.models.prior_copy import LARGEST, TENSOR, PriorCopy, coarse, voxels_sha256
from SRDynamicMRILib.phantom import abdomen
from SRDynamicMRILib.prior.similarity import similarity
from SRDynamicMRILib.volume import Volume

PHANTOM = abdomen(3, (8, 96, 128), (2.7, 2.7, 8.0), time_points=2)
COPY = PriorCopy.of(PHANTOM.static)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    save_model(Model(tiny_network(), TINY, prior=COPY), tmp_path / "m.safetensors")
    return tmp_path / "m.safetensors"


def test_it_comes_back_with_the_model(file: Path) -> None:
    model = load_model(file)
    assert model.prior is not None
    assert model.prior.sha256 == voxels_sha256(PHANTOM.static)
    assert model.prior.volume.geometry == COPY.volume.geometry
    np.testing.assert_array_equal(model.prior.volume.data, COPY.volume.data)
    assert same_weights(model.network, tiny_network())


def test_models_without_one_still_load(tmp_path: Path) -> None:
    save_model(Model(tiny_network(), TINY), tmp_path / "m.safetensors")
    assert load_model(tmp_path / "m.safetensors").prior is None
    assert TENSOR not in load_file(tmp_path / "m.safetensors")


def test_it_tells_as_much_as_the_scan_itself() -> None:
    series = downsample(PHANTOM.dynamic[1], 0.0625)
    whole = similarity(PHANTOM.static, series)
    assert similarity(COPY.volume, series) == pytest.approx(whole, abs=0.01)


@pytest.mark.parametrize("shape", [(8, 96, 128), (200, 40, 300), (130, 65, 64), (1, 7, 900), (64, 64, 64)])
def test_it_is_small_and_lies_where_the_scan_does(shape: tuple[int, int, int]) -> None:
    direction = (0.0, 0.0, 1.0, -1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
    geometry = Geometry(shape, (1.5, 0.9, 4.0), (-10.0, 20.0, 30.0), direction)
    scan = Volume(np.random.default_rng(0).random(shape), geometry)
    copy = PriorCopy.of(scan)
    assert max(copy.volume.shape) <= LARGEST
    assert copy.tensor.dtype is torch.uint8
    assert copy.tensor.numel() <= 256 * 1024
    away = copy.volume.geometry.centre - geometry.centre
    assert np.abs(away).max() <= max(copy.volume.geometry.spacing) / 2 + 1e-9
    if max(shape) <= LARGEST:
        assert coarse(scan) is scan


def test_slices_are_averaged_in_their_place() -> None:
    ramp = np.broadcast_to(np.arange(130, dtype=np.float32)[:, None, None], (130, 8, 8))
    small = coarse(Volume(ramp, Geometry((130, 8, 8), (1.0, 1.0, 2.0))))
    heights = [small.geometry.position((0, 0, number))[2] for number in range(small.shape[0])]
    np.testing.assert_allclose(2 * small.data[:, 0, 0], heights)


def test_the_hash_is_of_voxels_and_matrix() -> None:
    image = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    moved = Volume(image, Geometry((2, 3, 4), (9.0, 9.0, 9.0)))
    assert voxels_sha256(Volume(image)) == voxels_sha256(moved)
    assert voxels_sha256(Volume(image)) != voxels_sha256(Volume(image.reshape(2, 4, 3)))
    assert voxels_sha256(Volume(image)) != voxels_sha256(Volume(image + 1))


def rewritten(file: Path, voxels: torch.Tensor | None, **facts: Any) -> Path:
    """The model with other voxels of the copy, or none, and other facts of it."""
    tensors = load_file(file)
    with safe_open(file, framework="pt") as stream:
        metadata = dict(stream.metadata())
    key = "SRDynamicMRI planning scan"
    metadata[key] = json.dumps(json.loads(metadata[key]) | facts)
    tensors.pop(TENSOR)
    if voxels is not None:
        tensors[TENSOR] = voxels
    save_file(tensors, file, metadata=metadata)
    return file


VOXELS = COPY.tensor


@pytest.mark.parametrize(
    ("voxels", "facts", "why"),
    [
        (None, {}, "either the voxels or the description is missing"),
        (VOXELS.float(), {}, "no small volume of whole numbers"),
        (VOXELS[0], {}, "no small volume of whole numbers"),
        (VOXELS[:0], {}, "no small volume of whole numbers"),
        (torch.zeros(65, 4, 4, dtype=torch.uint8), {}, "no small volume of whole numbers"),
        (VOXELS, {"sha256": 3}, "description"),
        (VOXELS, {"spacing": [1, 1]}, "spacing"),
        (VOXELS, {"spacing": [1, 1, 0]}, "makes no sense"),
        (VOXELS, {"spacing": [1, 1, float("nan")]}, "spacing"),
        (VOXELS, {"origin": [0, 0, 10**400]}, "origin"),
        (VOXELS, {"origin": "here"}, "origin"),
        (VOXELS, {"direction": [1, 0, 0, 0, 1, 0, 0, 0, 0]}, "makes no sense"),
        (VOXELS, {"direction": [True] * 9}, "direction"),
    ],
)
def test_a_damaged_one_is_refused(file: Path, voxels: torch.Tensor | None, facts: dict[str, Any], why: str) -> None:
    with pytest.raises(InputError, match=why):
        load_model(rewritten(file, voxels, **facts))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"metrics": {"recovered": -6.2e19}}, "metrics is not a table of numbers"),
        ({"metrics": {"psnr": float("inf")}}, "metrics is not a table of numbers"),
        ({"features": 8}, "not those of a UNet3D with 8 features"),
        ({"fractions": (1.5,)}, "not between 0 and 1"),
    ],
)
def test_what_could_not_be_loaded_again_is_not_written(tmp_path: Path, changes: dict[str, Any], why: str) -> None:
    with pytest.raises(InputError, match=why):
        save_model(Model(tiny_network(), replace(TINY, **changes)), tmp_path / "m.safetensors")
    assert list(tmp_path.iterdir()) == []
