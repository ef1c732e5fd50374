"""What a click, an observer or a timer may call: whatever goes wrong is one plain sentence, never a traceback.

The details of what should not have happened go to the application's log.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable

import slicer

from SRDynamicMRILib.errors import InputError

from ..presenter.presenter import RefusedError
from ..translation import _


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


def guarded(action: Callable[..., object], report: Callable[[Exception], None]) -> Callable[..., None]:
    """The action for which the user does not wait, such as an observer's, with its errors reported.

    Parameters
    ----------
    action
        What is called, with any arguments.
    report
        Takes what it raises.
    """

    @functools.wraps(action)
    def call(*args: object) -> None:
        try:
            action(*args)
        except Exception as error:
            report(error)

    return call


def tell(error: Exception) -> None:
    """Show an error to the user, who waits for what they have asked for."""
    slicer.util.errorDisplay(sentence_of(error))


def sentence_of(error: Exception) -> str:
    """An error in words."""
    if isinstance(error, InputError | RefusedError):
        return str(error)
    if isinstance(error, OSError):
        text = _("{name} cannot be read or written: {reason}.")
        return text.format(name=error.filename or _("A file"), reason=error.strerror or error)
    logging.error("SRDynamicMRI", exc_info=error)
    text = _(
        "Something went wrong that should not ({error}); please report it with the application's log "
        "(menu Help, Report a bug)."
    )
    return text.format(error=f"{type(error).__name__}: {error}")
