"""Models and checkpoints that are refused, each with what is said of it."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from helpers.models import TINY, tiny_network
from helpers.patient import Place
from SRDynamicMRILib.models.model_info import ModelInfo


def published(p: Place) -> Path:
    torch.save(tiny_network().state_dict(), p.out("published.pth"))
    return p.out("published.pth")


class Malice:
    """Makes a file when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.marker,)


def malicious(name: str, how: str) -> Callable[[Place], Path]:
    def build(place: Place) -> Path:
        content = {"state_dict": tiny_network().state_dict(), "extra": Malice(place.out("marker"))}
        if how == "pickle":
            place.out(name).write_bytes(pickle.dumps(content))
        else:
            torch.save(content, place.out(name), _use_new_zipfile_serialization=how == "zip")
        return place.out(name)

    return build


def foreign(place: Place) -> Path:
    save_file({"encoder.weight": torch.ones(3, 3)}, place.out("bad.safetensors"))
    return place.out("bad.safetensors")


def other_architecture(place: Place) -> Path:
    metadata = {"SRDynamicMRI": TINY.to_json()}
    save_file({"encoder.weight": torch.ones(3, 3)}, place.out("bad.safetensors"), metadata=metadata)
    return place.out("bad.safetensors")


def described_as(info: ModelInfo, place: Place) -> Path:
    state = tiny_network().state_dict()
    save_file(state, place.out("bad.safetensors"), metadata={"SRDynamicMRI": info.to_json()})
    return place.out("bad.safetensors")


def unknown_architecture(place: Place) -> Path:
    return described_as(replace(TINY, architecture="Transformer"), place)


def other_width(place: Place) -> Path:
    return described_as(replace(TINY, features=8), place)


def not_finite(place: Place) -> Path:
    state = tiny_network().state_dict()
    state["last.bias"] = torch.tensor([float("nan")])
    save_file(state, place.out("bad.safetensors"), metadata={"SRDynamicMRI": TINY.to_json()})
    return place.out("bad.safetensors")


def cut_model(place: Place) -> Path:
    place.out("bad.safetensors").write_bytes(place.patient.model.read_bytes()[:5000])
    return place.out("bad.safetensors")


def empty_model(place: Place) -> Path:
    place.out("bad.safetensors").touch()
    return place.out("bad.safetensors")


def image_as_model(place: Place) -> Path:
    return place.patient.static


BAD_MODELS: dict[str, tuple[Callable[[Place], Path], str]] = {
    "missing": (lambda p: p.out("no.safetensors"), "There is no model file"),
    "folder": (lambda p: p.folder, "There is no model file"),
    "cut short": (cut_model, "is not a readable .safetensors file"),
    "empty": (empty_model, "is not a readable .safetensors file"),
    "image": (image_as_model, "is not a readable .safetensors file"),
    "foreign": (foreign, "holds no description of a model"),
    "other architecture": (other_architecture, "weights are not those of a UNet3D"),
    "unknown architecture": (unknown_architecture, "architecture 'Transformer' is not known"),
    "other width": (other_width, "weights are not those of a UNet3D with 8 features"),
    "not finite": (not_finite, "not finite numbers"),
    "malicious zip": (malicious("bad.pth", "zip"), "is not a readable .safetensors file"),
    "malicious pickle": (malicious("bad.safetensors", "pickle"), "is not a readable .safetensors file"),
}


def cut_checkpoint(place: Place) -> Path:
    content = published(place).read_bytes()
    place.out("published.pth").write_bytes(content[: len(content) // 2])
    return place.out("published.pth")


def foreign_checkpoint(place: Place) -> Path:
    torch.save({"encoder.weight": torch.ones(3, 3)}, place.out("bad.pth"))
    return place.out("bad.pth")


def empty_checkpoint(place: Place) -> Path:
    place.out("bad.pth").touch()
    return place.out("bad.pth")


def letter_as_checkpoint(place: Place) -> Path:
    place.out("bad.pth").write_text("Dear colleague, the patient was well.")
    return place.out("bad.pth")


def odd_checkpoint(place: Place) -> Path:
    state = tiny_network().state_dict()
    state["last.weight"] = torch.ones(7)
    torch.save(state, place.out("bad.pth"))
    return place.out("bad.pth")


BAD_CHECKPOINTS: dict[str, tuple[Callable[[Place], Path], str]] = {
    "missing": (lambda p: p.out("no.pth"), "There is no checkpoint"),
    "cut short": (cut_checkpoint, "is damaged or holds more than weights"),
    "empty": (empty_checkpoint, "is damaged or holds more than weights"),
    "letter": (letter_as_checkpoint, "is damaged or holds more than weights"),
    "image": (image_as_model, "is damaged or holds more than weights"),
    "foreign": (foreign_checkpoint, "holds no weights of the paper's 3D U-Net"),
    "odd weights": (odd_checkpoint, "weights are not those of a UNet3D"),
    "malicious zip": (malicious("bad.pth", "zip"), "holds more than weights, so it was not loaded"),
    "malicious legacy": (malicious("bad.pth", "legacy"), "holds more than weights, so it was not loaded"),
    "malicious pickle": (malicious("bad.pth", "pickle"), "holds more than weights, so it was not loaded"),
}
