"""Models on disk: what is saved comes back, nothing in it is executed, and a bad file gets a sentence."""

from __future__ import annotations

import contextlib
import json
import pickle
import struct
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor

from SRDynamicMRILib.errors import InputError
from SRDynamicMRILib.models.checkpoints import (
    Model,
    file_sha256,
    load_model,
    save_model,
)
from SRDynamicMRILib.models.import_checkpoint import import_checkpoint
from SRDynamicMRILib.models.model_info import ModelInfo, new_network
from SRDynamicMRILib.models.trained_acquisition import TrainedAcquisition
from SRDynamicMRILib.networks.unet import UNet3D

pytestmark = pytest.mark.usefixtures("one_thread")

FEATURES = 2
INFO = ModelInfo(
    features=FEATURES,
    fractions=(0.25, 0.0625),
    interpolation="non_negative",
    normalisation="percentile",
    residual=True,
    data_consistency=True,
    loss="l1",
    training_data="3 synthetic abdomens, \u00e9t\u00e9",
    recipe="default",
    seed=7,
    precision="bfloat16",
    steps=400,
    version="0.1.0",
    created="2024-05-06",
    metrics={"ssim": 0.91, "training loss": 1e-3},
    parent="a" * 64,
    prior_spacing=(1.1, 1.2, 4.0),
    acquisition=TrainedAcquisition(0.25, 0.3, "ellipse", 0.75, "fermi:0.1", 0.05, True),
)

ACQUISITION = asdict(INFO)["acquisition"]


def network(seed: int = 0) -> UNet3D:
    torch.manual_seed(seed)
    return UNet3D(FEATURES).eval()


def state() -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in network().state_dict().items()}


def write(path: Path, tensors: dict[str, Tensor], info: object = INFO) -> Path:
    """A .safetensors file with any metadata."""
    text = info.to_json() if isinstance(info, ModelInfo) else info
    metadata = None if text is None else {"SRDynamicMRI": text if isinstance(text, str) else json.dumps(text)}
    save_file(tensors, path, metadata=metadata)
    return path


def refusal(action: Callable[[], object]) -> str:
    """The sentence with which something is refused."""
    with pytest.raises(InputError) as caught:
        action()
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert sentence.endswith(".")
    assert 20 < len(sentence) < 400
    return sentence


def test_model_comes_back_with_its_weights_and_metadata(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_model(Model(network(), INFO), path)
    loaded = load_model(str(path))
    assert loaded.info == INFO
    assert loaded.sha256 == file_sha256(path)
    assert not loaded.network.training
    for name, tensor in loaded.network.state_dict().items():
        assert tensor.dtype == torch.float32
        assert torch.equal(tensor, state()[name])


def test_sub_pixel_network_comes_back(tmp_path: Path) -> None:
    info = replace(INFO, architecture="SubPixelNetwork", factor=3)
    made = new_network(info).eval()
    save_model(Model(made, info), tmp_path / "fast.safetensors")
    loaded = load_model(tmp_path / "fast.safetensors")
    assert loaded.info == info
    x = torch.rand(1, 1, 3, 5, 6)
    with torch.inference_mode():
        assert torch.equal(loaded.network(x), made(x))
    save_file(dict(made.state_dict()), tmp_path / "other.safetensors", {"SRDynamicMRI": INFO.to_json()})
    assert "not those of a UNet3D" in refusal(lambda: load_model(tmp_path / "other.safetensors"))


def test_every_field_is_tried_above() -> None:
    default = asdict(ModelInfo())
    same = {name for name, value in asdict(INFO).items() if value == default[name]}
    assert same <= {"architecture", "factor", "version"}


def test_half_precision_halves_the_file_and_rounds_the_weights(tmp_path: Path) -> None:
    model = Model(network(), INFO)
    whole, half = tmp_path / "whole.safetensors", tmp_path / "half.safetensors"
    save_model(model, whole)
    save_model(model, half, half_precision=True)
    weights = sum(tensor.numel() for tensor in state().values())
    assert whole.stat().st_size - half.stat().st_size == pytest.approx(2 * weights, abs=64)
    for name, tensor in load_model(half).network.state_dict().items():
        assert tensor.dtype == torch.float32
        assert torch.equal(tensor, state()[name].half().float())


def test_with_info_replaces_some_of_it() -> None:
    changed = Model(network(), INFO).with_info(seed=8)
    assert changed.info == replace(INFO, seed=8)


def test_other_ending_is_refused(tmp_path: Path) -> None:
    assert "model.pth" in refusal(lambda: save_model(Model(network(), INFO), tmp_path / "model.pth"))


def test_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    path = tmp_path / "file" / "m.safetensors"
    assert "There is no folder" in refusal(lambda: save_model(Model(network(), INFO), path))


def test_interrupted_save_leaves_the_earlier_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.safetensors"
    save_model(Model(network(), INFO), path)
    before = path.read_bytes()

    def interrupted(self: Path, content: bytes) -> None:
        with self.open("wb") as stream:
            stream.write(content[:100])
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_bytes", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save_model(Model(network(1), INFO), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_full_disk_is_said_and_leaves_the_earlier_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.safetensors"
    save_model(Model(network(), INFO), path)
    before = path.read_bytes()

    def full(self: Path, content: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    assert "No space left" in refusal(lambda: save_model(Model(network(1), INFO), path))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


# ------------------------------------------------------------------------------------------- files refused


def test_missing_file_is_refused(tmp_path: Path) -> None:
    assert "no model file" in refusal(lambda: load_model(tmp_path / "none.safetensors"))
    assert "no model file" in refusal(lambda: load_model(tmp_path))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00" * 7,
        bytes(range(256)) * 20,
        b"PK\x03\x04" + b"\x00" * 100,
        b"\xff" * 8 + b"{}",
        b"\x02" + b"\x00" * 7 + b"{}",
    ],
)
def test_foreign_bytes_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(content)
    assert "m.safetensors" in refusal(lambda: load_model(path))


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_truncated_file_is_refused(tmp_path: Path, share: float) -> None:
    path = write(tmp_path / "m.safetensors", state())
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    assert "not a readable" in refusal(lambda: load_model(path))


@pytest.fixture(scope="module")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("models") / "m.safetensors", state())


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_damaged_header_ends_in_a_model_or_a_sentence(model_file: Path, data: st.DataObject) -> None:
    content = bytearray(model_file.read_bytes())
    header = 8 + struct.unpack("<Q", content[:8])[0]
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, header - 1))] = data.draw(st.integers(0, 255))
    damaged = model_file.with_name("damaged.safetensors")
    damaged.write_bytes(content)
    with contextlib.suppress(InputError):
        load_model(damaged)


def test_file_without_metadata_is_refused(tmp_path: Path) -> None:
    assert "no description" in refusal(lambda: load_model(write(tmp_path / "m.safetensors", state(), None)))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"architecture": "SubPixelNetwork"}, "claims to make 1 voxels of each"),
        ({"factor": 3}, "claims to make 3 voxels of each"),
        ({"architecture": "SubPixelNetwork", "factor": 99}, "claims to make 99 voxels of each"),
        ({"architecture": "Transformer"}, "architecture 'Transformer'"),
        ({"features": 0}, "0 features"),
        ({"features": 10**9}, "features"),
        ({"features": -3}, "features"),
        ({"features": "64"}, "features is not of type int"),
        ({"features": True}, "features is not of type int"),
        ({"features": 2.0}, "features is not of type int"),
        ({"features": None}, "features is not of type int"),
        ({"fractions": [0.25, 2.0]}, "fractions"),
        ({"fractions": [0]}, "fractions"),
        ({"fractions": [float("nan")]}, "fractions is not a list of numbers"),
        ({"fractions": 0.25}, "fractions is not a list of numbers"),
        ({"fractions": ["0.25"]}, "fractions is not a list of numbers"),
        ({"interpolation": "magic"}, "interpolation 'magic'"),
        ({"normalisation": "none"}, "normalisation 'none'"),
        ({"residual": 1}, "residual is not of type bool"),
        ({"data_consistency": "yes"}, "data_consistency is not of type bool"),
        ({"metrics": [1, 2]}, "metrics is not a table"),
        ({"metrics": {"ssim": "high"}}, "metrics is not a table"),
        ({"metrics": {"ssim": float("inf")}}, "metrics is not a table"),
        ({"training_data": ["a"]}, "training_data is not of type str"),
        ({"prior_spacing": {"x": 1}}, "prior_spacing is not a list"),
        ({"prior_spacing": [0, 0, 0]}, "three positive numbers"),
        ({"prior_spacing": [1.1]}, "three positive numbers"),
        ({"fractions": [10**400]}, "fractions"),
        ({"acquisition": [0.25]}, "its acquisition is not complete"),
        ({"acquisition": {"rows": 0.25}}, "its acquisition is not complete"),
        ({"acquisition": ACQUISITION | {"magnitude": 1}}, "magnitude is not of type bool"),
        ({"acquisition": ACQUISITION | {"noise": 10**400}}, "noise is not of type float"),
        ({"acquisition": ACQUISITION | {"noise": float("nan")}}, "noise of its acquisition"),
        ({"acquisition": ACQUISITION | {"noise": -0.1}}, "noise of its acquisition"),
        ({"acquisition": ACQUISITION | {"rows": 0}}, "shares of k-space"),
        ({"acquisition": ACQUISITION | {"partial_fourier": 0.3}}, "shares of k-space"),
        ({"acquisition": ACQUISITION | {"window": "magic"}}, "window or the shutter"),
        ({"acquisition": ACQUISITION | {"shutter": "star"}}, "window or the shutter"),
    ],
)
def test_metadata_that_makes_no_sense_is_refused(tmp_path: Path, changes: dict[str, Any], why: str) -> None:
    path = write(tmp_path / "m.safetensors", state(), json.loads(INFO.to_json()) | changes)
    assert why in refusal(lambda: load_model(path))


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", "3", '"UNet3D"', "{'features': 2}", "[" * 100_000],
    ids=range(8),
)
def test_metadata_that_is_no_object_is_refused(tmp_path: Path, text: str) -> None:
    refusal(lambda: load_model(write(tmp_path / "m.safetensors", state(), text)))


def test_a_file_of_an_earlier_version_says_nothing_of_an_acquisition(tmp_path: Path) -> None:
    earlier = {name: value for name, value in json.loads(INFO.to_json()).items() if name != "acquisition"}
    assert load_model(write(tmp_path / "m.safetensors", state(), earlier)).info == replace(INFO, acquisition=None)


def test_unknown_metadata_is_ignored(tmp_path: Path) -> None:
    later = json.loads(INFO.to_json()) | {"colour": "green"}
    assert load_model(write(tmp_path / "m.safetensors", state(), later)).info == INFO


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s.pop("last.bias"),
        lambda s: s.update({"extra": torch.zeros(1)}),
        lambda s: s.update({"last.bias": torch.zeros(2)}),
        lambda s: s.update({"down_path.0.block.0.weight": torch.zeros(FEATURES, 1, 3, 3)}),
        lambda s: s.clear(),
    ],
)
def test_weights_of_another_network_are_refused(tmp_path: Path, change: Callable[[dict[str, Tensor]], object]) -> None:
    tensors = state()
    change(tensors)
    path = write(tmp_path / "m.safetensors", tensors)
    assert "not those of a UNet3D with 2 features" in refusal(lambda: load_model(path))


def test_other_number_of_features_than_claimed_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "m.safetensors", state(), replace(INFO, features=64))
    assert "UNet3D with 64 features" in refusal(lambda: load_model(path))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_not_finite_are_refused(tmp_path: Path, value: float) -> None:
    tensors = state()
    tensors["up_path.0.up.weight"][1, 0, 1, 0, 1] = value
    path = write(tmp_path / "m.safetensors", tensors)
    assert "not finite" in refusal(lambda: load_model(path))


def test_whole_numbers_as_weights_are_refused(tmp_path: Path) -> None:
    tensors = state() | {"last.bias": torch.zeros(1, dtype=torch.int32)}
    assert "not plain floating-point" in refusal(lambda: load_model(write(tmp_path / "m.safetensors", tensors)))


@pytest.mark.parametrize("odd", [{"a\nb": torch.zeros(1)}, {"last.bias": torch.zeros(1).to(torch.float8_e4m3fn)}])
def test_odd_tensors_are_refused_in_one_sentence(tmp_path: Path, odd: dict[str, Tensor]) -> None:
    refusal(lambda: load_model(write(tmp_path / "m.safetensors", state() | odd)))


# ------------------------------------------------------------------------------------ PyTorch checkpoints

CONTAINERS: list[Callable[[dict[str, Tensor]], object]] = [
    lambda s: s,
    lambda s: {"state_dict": s, "epoch": 3, "optimizer": {"lr": 1e-4}},
    lambda s: {"model_state_dict": s},
    lambda s: {f"module.{name}": tensor for name, tensor in s.items()},
    lambda s: {"state_dict": {f"module.{name}": tensor for name, tensor in s.items()}},
]


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("legacy", [False, True])
def test_published_checkpoint_gives_the_same_outputs(
    tmp_path: Path, container: Callable[[dict[str, Tensor]], object], legacy: bool
) -> None:
    source = network()
    path = tmp_path / "published.pth"
    torch.save(container(source.state_dict()), path, _use_new_zipfile_serialization=not legacy)
    model = import_checkpoint(path, (0.25,))
    x = torch.randn(1, 1, 6, 9, 8, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert torch.equal(model.network(x), source(x))
    assert model.info.features == FEATURES
    assert model.info.fractions == (0.25,)
    assert (model.info.interpolation, model.info.normalisation) == ("trilinear_index", "maximum")
    assert not model.info.residual
    assert not model.info.data_consistency


def test_imported_checkpoint_can_be_saved_and_loaded(tmp_path: Path) -> None:
    torch.save(state(), tmp_path / "published.pth")
    model = import_checkpoint(tmp_path / "published.pth")
    save_model(model, tmp_path / "m.safetensors")
    assert load_model(tmp_path / "m.safetensors").info == model.info


class Malicious:
    """Makes a file when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.marker,)


def plain_pickle(content: object, path: Path) -> None:
    path.write_bytes(pickle.dumps(content))


def legacy_save(content: object, path: Path) -> None:
    torch.save(content, path, _use_new_zipfile_serialization=False)


@pytest.mark.parametrize("save", [torch.save, legacy_save, plain_pickle])
def test_malicious_pickle_is_refused_and_not_executed(tmp_path: Path, save: Callable[[object, Path], None]) -> None:
    marker = tmp_path / "marker"
    path = tmp_path / "evil.pth"
    save({"state_dict": state(), "more": Malicious(marker)}, path)
    assert "was not loaded" in refusal(lambda: import_checkpoint(path))
    assert not marker.exists()
    if save is plain_pickle:
        pickle.loads(path.read_bytes())
    else:
        torch.load(path, weights_only=False)
    assert marker.exists(), "the file would have done harm"


@pytest.mark.parametrize("load", [import_checkpoint, load_model])
def test_pickled_whole_network_is_refused(tmp_path: Path, load: Callable[[Path], Model]) -> None:
    torch.save(network(), tmp_path / "whole.pth")
    refusal(lambda: load(tmp_path / "whole.pth"))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a pickle",
        bytes(range(256)),
        b"\x80\x02}q\x00.",
        b"\x80\x02.",
        b"\x80\x02(Q.",
    ],
)
def test_foreign_bytes_are_no_checkpoint(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m.pth").write_bytes(content)
    refusal(lambda: import_checkpoint(tmp_path / "m.pth"))


def test_truncated_checkpoint_is_refused(tmp_path: Path) -> None:
    torch.save(state(), tmp_path / "m.pth")
    content = (tmp_path / "m.pth").read_bytes()
    for share in (0.1, 0.5, 0.95):
        (tmp_path / "m.pth").write_bytes(content[: int(share * len(content))])
        assert "damaged" in refusal(lambda: import_checkpoint(tmp_path / "m.pth"))


@pytest.mark.parametrize("odd", [torch.zeros(1).to_sparse(), torch.zeros(1, device="meta")])
def test_tensors_without_plain_numbers_are_no_weights(tmp_path: Path, odd: Tensor) -> None:
    torch.save(state() | {"last.bias": odd}, tmp_path / "m.pth")
    refusal(lambda: import_checkpoint(tmp_path / "m.pth"))


def test_missing_checkpoint_is_refused(tmp_path: Path) -> None:
    assert "no checkpoint" in refusal(lambda: import_checkpoint(tmp_path / "none.pth"))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ([1, 2, 3], "no weights"),
        ({}, "no weights"),
        ({"weights": torch.zeros(3)}, "no weights"),
        ({"down_path.0.block.0.weight": torch.zeros(3)}, "no weights"),
        ({"down_path.0.block.0.weight": torch.zeros(2, 1, 3, 3, 3)}, "cannot be used"),
        (state() | {"last.weight": torch.full((1, 2, 1, 1, 1), float("nan"))}, "not finite"),
        (state() | {"last.weight": torch.zeros(1, 2, 1, 1)}, "first difference: 'last.weight'"),
    ],
)
def test_checkpoint_of_another_network_is_refused(tmp_path: Path, content: object, why: str) -> None:
    torch.save(content, tmp_path / "m.pth")
    assert why in refusal(lambda: import_checkpoint(tmp_path / "m.pth"))
