"""The one way to the user's language: every text that the panel shows goes through `_`.

Texts are literals with named places, ``_("{count} time points").format(count=3)``, so that Slicer's tools find them.
"""

from __future__ import annotations

from collections.abc import Callable

_translator: list[Callable[[str], str]] = []


def translate_with(translator: Callable[[str], str]) -> None:
    """Translate all texts by a function from now on, such as Slicer's ``slicer.i18n.tr`` of the module's context."""
    _translator[:] = [translator]


def _(text: str) -> str:
    """The text in the user's language."""
    return _translator[0](text) if _translator else text
