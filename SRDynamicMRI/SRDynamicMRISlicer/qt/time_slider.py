"""One slider for the time point that all views show: the panel's, kept in step with Slicer's own."""

from __future__ import annotations

import ctk
import slicer
import vtk
from slicer.util import VTKObservationMixin

from ..signal import Signal


class TimeSlider(VTKObservationMixin):
    """Binds a slider to a sequence browser.

    Parameters
    ----------
    slider
        Counts time points from 0.
    """

    def __init__(self, slider: ctk.ctkSliderWidget) -> None:
        super().__init__()
        self.moved: Signal[[int]] = Signal()
        """Another time point is shown."""
        self._slider = slider
        self._browser: slicer.vtkMRMLSequenceBrowserNode | None = None
        self._number = 0
        slider.enabled = False
        slider.connect("valueChanged(double)", self._on_slider)

    @property
    def number(self) -> int:
        """The time point that is shown."""
        return self._number

    def follow(self, browser: slicer.vtkMRMLSequenceBrowserNode | None) -> None:
        """Move this browser from now on, and be moved by it; none, and the slider cannot be used."""
        if browser is not self._browser:
            self.removeObservers()
            self._browser = browser
            if browser is not None:
                self.addObserver(browser, vtk.vtkCommand.ModifiedEvent, self._on_browser)
        self._on_browser()

    def step(self, by: int) -> None:
        """Show a later or earlier time point; at the ends nothing happens."""
        if self._browser is not None:
            self._select(self._number + by)

    def _on_slider(self, value: float) -> None:
        if round(value) != self._number:
            self._select(round(value))

    def _select(self, number: int) -> None:
        if self._browser is not None and 0 <= number < self._browser.GetNumberOfItems():
            self._browser.SetSelectedItemNumber(number)

    def _on_browser(self, _caller: object = None, _event: object = None) -> None:
        count = 0 if self._browser is None else self._browser.GetNumberOfItems()
        number = 0 if self._browser is None else max(self._browser.GetSelectedItemNumber(), 0)
        before, self._number = self._number, number
        was_blocked = self._slider.blockSignals(True)  # a shorter range would move the slider, and that the browser
        self._slider.enabled = count > 1
        self._slider.maximum = max(count - 1, 0)
        self._slider.value = number
        self._slider.blockSignals(was_blocked)
        if number != before:
            self.moved.emit(number)
