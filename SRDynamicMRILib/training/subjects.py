"""Who there is to train on: scans on disk, grouped by subject, and split so that no subject is on both sides."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from ..errors import InputError
from ..io.files import images_below, read_series
from ..volume import Series

Item = TypeVar("Item")

_CHAOS_SEQUENCES = ("T1DUAL", "T2SPIR")


@dataclass(frozen=True)
class TrainingSubject:
    """One person's scans.

    Parameters
    ----------
    name
        As the folder or file is called.
    series
        Volumes and series; a volume is a series of one.
    """

    name: str
    series: tuple[Series, ...]


def find_subjects(folder: Path) -> list[TrainingSubject]:
    """Read all scans below a folder, subject by subject, in the order of their names.

    In the layout of CHAOS (Kavur et al. 2021; ``MR/<id>/T1DUAL/DICOM_anon/{InPhase,OutPhase}`` and
    ``MR/<id>/T2SPIR/DICOM_anon``) the subject is the id, and what belongs to no MR sequence, such as its CT scans, is
    left out. In any other folder each sub-folder is a subject, and each file beside them; where all images lie in one
    folder, each file is, wherever below `folder` that one lies.

    Parameters
    ----------
    folder
        Holds image files or folders of DICOM files, at any depth; see `files.images_below`.

    Raises
    ------
    InputError
        If the folder is missing, holds no image, or an image in it cannot be used.
    """
    if not folder.is_dir():
        message = f"There is no folder {folder} to train on; check the name."
        raise InputError(message)
    found = images_below(folder)
    if not found:
        message = f"{folder} holds no image (NIfTI, NRRD, MetaImage or DICOM); point to a folder that does."
        raise InputError(message)
    names = _subject_names([path.relative_to(folder) for path in found], folder.resolve().name)
    by_name: dict[str, list[Path]] = {}
    for path, name in zip(found, names, strict=True):
        if name:
            by_name.setdefault(name, []).append(path)
    return [
        TrainingSubject(name, tuple(read_series(path) for path in paths)) for name, paths in sorted(by_name.items())
    ]


def _subject_names(paths: Sequence[Path], folder: str) -> list[str]:
    """TrainingSubject of every image, by its path below the folder; empty for those that are to be left out."""
    chaos = [_before_sequence(path, folder) for path in paths]
    if any(chaos):
        return chaos
    common = os.path.commonpath([path.parent for path in paths])
    return [path.relative_to(common).parts[0] if path.parts else folder for path in paths]


def _before_sequence(path: Path, folder: str) -> str:
    """Name of the folder that holds a CHAOS sequence; empty if there is no such sequence in the path."""
    parts = (folder, *path.parts)
    return next((parts[n - 1] for n, part in enumerate(parts) if n and part in _CHAOS_SEQUENCES), "")


def split(items: Sequence[Item], validation_share: float, seed: int) -> tuple[list[Item], list[Item]]:
    """Divide subjects at random into those to train on and those for validation.

    Parameters
    ----------
    items
        The subjects.
    validation_share
        Share for validation: at least one subject, unless there is only one or the share is 0.
    seed
        The same seed and number of subjects always give the same division.
    """
    count = min(len(items) - 1, max(1, round(validation_share * len(items)))) if validation_share > 0 else 0
    chosen = set(np.random.default_rng([seed, 8]).permutation(len(items))[: max(0, count)].tolist())
    return (
        [item for n, item in enumerate(items) if n not in chosen],
        [item for n, item in enumerate(items) if n in chosen],
    )
