"""Saving what the comparison shows: table, picture and report, in steps. Files are written in the background."""

from __future__ import annotations

from pathlib import Path

import ctk
import numpy as np
import qt
import slicer
from numpy.typing import NDArray

from SRDynamicMRILib.errors import InputError

from ..background import in_background
from ..scene.outputs import saving_picture, saving_table
from ..step_queue import Stepwise
from ..translation import _


def ask_where(title: str, name: str, kinds: str) -> Path | None:
    """Ask for the name of a file to save; None if the user has changed their mind.

    Parameters
    ----------
    title
        Of the dialog.
    name
        Proposed.
    kinds
        As Qt has them, such as ``Tables (*.csv)``.
    """
    chosen = qt.QFileDialog.getSaveFileName(slicer.util.mainWindow(), title, name, kinds)
    if not chosen:
        return None
    path, ending = Path(chosen), Path(name).suffix
    return path if path.suffix.lower() == ending else path.with_name(path.name + ending)


def exporting_table(table: slicer.vtkMRMLTableNode | None, path: Path) -> Stepwise[None]:
    """Save the figures of every time point as CSV.

    Raises
    ------
    InputError
        If there are none.
    OSError
        If the file cannot be written.
    """
    if table is None:
        raise InputError(_("Compare the result with the ground truth first."))
    yield from saving_table(table, path)


def exporting_picture(path: Path) -> Stepwise[None]:
    """Save all views as they are now, as PNG.

    Raises
    ------
    InputError
        If there are no views.
    OSError
        If the file cannot be written.
    """
    manager = slicer.app.layoutManager()
    if manager is None or slicer.util.mainWindow() is None:
        raise InputError(_("There is no window with views to save a picture of."))
    slicer.app.processEvents()  # the dialog that asked for the name lies above the views until then
    pixels = _pixels(ctk.ctkWidgetsUtils.grabWidget(manager.viewport()))
    yield from saving_picture(pixels, path)


def _pixels(picture: qt.QImage) -> NDArray[np.uint8]:
    """The colours of a picture ``(height, width, 3)``."""
    content = qt.QByteArray()
    buffer = qt.QBuffer(content)
    buffer.open(qt.QIODevice.WriteOnly)
    picture.save(buffer, "PPM")  # a few letters, then the bare pixels
    height, width = picture.height(), picture.width()
    return np.frombuffer(content.data(), np.uint8)[-3 * height * width :].reshape(height, width, 3)


def exporting_report(report: str | None, path: Path) -> Stepwise[None]:
    """Save the report of a comparison.

    Raises
    ------
    InputError
        If there is none.
    OSError
        If the file cannot be written.
    """
    if report is None:
        raise InputError(_("There is no report of this comparison; compare with the ground truth again."))
    yield from in_background(lambda: path.write_text(report, encoding="utf-8", newline=""))
