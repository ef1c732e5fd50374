"""The subjects of a benchmark: folders with a planning scan and a dynamic series in high resolution."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError
from ..io.files import file_name
from ..progress import Progress

_NOT_IMAGES = (".json", ".txt", ".raw", ".raw.gz", ".zraw")
"""Endings of what may lie beside an image and be named like it: descriptions and detached voxels."""


@dataclass(frozen=True)
class Subject:
    """A patient with a planning scan and a dynamic series in high resolution.

    Parameters
    ----------
    name
        What results call the patient.
    static, dynamic
        Planning scan and series: files or folders.
    """

    name: str
    static: Path
    dynamic: Path


def find_subjects(folder: Path, output: Path, progress: Progress) -> list[Subject]:
    """Find the patients below a folder.

    Parameters
    ----------
    folder
        A folder with one sub-folder for every patient, or that of a patient: one that holds something whose name begins
        with ``static`` and something whose name begins with ``dynamic``, each an image file or a folder of images.
    output
        Is passed over.
    progress
        Told which sub-folders are skipped.

    Returns
    -------
        The patients by the order of their names.

    Raises
    ------
    InputError
        If there is none, a name could mean several images, or two patients would share a name in the output.
    """
    if not folder.is_dir():
        message = (
            f"There is no folder {folder}; name one that holds a planning scan and a dynamic series of each subject."
        )
        raise InputError(message)
    alone = _subject_in(folder)
    if alone is not None:
        return [alone]
    subjects = []
    for child in sorted(folder.iterdir()):
        if not child.is_dir() or child.name.startswith(".") or child.resolve() == output.resolve():
            continue
        subject = _subject_in(child)
        if subject is None:
            progress.log(f"{child} does not hold both a planning scan and a dynamic series and is skipped.")
        else:
            subjects.append(subject)
    if not subjects:
        message = f"No subject was found: neither {folder} nor a folder in it holds both static.* and dynamic.* images."
        raise InputError(message)
    names: dict[str, str] = {}
    for subject in subjects:
        other = names.setdefault(file_name(subject.name).lower(), subject.name)
        if other != subject.name:
            message = f"The subjects {other} and {subject.name} would share file names; rename one of the folders."
            raise InputError(message)
    return subjects


def _subject_in(folder: Path) -> Subject | None:
    """The patient of a folder, if it holds both images."""
    found = []
    for kind in ("static", "dynamic"):
        images = sorted(
            path
            for path in folder.iterdir()
            if path.name.lower().startswith(kind) and not path.name.lower().endswith(_NOT_IMAGES)
        )
        if len(images) > 1:
            names = " and ".join(path.name for path in images)
            message = f"{folder} holds several images that could be the {kind} one ({names}); leave one of them there."
            raise InputError(message)
        found += images
    return Subject(folder.resolve().name or "subject", *found) if len(found) == 2 else None
