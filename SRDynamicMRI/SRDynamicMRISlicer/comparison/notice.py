"""Words in a view: that a network has made what is seen, or that nothing was computed."""

from __future__ import annotations

from vtkmodules.vtkRenderingCore import vtkRenderer, vtkTextActor

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
    text
        What it says.
    in_the_middle
        Whether it stands in the middle of the view instead.
    """

    def __init__(self, renderer: vtkRenderer, text: str, in_the_middle: bool = False) -> None:
        self._renderer = renderer
        self.actor = vtkTextActor()
        self.actor.SetInput(text)
        look = self.actor.GetTextProperty()
        look.SetFontSize(_SIZE)
        look.SetColor(*_COLOUR)
        look.SetShadow(True)
        if in_the_middle:
            self.actor.GetPositionCoordinate().SetCoordinateSystemToNormalizedViewport()
            self.actor.SetPosition(0.5, 0.5)
            look.SetJustificationToCentered()
            look.SetVerticalJustificationToCentered()
        else:
            self.actor.SetPosition(_MARGIN, _ABOVE)
        renderer.AddViewProp(self.actor)

    def remove(self) -> None:
        """Take the line away."""
        self._renderer.RemoveViewProp(self.actor)
