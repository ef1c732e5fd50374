"""What stands in the scene beside everything this software made: attributes of its nodes, and where they are listed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import slicer

from SRDynamicMRILib import __version__
from SRDynamicMRILib.acquisition.consistency import consistency_in, overall
from SRDynamicMRILib.acquisition.matrices import size_in_words
from SRDynamicMRILib.io.sidecar import NOTICE

from .browsers import sequence_of

_PREFIX = "SRDynamicMRI."
_RESIDUAL, _SYNTHESISED, _WARNINGS = "ConsistencyResidual", "SynthesisedShare", "Warnings"
_EARLIER = {_RESIDUAL: "FidelityError", _SYNTHESISED: "Added"}
"""What the figures are called in scenes of version 0.1 and before."""


def facts_of_result(model: str, **parameters: object) -> dict[str, str]:
    """What to write to a super-resolved node.

    Parameters
    ----------
    model
        Hash of the model's weights; empty if it is not known, and then left out.
    parameters
        What the result depends on besides, by a name of letters and digits.
    """
    texts = {name: str(value) for name, value in parameters.items()}
    known = {"Model": model} if model else {}
    return {"Notice": NOTICE, **known, "Version": __version__, **texts}


def write_facts(node: slicer.vtkMRMLNode, facts: Mapping[str, str]) -> None:
    """Write facts to a node as attributes, which are saved with the scene."""
    was_modifying = node.StartModify()  # one event: views that show the node do as much for each
    for name, text in facts.items():
        node.SetAttribute(_PREFIX + name, text)
    node.EndModify(was_modifying)


def facts_of(node: slicer.vtkMRMLNode) -> dict[str, str]:
    """The facts written to a node by `write_facts`; empty for a node that this software did not make."""
    names = [name for name in node.GetAttributeNames() if name.startswith(_PREFIX)]
    return {name.removeprefix(_PREFIX): node.GetAttribute(name) for name in names}


def facts_of_consistency(sidecar: Mapping[str, Any]) -> dict[str, str]:
    """What to write to a result of the figures and warnings in the sidecar that the worker has written beside it."""
    told = {_WARNINGS: "\n".join(sidecar["warnings"])}
    figures = consistency_in(sidecar)
    if not figures:
        return told
    whole = overall(figures)
    return {_RESIDUAL: f"{whole.residual:.6g}", _SYNTHESISED: f"{whole.synthesised:.6g}", **told}


def facts_of_acquisition(sidecar: Mapping[str, Any]) -> dict[str, str]:
    """What to write to a result of how its series was acquired, from the same sidecar; empty if that does not say."""
    if not {"acquired_matrix", "acquired_from", "acquisition"} <= sidecar.keys():
        return {}
    acquired = sidecar["acquisition"]
    told = {"matrix": sidecar["acquired_from"], **acquired["from"]}
    return {
        "AcquiredMatrix": size_in_words(tuple(sidecar["acquired_matrix"])),
        "Window": acquired["window"],
        "Noise": f"{acquired['noise']:.6g}",
        "Magnitude": str(acquired["magnitude"]),
        "Declared": ", ".join(part for part, source in told.items() if source == "declared"),
    }


def consistency_of(node: slicer.vtkMRMLNode) -> tuple[float, float] | None:
    """The largest data-consistency residual and the mean synthesised share of a result; None if it has none."""
    facts = facts_of(node)
    texts = [facts.get(name, facts.get(_EARLIER[name], "")) for name in (_RESIDUAL, _SYNTHESISED)]
    try:
        residual, synthesised = map(float, texts)
    except ValueError:  # of a node that other software has made or changed
        return None
    return residual, synthesised


def warnings_of(node: slicer.vtkMRMLNode) -> tuple[str, ...]:
    """The warnings that are written to a result."""
    return tuple(facts_of(node).get(_WARNINGS, "").splitlines())


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
