"""What stands in the scene beside everything this software made: attributes of its nodes, and where they are listed."""

from __future__ import annotations

from collections.abc import Mapping

import slicer

from SRDynamicMRILib import __version__
from SRDynamicMRILib.provenance import NOTICE

from .scene_browsers import sequence_of

_PREFIX = "SRDynamicMRI."


def facts_of_result(model: str, **parameters: object) -> dict[str, str]:
    """What to write to a super-resolved node.

    Parameters
    ----------
    model
        Hash of the model's weights.
    parameters
        What the result depends on besides, by a name of letters and digits.
    """
    texts = {name: str(value) for name, value in parameters.items()}
    return {"Notice": NOTICE, "Model": model, "Version": __version__, **texts}


def write_facts(node: slicer.vtkMRMLNode, facts: Mapping[str, str]) -> None:
    """Write facts to a node as attributes, which are saved with the scene."""
    for name, text in facts.items():
        node.SetAttribute(_PREFIX + name, text)


def facts_of(node: slicer.vtkMRMLNode) -> dict[str, str]:
    """The facts written to a node by `write_facts`; empty for a node that this software did not make."""
    names = [name for name in node.GetAttributeNames() if name.startswith(_PREFIX)]
    return {name.removeprefix(_PREFIX): node.GetAttribute(name) for name in names}


def shows_generated(node: slicer.vtkMRMLNode) -> bool:
    """Whether a node shows what a network has made: by its own facts, or by those of the sequence it is a view of.

    Files of sequences keep no attributes of single time points, so a scene that was loaded has only the latter.
    """
    sequence = sequence_of(node)
    return any("Notice" in facts_of(one) for one in (node, sequence) if one is not None)


def place_beside(node: slicer.vtkMRMLNode, sibling: slicer.vtkMRMLNode) -> None:
    """List a node in the subject hierarchy where another one is: in the same patient and study."""
    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(node.GetScene())
    beside = tree.GetItemByDataNode(sibling)
    folder = tree.GetItemParent(beside) if beside else tree.GetSceneItemID()
    item = tree.GetItemByDataNode(node)
    if item:
        tree.SetItemParent(item, folder)
    else:
        tree.CreateItem(folder, node)
