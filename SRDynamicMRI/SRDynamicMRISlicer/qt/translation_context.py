"""Translations of a text by the file that holds it, which is how Slicer's tools sort what translators have written."""

from __future__ import annotations

import sys

from slicer.i18n import getContext, translate


def translated(text: str) -> str:
    """The text in the application's language; called by `translation._`, and by nothing else."""
    caller = sys._getframe(2)  # this function, `_`, and who has called that
    return str(translate(getContext(caller.f_code.co_filename), text))
