"""What a click may call: whatever goes wrong is one plain sentence, and the details go to the application's log."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable

import slicer

from SRDynamicMRILib.errors import InputError

from .presenter import RefusedError
from .translation import _


def plain(action: Callable[[], object]) -> Callable[[], None]:
    """The action, with its errors shown in words.

    Parameters
    ----------
    action
        What the click does.
    """

    @functools.wraps(action)
    def slot() -> None:
        try:
            action()
        except Exception as error:
            tell(error)

    return slot


def tell(error: Exception) -> None:
    """Show an error to the user."""
    if isinstance(error, InputError | RefusedError):
        slicer.util.errorDisplay(str(error))
    elif isinstance(error, OSError):
        text = _("{name} cannot be read or written: {reason}.")
        slicer.util.errorDisplay(text.format(name=error.filename or _("A file"), reason=error.strerror or error))
    else:
        logging.error("SRDynamicMRI", exc_info=error)
        text = _(
            "Something went wrong that should not ({error}); please report it with the application's log "
            "(menu Help, Report a bug)."
        )
        slicer.util.errorDisplay(text.format(error=f"{type(error).__name__}: {error}"))
