"""What the documents show and point to is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from helpers.project import ROOT

from SRDynamicMRILib import __version__

DOCUMENTS = sorted(
    path for pattern in ("*.md", "docs/*.md", "Studies/*.md", "Resources/Models/*.md") for path in ROOT.glob(pattern)
)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    targets = [target for target in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in target]
    assert [target for target in targets if not (document.parent / target.partition("#")[0]).exists()] == []


def test_every_pretrained_model_has_a_card() -> None:
    folder = ROOT / "Resources" / "Models"
    cards = "\n".join(card.read_text(encoding="utf-8") for card in folder.glob("*.md"))
    models = sorted(folder.glob("*.safetensors"))
    assert len(models) == 12
    assert [model.name for model in models if model.name not in cards] == []
    assert sum(model.stat().st_size for model in models) < 40e6


def test_the_catalogue_shows_a_picture_that_is_there() -> None:
    urls = re.findall(r'set\(EXTENSION_(?:SCREENSHOTURLS|ICONURL) "([^"]+)"\)', (ROOT / "CMakeLists.txt").read_text())
    assert len(urls) == 2
    assert [url for url in urls if not (ROOT / url.partition("/main/")[2]).is_file()] == []


def test_the_version_stands_in_one_place() -> None:
    """`SRDynamicMRILib.__version__`; what has to repeat it does, and the rest says nothing of it."""
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.findall(r"^version: (.+)$", citation, re.MULTILINE) == [__version__]
    assert 'dynamic = ["version"]' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    number = re.compile(rf"{re.escape(__version__)}|EXTENSION_VERSION|project\([^)]*VERSION")
    silent = [
        *ROOT.rglob("CMakeLists.txt"),
        ROOT / "SRDynamicMRI.json",
        ROOT / "pyproject.toml",
        *ROOT.glob("docs/*.md"),
    ]
    assert [path.name for path in silent if number.search(path.read_text(encoding="utf-8"))] == []
    names = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert names[0] == "Unreleased"
    assert names[1:] == [] or names[1] == __version__
