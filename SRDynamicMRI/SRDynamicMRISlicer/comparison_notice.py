"""The words on every view that shows what a network has made."""

from __future__ import annotations

from vtkmodules.vtkRenderingCore import vtkRenderer, vtkTextActor

from .translation import _

_SIZE = 14
_MARGIN = 8
_ABOVE = 52
"""Pixels from the lower edge: Slicer writes the names of up to three images below."""

_COLOUR = (1.0, 0.76, 0.04)


class Notice:
    """A line at the lower edge of a view; not Slicer's corner annotation, which its Data Probe rewrites.

    Parameters
    ----------
    renderer
        First renderer of the view.
    """

    def __init__(self, renderer: vtkRenderer) -> None:
        self._renderer = renderer
        self.actor = vtkTextActor()
        self.actor.SetInput(_("AI-generated, not for diagnosis"))
        self.actor.SetPosition(_MARGIN, _ABOVE)
        look = self.actor.GetTextProperty()
        look.SetFontSize(_SIZE)
        look.SetColor(*_COLOUR)
        look.SetShadow(True)
        renderer.AddViewProp(self.actor)

    def remove(self) -> None:
        """Take the line away."""
        self._renderer.RemoveViewProp(self.actor)
