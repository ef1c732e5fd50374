"""Saving what the comparison shows: table, picture and report."""

from __future__ import annotations

from pathlib import Path

import ctk
import qt
import slicer

from SRDynamicMRILib.errors import InputError

from ..scene.outputs import save_table
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


def export_table(table: slicer.vtkMRMLTableNode | None, path: Path) -> None:
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
    save_table(table, path)


def export_picture(path: Path) -> None:
    """Save all views as they are now, as PNG.

    Raises
    ------
    InputError
        If there are no views, or the file could not be written.
    """
    manager = slicer.app.layoutManager()
    if manager is None or slicer.util.mainWindow() is None:
        raise InputError(_("There is no window with views to save a picture of."))
    slicer.app.processEvents()  # the dialog that asked for the name lies above the views until then
    picture = ctk.ctkWidgetsUtils.grabWidget(manager.viewport())
    if not picture.save(str(path), "PNG"):
        raise InputError(_("{path} cannot be written; choose another place.").format(path=path))


def export_report(report: str | None, path: Path) -> None:
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
    path.write_text(report, encoding="utf-8", newline="")
