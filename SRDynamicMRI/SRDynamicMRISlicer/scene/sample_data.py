"""The two entries of Sample Data: a synthetic abdomen in a breath-hold and breathing, made when first asked for.

Making them takes half a minute, so the panel lets the worker do it (the command ``phantom``, into `sample_folder`) and
loads what it wrote. Sample Data itself has no worker: there `make_samples` runs while the user waits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import slicer

from SRDynamicMRILib import __version__
from SRDynamicMRILib.io.files import read_volume, write_series, write_volume
from SRDynamicMRILib.io.image_files import check_folder
from SRDynamicMRILib.phantom import Phantom, abdomen
from SRDynamicMRILib.volume import Series, Volume

from ..background import in_background
from ..step_queue import Stepwise, at_once
from .series_import import loading_sequence
from .volumes import add_volume

CATEGORY = "SRDynamicMRI"


@dataclass(frozen=True)
class Sample:
    """One entry.

    Parameters
    ----------
    name
        What Sample Data shows, and name of its node.
    file
        As the command ``phantom`` calls it.
    dynamic
        Whether it is a series.
    """

    name: str
    file: str
    dynamic: bool


STATIC = Sample("Phantom planning scan", "static.nii.gz", False)
DYNAMIC = Sample("Phantom breathing", "dynamic.nii.gz", True)
SAMPLES = (STATIC, DYNAMIC)


def sample_folder(cache: Path | str) -> Path:
    """Folder of the samples in Slicer's cache; another version makes its own."""
    return Path(cache) / f"SRDynamicMRI-{__version__}"


def samples_made(folder: Path) -> bool:
    """Whether both are there."""
    return all((folder / sample.file).is_file() for sample in SAMPLES)


def make_samples(
    folder: Path,
    make: Callable[[], Phantom] = abdomen,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write both samples, unless they are there; what is written is complete.

    Parameters
    ----------
    folder
        Where; made if it does not exist.
    make
        Makes the phantom.
    progress
        Told the number of volumes that are done and of all.

    Raises
    ------
    InputError
        If the folder cannot be written to.
    """
    if samples_made(folder):
        return
    check_folder(folder)
    folder.mkdir(exist_ok=True)
    phantom = make()
    total = 1 + len(phantom.dynamic)
    done = 0

    def counted(volume: Volume) -> Volume:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, total)
        return volume

    write_volume(counted(phantom.static), folder / STATIC.file)
    moving: Series = phantom.dynamic.map(counted, phantom.dynamic.geometry)
    write_series(moving, folder / DYNAMIC.file)


def load_sample(scene: slicer.vtkMRMLScene, sample: Sample, folder: Path) -> slicer.vtkMRMLNode:
    """Load a sample that has been made.

    Returns
    -------
        A volume for the planning scan, a sequence with its browser for the series.

    Raises
    ------
    InputError
        If it is not there or damaged.
    """
    return at_once(loading_sample(scene, sample, folder))


def loading_sample(scene: slicer.vtkMRMLScene, sample: Sample, folder: Path) -> Stepwise[slicer.vtkMRMLNode]:
    """`load_sample` in steps, between which the application goes on."""
    path = folder / sample.file
    if sample.dynamic:
        return (yield from loading_sequence(scene, path, sample.name))
    return add_volume(scene, (yield from in_background(lambda: read_volume(path))), sample.name)
