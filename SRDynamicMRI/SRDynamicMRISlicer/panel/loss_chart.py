"""The training loss as a curve in the panel."""

from __future__ import annotations

from collections.abc import Sequence

import ctk
import qt
import vtk

from ..translation import _

_COLOUR = (0, 114, 178, 255)
_HEIGHT = 160


class LossChart:
    """A chart that is made when there is something to draw: it needs OpenGL, which a panel without one does not.

    Parameters
    ----------
    frame
        Where to put it.
    """

    def __init__(self, frame: qt.QFrame) -> None:
        self._frame = frame
        self._view: ctk.ctkVTKChartView | None = None
        self._shown: Sequence[tuple[int, float]] = ()
        frame.visible = False

    def show(self, points: Sequence[tuple[int, float]]) -> None:
        """Draw steps and losses; a curve needs two."""
        if points == self._shown:
            return
        self._shown = points
        self._frame.visible = len(points) > 1
        if len(points) > 1:
            if self._view is None:
                self._make()
            self._draw(points)

    def _make(self) -> None:
        self._view = ctk.ctkVTKChartView(self._frame)
        self._view.minimumHeight = _HEIGHT
        self._view.toolTip = self._frame.toolTip
        layout = qt.QVBoxLayout(self._frame)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._view)
        self._table = vtk.vtkTable()
        for name in (_("Step"), _("Loss")):
            column = vtk.vtkFloatArray()
            column.SetName(name)
            self._table.AddColumn(column)
        self._table.SetNumberOfRows(2)
        line = vtk.vtkPlotLine()
        line.SetInputData(self._table, 0, 1)
        line.SetColor(*_COLOUR)
        line.SetWidth(2)
        self._view.addPlot(line)
        chart = self._view.chart()
        for axis, name in ((vtk.vtkAxis.BOTTOM, _("Step")), (vtk.vtkAxis.LEFT, _("Loss"))):
            chart.GetAxis(axis).SetTitle(name)

    def _draw(self, points: Sequence[tuple[int, float]]) -> None:
        self._table.SetNumberOfRows(len(points))
        for row, (step, loss) in enumerate(points):
            self._table.SetValue(row, 0, vtk.vtkVariant(step))
            self._table.SetValue(row, 1, vtk.vtkVariant(loss))
        self._table.Modified()
        self._view.chart().RecalculateBounds()
        self._view.scene().SetDirty(True)
        if self._view.visible:
            self._view.renderWindow().Render()
