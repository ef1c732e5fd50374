"""The subjects of a benchmark: folders with a planning scan and a dynamic series in high resolution."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError
from ..io.files import file_name, read_series, read_volume
from ..progress import Progress
from ..volume import Series, Volume

_NOT_IMAGES = (".json", ".txt", ".raw", ".raw.gz", ".zraw")
"""Endings of what may lie beside an image and be named like it: descriptions and detached voxels."""

_KINDS = ("static_phase", "dynamic_phase", "static", "dynamic")
"""Beginnings of the names of images, longer ones first."""


@dataclass(frozen=True)
class Subject:
    """A patient with a planning scan and a dynamic series in high resolution.

    Parameters
    ----------
    name
        What results call the patient.
    static, dynamic
        Planning scan and series: files or folders.
    phase
        Phase of the series in radians, if it was measured.
    """

    name: str
    static: Path
    dynamic: Path
    phase: Path | None = None


@dataclass(frozen=True)
class Scans:
    """The images of a subject.

    Parameters
    ----------
    static, dynamic
        Planning scan and series.
    phase
        Phase of the series in radians, if it was measured: one for all time points, or one each.
    """

    static: Volume
    dynamic: Series
    phase: Series | None

    @classmethod
    def read(cls, subject: Subject) -> Scans:
        """Read the images of a subject, time points when they are asked for.

        Raises
        ------
        InputError
            If one cannot be read.
        """
        phase = None if subject.phase is None else read_series(subject.phase)
        return cls(read_volume(subject.static), read_series(subject.dynamic), phase)


def find_subjects(folder: Path, output: Path, progress: Progress) -> list[Subject]:
    """Find the patients below a folder.

    Parameters
    ----------
    folder
        A folder with one sub-folder for every patient, or that of a patient: one that holds something whose name begins
        with ``static`` and something whose name begins with ``dynamic``, each an image file or a folder of images.
        What begins with ``dynamic_phase`` is the phase of the series; ``static_phase`` is passed over.
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
    found: dict[str, Path] = {}
    for kind in ("static", "dynamic", "dynamic_phase"):
        images = sorted(path for path in folder.iterdir() if _kind_of(path) == kind)
        if len(images) > 1:
            names = " and ".join(path.name for path in images)
            message = f"{folder} holds several images that could be the {kind} one ({names}); leave one of them there."
            raise InputError(message)
        if images:
            found[kind] = images[0]
    if not {"static", "dynamic"} <= set(found):
        return None
    name = folder.resolve().name or "subject"
    return Subject(name, found["static"], found["dynamic"], found.get("dynamic_phase"))


def _kind_of(path: Path) -> str | None:
    """What an image shows, by the beginning of its name."""
    name = path.name.lower()
    if name.endswith(_NOT_IMAGES):
        return None
    return next((kind for kind in _KINDS if name.startswith(kind)), None)
