"""What MkDocs is told besides mkdocs.yml: pages from outside docs/, links that work here and on GitHub, nothing remote.

The documents link to each other by their places in the repository. On the site, docs/ is the root and the others keep
their places: a link is taken to where its target is there, or to the repository where the site does not have it.
"""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
FROM_OUTSIDE = (
    "CONTRIBUTING.md", "CHANGELOG.md", "Studies/README.md", "Resources/Models/*.md", "Resources/*.png",
    "Resources/Screenshots/*.png",
)  # fmt: skip
_LINK = re.compile(r"(\]\()([^)\s#]+)((?:#[^)\s]*)?\))")
_LOADED = re.compile(r"<(?:script|img|iframe|link)\b[^>]*?\b(?:src|href)=[\"']?((?:https?:)?//[^\"'\s>]+)[^>]*>")


def on_files(files: Files, config: Any) -> Files:
    """Add the documents and pictures that lie outside docs/, at their places in the repository."""
    for pattern in FROM_OUTSIDE:
        for path in sorted(ROOT.glob(pattern)):
            place = path.relative_to(ROOT).as_posix()
            files.append(File.generated(config, place, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: Any, files: Files) -> str:
    """Take every link to a place in the repository to that place on the site."""
    here = page.file.src_uri
    lies_in_docs = (ROOT / "docs" / here).is_file()
    folder = PurePosixPath("docs" if lies_in_docs else "", here).parent

    def moved(match: re.Match[str]) -> str:
        target = match[2]
        if ":" in target:
            return match[0]
        place = os.path.normpath(folder / target).removeprefix("docs/")
        there = files.get_file_from_path(place)
        if there is None or there.inclusion.is_excluded():
            repository = os.path.normpath(folder / target)
            if not (ROOT / repository).exists():
                return match[0]  # strict mode reports it
            return f"{match[1]}{config.extra['repository']}/blob/main/{repository}{match[3]}"
        return f"{match[1]}{os.path.relpath(place, PurePosixPath(here).parent)}{match[3]}"

    return _LINK.sub(moved, markdown)


def on_post_build(config: Any) -> None:
    """Fail if a page loads anything from elsewhere."""
    for page in Path(config.site_dir).rglob("*.html"):
        for match in _LOADED.finditer(page.read_text(encoding="utf-8")):
            if 'rel="canonical"' not in match[0]:
                message = f"{page.relative_to(config.site_dir)} loads {match[1]}; pages have to work offline."
                raise PluginError(message)
