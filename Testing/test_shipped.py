"""The weights that come with the extension."""

from __future__ import annotations

from pathlib import Path

import pytest

from SRDynamicMRILib import shipped
from SRDynamicMRILib.checkpoints import load_model
from SRDynamicMRILib.errors import InputError
from SRDynamicMRILib.perceptual_loss import load_encoder
from SRDynamicMRILib.recipes import FRACTIONS

MODELS = Path(__file__).resolve().parent.parent / "Resources" / "Models"


def test_every_file_has_a_model_card_and_all_are_small() -> None:
    files = sorted(MODELS.glob("*.safetensors"))
    assert files
    cards = "\n".join(card.read_text(encoding="utf-8") for card in MODELS.glob("*.md"))
    for file in files:
        assert file.name in cards
    assert sum(file.stat().st_size for file in files) <= 40e6


@pytest.mark.parametrize("fraction", [None, *FRACTIONS, 0.5])
def test_base_model_of_every_fraction_can_be_used(fraction: float | None) -> None:
    model = load_model(shipped.base_model(fraction))
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
    for file in ("base", "base_0.25", "base_0.1", "base_0.0625"):
        (tmp_path / f"{file}.safetensors").touch()
    monkeypatch.setattr(shipped, "_PLACES", (tmp_path / "nowhere", tmp_path))
    assert shipped.base_model(fraction).stem == name


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
    for file in ("base", "fast_0.25", "fast_0.1", "fast_0.0625"):
        (tmp_path / f"{file}.safetensors").touch()
    monkeypatch.setattr(shipped, "_PLACES", (tmp_path,))
    assert shipped.start_model(fraction).stem == name
    (tmp_path / f"{name}.safetensors").unlink()
    if name != "base":
        assert shipped.start_model(fraction).stem == "base", "what stands in for one that is missing"


@pytest.mark.parametrize("fraction", FRACTIONS)
def test_fast_model_of_every_fraction_can_be_used(fraction: float) -> None:
    path = shipped.fast_model(fraction)
    assert path is not None
    model = load_model(path)
    assert model.info.fractions == (fraction,)
    assert (model.info.recipe, model.info.architecture) == ("fast", "SubPixelNetwork")


def test_model_for_all_fractions_stands_in_for_one_that_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shipped, "_PLACES", (tmp_path,))
    with pytest.raises(InputError, match=r"base\.safetensors is missing"):
        shipped.base_model(0.1)
    (tmp_path / "base.safetensors").touch()
    assert shipped.base_model(0.1).stem == "base"


def test_perceptual_network_is_that_of_the_paper() -> None:
    file = shipped.shipped_file(shipped.PERCEPTUAL_NETWORK)
    assert file is not None
    encoder = load_encoder(file)
    assert [level.conv[0].out_channels for level in encoder.levels] == [64, 128, 256]
