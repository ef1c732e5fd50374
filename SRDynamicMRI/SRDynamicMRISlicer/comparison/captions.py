"""What stands on the comparison's views: whatever is seen in them at the moment, not what they are meant for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from weakref import WeakMethod

import slicer
from vtkmodules.vtkCommonCore import vtkCommand, vtkObject

from ..scene.browsers import sequence_of
from ..scene.provenance import facts_of, shows_generated
from ..scene.volumes import has_voxels
from ..translation import _
from .layouts import View, view_colour, view_label
from .overlay import sides_of
from .views import composite_node, slice_node

_MAPS = (View.SSIM, View.DIFFERENCE)
"""They are about what a network has made, so they say so too."""


def notice_text() -> str:
    """What stands on every view that shows what a network has made."""
    return _("AI-generated, not for diagnosis")


@dataclass(frozen=True)
class Caption:
    """What stands on a view.

    Parameters
    ----------
    label
        On its bar.
    colour
        Of its bar.
    missing
        In its middle: why there is no image; empty where there is one.
    notice
        At its lower edge; empty where nothing that a network has made is seen.
    """

    label: str
    colour: str
    missing: str = ""
    notice: str = ""


class ViewCaptions:
    """Keeps the captions of the views as what is seen in them.

    Once it is stopped or dropped, it changes nothing more.

    Parameters
    ----------
    scene
        The scene.
    draw
        Draws text in a view, in place of what it drew there before; called with empty texts at the end.
    """

    def __init__(self, scene: slicer.vtkMRMLScene, draw: Callable[[View, str, str], None]) -> None:
        self._scene, self._draw = scene, draw
        self._observers: list[tuple[vtkObject, int]] = []
        self._volumes: dict[View, slicer.vtkMRMLScalarVolumeNode] = {}
        self._captions: dict[View, Caption] = {}

    @property
    def captions(self) -> Mapping[View, Caption]:
        """Of the views that are shown."""
        return self._captions

    def show(self, views: Iterable[View], volumes: Mapping[View, slicer.vtkMRMLScalarVolumeNode]) -> None:
        """Caption these views, and no others.

        Parameters
        ----------
        views
            The views that are shown.
        volumes
            What each is meant for.
        """
        self.stop()
        self._volumes = dict(volumes)
        self._captions = {view: Caption("", "") for view in views}
        follow = WeakMethod(self._update)

        def changed(_caller: Any, _event: str) -> None:
            if (alive := follow()) is not None:
                alive()

        for node in (*(composite_node(self._scene, view) for view in self._captions), *self._volumes.values()):
            self._observers.append((node, node.AddObserver(vtkCommand.ModifiedEvent, changed)))
        self._update()

    def stop(self) -> None:
        """Leave the views as they are without captions."""
        for node, tag in self._observers:
            node.RemoveObserver(tag)
        self._observers = []
        captions, self._captions = self._captions, {}
        for view in captions:
            self._set_label(view, view_label(view), view_colour(view))
            self._draw(view, "", "")

    def _update(self) -> None:
        for view, before in self._captions.items():
            caption = caption_of(self._scene, view, self._volumes)
            if caption != before:
                self._captions[view] = caption
                self._set_label(view, caption.label, caption.colour)
                self._draw(view, caption.missing, caption.notice)

    def _set_label(self, view: View, label: str, colour: str) -> None:
        node = slice_node(self._scene, view)
        if node is not None:
            was_modifying = node.StartModify()
            node.SetLayoutLabel(label)
            node.SetLayoutColor(*(int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)))
            node.EndModify(was_modifying)


def seen_in(scene: slicer.vtkMRMLScene, view: View) -> slicer.vtkMRMLScalarVolumeNode | None:
    """The volume that is seen in a view: the one in front where that hides the other."""
    composite = composite_node(scene, view)
    front, back = composite.GetForegroundVolumeID(), composite.GetBackgroundVolumeID()
    seen = front if front is not None and composite.GetForegroundOpacity() > 0.5 else back
    return None if seen is None else scene.GetNodeByID(seen)


def caption_of(
    scene: slicer.vtkMRMLScene, view: View, volumes: Mapping[View, slicer.vtkMRMLScalarVolumeNode]
) -> Caption:
    """What is to stand on a view.

    Parameters
    ----------
    scene
        The scene.
    view
        The view.
    volumes
        What each view is meant for, to call what is seen by the name of its own view.
    """
    seen = seen_in(scene, view)
    if seen is None:
        return Caption(view_label(view), view_colour(view))
    meant_for = {node.GetID(): own for own, node in reversed(volumes.items())}
    meant_for |= {volumes[view].GetID(): view} if view in volumes else {}
    parts = sides_of(seen) or (seen,)
    own = [meant_for.get(part.GetID()) for part in parts]
    label = " | ".join(part.GetName() if one is None else view_label(one) for part, one in zip(parts, own, strict=True))
    colour = view_colour(view if own[-1] is None else own[-1])
    if not has_voxels(seen):
        return Caption(label, colour, missing=_missing(seen))
    generated = any(one in _MAPS for one in own) or any(shows_generated(part) for part in parts)
    return Caption(label, colour, notice=notice_text() if generated else "")


def picture_name(captions: Mapping[View, Caption]) -> str:
    """Name for a picture of the views, which says what is seen in them.

    Parameters
    ----------
    captions
        Of the views that are shown; those without an image are left out.
    """
    labels = (caption.label.replace(" | ", "-") for caption in captions.values() if not caption.missing)
    plain = ("".join(sign for sign in label if sign.isalnum() or sign in " -_") for label in labels)
    return " ".join(["comparison", *filter(None, (label.strip() for label in plain))]) + ".png"


def _missing(node: slicer.vtkMRMLScalarVolumeNode) -> str:
    sequence = sequence_of(node)
    computed = sequence is not None and bool(facts_of(sequence))
    return _("Not computed") if computed else _("No image at this time point")
