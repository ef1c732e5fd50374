"""The fine-tuned model as a node, so that it is saved with the scene and comes back with it.

MRML has no node for a file of any kind. A text node has a file of its own that every way of saving a scene takes along
(a folder, an .mrb, the cloud), so the model is kept in one, in base64. Its hash is an attribute: a model that was
damaged on the way is refused rather than used.
"""

from __future__ import annotations

import base64
import binascii
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
        Where to copy the model to, so that `model_file` has nothing to do there.
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
    """File of the model, written if it is not there yet.

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
    damaged = _("{name} holds no complete model; fine-tune again.").format(name=node.GetName())
    if not is_model(node):
        raise InputError(damaged)
    file = _file_name(folder, hash_of_model(node))
    if file.exists():
        return file
    try:
        content = base64.b64decode(node.GetText() or "", validate=True)
    except binascii.Error as error:
        raise InputError(damaged) from error
    if hashlib.sha256(content).hexdigest() != hash_of_model(node):
        raise InputError(damaged)
    return _write_model(content, file)
