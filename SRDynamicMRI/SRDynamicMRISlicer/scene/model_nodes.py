"""The fine-tuned model as a node, so that it is saved with the scene and comes back with it.

MRML has no node for a file of any kind. A text node has a file of its own that every way of saving a scene takes along
(a folder, an .mrb, the cloud), so the model is kept in one, in base64. Its hash is an attribute: a model that was
damaged on the way is refused rather than used.
"""

from __future__ import annotations

import base64
import hashlib
from functools import partial
from pathlib import Path

import slicer

from SRDynamicMRILib.errors import InputError

from ..background import in_background
from ..step_queue import Stepwise, at_once
from ..translation import _
from .provenance import facts_of, write_facts

HASH = "Model"
"""Fact that tells a model's node from other texts."""

ATTRIBUTE = f"SRDynamicMRI.{HASH}"
"""The same as selectors of nodes know it."""


def add_model(
    scene: slicer.vtkMRMLScene, file: Path, name: str, folder: Path | None = None, **facts: str
) -> slicer.vtkMRMLTextNode:
    """Add a model to the scene; another node of that name is left alone.

    Parameters
    ----------
    scene
        The scene.
    file
        A ``.safetensors`` file.
    name
        Of the node.
    folder
        Where to copy the model to, so that `writing_model` has nothing to do there.
    facts
        What else to write to it.

    Raises
    ------
    InputError
        If the file cannot be read.
    """
    return at_once(adding_model(scene, file, name, folder, **facts))


def adding_model(
    scene: slicer.vtkMRMLScene, file: Path, name: str, folder: Path | None = None, **facts: str
) -> Stepwise[slicer.vtkMRMLTextNode]:
    """`add_model` in steps: the file is read, hashed and encoded in the background."""
    text, digest = yield from in_background(partial(_read_model, file, folder))
    node = scene.AddNewNodeByClass("vtkMRMLTextNode", scene.GenerateUniqueName(name))
    node.SetForceCreateStorageNode(node.CreateStorageNodeAlways)  # in a file of its own, not in the scene's
    node.SetText(text)
    write_facts(node, {**facts, HASH: digest})
    return node


def _read_model(file: Path, folder: Path | None) -> tuple[str, str]:
    """A model in base64, and its hash."""
    try:
        content = file.read_bytes()
    except OSError as error:
        text = _("The model {file} cannot be read: {reason}.")
        raise InputError(text.format(file=file, reason=error.strerror)) from error
    digest = hashlib.sha256(content).hexdigest()
    if folder is not None:
        _write_model(content, _file_name(folder, digest))
    return base64.b64encode(content).decode("ascii"), digest


def _file_name(folder: Path, digest: str) -> Path:
    return folder / f"subject-{digest[:16]}.safetensors"


def _write_model(content: bytes, file: Path) -> Path:
    """Write a model's file whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    half = file.with_suffix(".part")
    half.write_bytes(content)
    return half.replace(file)


def is_model(node: slicer.vtkMRMLTextNode) -> bool:
    """Whether a text node holds a model."""
    return HASH in facts_of(node)


def hash_of_model(node: slicer.vtkMRMLTextNode) -> str:
    """SHA-256 of the model's file."""
    return facts_of(node)[HASH]


def model_file(node: slicer.vtkMRMLTextNode, folder: Path) -> Path:
    """Name of the file that `writing_model` makes of a model; it need not be there yet.

    Parameters
    ----------
    node, folder
        As for `writing_model`.

    Raises
    ------
    InputError
        If the node holds no model.
    """
    if not is_model(node):
        raise InputError(_damaged(node))
    return _file_name(folder, hash_of_model(node))


def writing_model(node: slicer.vtkMRMLTextNode, folder: Path) -> Stepwise[Path]:
    """Write a model to its file if that is not there yet, in steps: it is decoded and hashed in the background.

    Parameters
    ----------
    node
        Made by `add_model`, perhaps in another session.
    folder
        Where to write it; made if it does not exist.

    Raises
    ------
    InputError
        If the node holds no model or one that is damaged.
    OSError
        If the file cannot be written.
    """
    file, damaged = model_file(node, folder), _damaged(node)
    if not file.exists():
        work = partial(_decode_model, node.GetText() or "", hash_of_model(node), file)
        try:
            yield from in_background(work)
        except ValueError as error:
            raise InputError(damaged) from error
    return file


def _decode_model(text: str, digest: str, file: Path) -> None:
    """Write what stands in base64; `ValueError` if it has another hash."""
    content = base64.b64decode(text, validate=True)
    if hashlib.sha256(content).hexdigest() != digest:
        raise ValueError
    _write_model(content, file)


def _damaged(node: slicer.vtkMRMLTextNode) -> str:
    return _("{name} holds no complete model; fine-tune again.").format(name=node.GetName())
