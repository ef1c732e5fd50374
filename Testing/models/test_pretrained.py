"""The weights that come with the extension."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from helpers.command_line import Command
from helpers.patient import Patient
from helpers.project import ROOT

from SRDynamicMRILib.errors import InputError
from SRDynamicMRILib.losses.perceptual import load_encoder
from SRDynamicMRILib.models import pretrained
from SRDynamicMRILib.models.checkpoints import file_sha256, load_model
from SRDynamicMRILib.models.recipes import FRACTIONS

MODELS = ROOT / "Resources" / "Models"


def test_every_file_has_a_model_card_and_all_are_small() -> None:
    files = sorted(MODELS.glob("*.safetensors"))
    assert files
    cards = "\n".join(card.read_text(encoding="utf-8") for card in MODELS.glob("*.md"))
    for file in files:
        assert file.name in cards
    assert sum(file.stat().st_size for file in files) <= 40e6


def add(folder: Path, *names: str, content: bytes = b"weights") -> None:
    """Put files into a folder as a release does: with their hashes."""
    with (folder / pretrained.HASHES).open("a", encoding="utf-8") as hashes:
        for name in names:
            (folder / name).write_bytes(content)
            hashes.write(f"{hashlib.sha256(content).hexdigest()}  {name}\n")


def test_the_hashes_are_those_of_the_files() -> None:
    lines = [line.split("  ") for line in (MODELS / pretrained.HASHES).read_text(encoding="utf-8").splitlines()]
    found = {file.name: file_sha256(file) for file in MODELS.glob("*.safetensors")}
    assert {name: digest for digest, name in lines} == found, "after other weights: make hashes"


def test_a_changed_file_is_refused(
    command: Command, patient: Patient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pretrained, "_PLACES", (tmp_path,))
    add(tmp_path, "base.safetensors", "perceptual.safetensors", content=patient.model.read_bytes())
    arguments = ("superresolve", patient.low, tmp_path / "sr.nii.gz", "--progress", "none")
    assert command(*arguments).code == 0
    other = bytearray(patient.model.read_bytes())
    other[-1] ^= 1  # the least bit of one weight: a sound model, but not the one that was tested
    for name in ("base.safetensors", "perceptual.safetensors"):
        (tmp_path / name).write_bytes(other)
        with pytest.raises(InputError, match=rf"{name} is not the file that comes with this version"):
            pretrained.pretrained_file(name)
    outcome = command(*arguments)
    assert outcome.code == 2
    assert outcome.err == (
        f"{tmp_path / 'base.safetensors'} is not the file that comes with this version (it has another SHA-256); "
        "install SRDynamicMRI again, or name a model with --model.\n"
    )


@pytest.mark.parametrize("hashes", [None, "", "nonsense", f"{'0' * 64}  base.safetensors", "\u20ac\n" * 9])
def test_a_file_without_a_hash_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hashes: str | None) -> None:
    monkeypatch.setattr(pretrained, "_PLACES", (tmp_path,))
    (tmp_path / "base.safetensors").write_bytes(b"weights")
    if hashes is not None:
        (tmp_path / pretrained.HASHES).write_text(hashes, encoding="utf-8")
    with pytest.raises(InputError, match="is not the file that comes with this version"):
        pretrained.base_model()


@pytest.mark.parametrize("fraction", [None, *FRACTIONS, 0.5])
def test_base_model_of_every_fraction_can_be_used(fraction: float | None) -> None:
    model = load_model(pretrained.base_model(fraction))
    assert fraction not in FRACTIONS or fraction in model.info.fractions
    assert model.info.recipe == "default"


@pytest.mark.parametrize(
    ("fraction", "name"),
    [
        (0.25, "base_0.25"),
        (0.22, "base_0.25"),
        (0.1, "base_0.1"),
        (0.0625, "base_0.0625"),
        (0.0625 / 1.2, "base_0.0625"),
        (0.0625 * 1.3, "base_0.1"),
        (0.5, "base"),
        (0.01, "base"),
        (0.16, "base"),
        (None, "base"),
    ],
)
def test_model_of_the_nearest_fraction_is_taken_if_it_is_near(
    fraction: float | None, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(tmp_path, *(f"{file}.safetensors" for file in ("base", "base_0.25", "base_0.1", "base_0.0625")))
    monkeypatch.setattr(pretrained, "_PLACES", (tmp_path / "nowhere", tmp_path))
    assert pretrained.base_model(fraction).stem == name


@pytest.mark.parametrize(
    ("fraction", "name"),
    [
        (0.25, "fast_0.25"),
        (0.16, "fast_0.25"),
        (0.15, "fast_0.1"),
        (0.0625, "fast_0.0625"),
        (0.04, "fast_0.0625"),
        (0.03, "base"),
        (0.45, "base"),
    ],
)
def test_fine_tuning_begins_with_the_fast_network_of_the_nearest_fraction(
    fraction: float, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(tmp_path, *(f"{file}.safetensors" for file in ("base", "fast_0.25", "fast_0.1", "fast_0.0625")))
    monkeypatch.setattr(pretrained, "_PLACES", (tmp_path,))
    assert pretrained.start_model(fraction).stem == name
    (tmp_path / f"{name}.safetensors").unlink()
    if name != "base":
        assert pretrained.start_model(fraction).stem == "base", "what stands in for one that is missing"


@pytest.mark.parametrize("fraction", FRACTIONS)
def test_fast_model_of_every_fraction_can_be_used(fraction: float) -> None:
    path = pretrained.fast_model(fraction)
    assert path is not None
    model = load_model(path)
    assert model.info.fractions == (fraction,)
    assert (model.info.recipe, model.info.architecture) == ("fast", "SubPixelNetwork")


def test_model_for_all_fractions_stands_in_for_one_that_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pretrained, "_PLACES", (tmp_path,))
    with pytest.raises(InputError, match=r"base\.safetensors is missing"):
        pretrained.base_model(0.1)
    add(tmp_path, "base.safetensors")
    assert pretrained.base_model(0.1).stem == "base"


def test_perceptual_network_is_that_of_the_paper() -> None:
    file = pretrained.pretrained_file(pretrained.PERCEPTUAL_NETWORK)
    assert file is not None
    encoder = load_encoder(file)
    assert [level.conv[0].out_channels for level in encoder.levels] == [64, 128, 256]
