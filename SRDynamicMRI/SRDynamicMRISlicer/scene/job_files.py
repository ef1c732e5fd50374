"""The files of a job: its inputs written from the scene, and the name of its output.

Names hold a hash of what is in the files and of what the job was asked: a job that goes on where it was cancelled finds
its files under the same names, and one that was asked something else does not touch them.

The files are for a worker on the same computer, so they are not compressed. A time point is copied from the scene in
the main thread; hashing and writing it are done in the background.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import slicer

from SRDynamicMRILib.errors import InputError
from SRDynamicMRILib.io.sequence_files import sequence_header
from SRDynamicMRILib.volume import Series, Volume

from ..background import in_background
from ..jobs.job import Kind
from ..presenter.chosen_job import Files
from ..step_queue import Stepwise
from ..translation import _
from .sequences import index_of
from .series_import import chosen_sequence, chosen_series
from .volumes import volume_of

TRILINEAR = "trilinear"
ZERO_FILLED = "zero-filled"
"""What the methods that the result is compared with are called in tables and files."""

_HASH_LENGTH = 16


@dataclass(frozen=True)
class JobNodes:
    """What is chosen in the panel, as nodes; None for what is not.

    Parameters
    ----------
    prior
        Planning scan: a volume.
    series, truth
        What `series_import.chosen_series` takes.
    result
        Super-resolved sequence.
    interpolated
        Sequence of the series interpolated without a model, to compare the result with.
    """

    prior: slicer.vtkMRMLScalarVolumeNode | None = None
    series: slicer.vtkMRMLNode | None = None
    truth: slicer.vtkMRMLNode | None = None
    result: slicer.vtkMRMLSequenceNode | None = None
    interpolated: slicer.vtkMRMLSequenceNode | None = None


class JobFiles:
    """Writes the inputs of jobs into a folder.

    Parameters
    ----------
    folder
        Where; made when first needed.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def prepare(self, kind: Kind, nodes: JobNodes, asked: str = "") -> Stepwise[Files]:
        """Write what a kind of job needs, a part at every step.

        Parameters
        ----------
        kind
            Not one that reads and writes nothing of the scene: `Kind.PHANTOM` and `Kind.IMPORT_MODEL` have names that
            the user knows.
        nodes
            The choices.
        asked
            All else that the outcome depends on, as text.

        Raises
        ------
        InputError
            If an input is missing, cannot be used or cannot be written.
        OSError
            If the folder cannot be made.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            return (yield from self._prepare(kind, nodes, asked))
        except OSError as error:
            text = _(
                "The inputs of the computation could not be written to {folder} ({reason}); free some space there."
            )
            raise InputError(text.format(folder=self.folder, reason=error.strerror or error)) from error

    def _prepare(self, kind: Kind, nodes: JobNodes, asked: str) -> Stepwise[Files]:
        if kind is Kind.EVALUATE:
            return (yield from self._evaluation(nodes))
        series = yield from self._series(_given(nodes.series, _("dynamic series")))
        if kind is Kind.DOWNSAMPLE:
            return Files(self._output("low", ".nii", [series], asked), series=series)
        prior = None if nodes.prior is None else (yield from self._volume(nodes.prior))
        inputs = [path for path in (prior, series) if path is not None]
        if kind is Kind.FINE_TUNE:
            output = self._output("model", ".safetensors", inputs, asked)
        elif kind is Kind.SUPER_RESOLVE:
            output = self._output("result", ".nii", inputs, asked)
        else:
            output = self._output("interpolated", ".nii", inputs, asked)
        return Files(output, prior=prior, series=series)

    def _evaluation(self, nodes: JobNodes) -> Stepwise[Files]:
        """Only the time points that the result has are compared; the others are not even written."""
        result = _given(nodes.result, _("result"))
        series = _given(nodes.series, _("dynamic series"))
        numbers = numbers_of(result, series)
        truth = yield from self._series(_given(nodes.truth, _("ground truth")), numbers)
        shown = yield from self._series(result)
        baselines = {TRILINEAR: (yield from self._series(series, numbers))}
        if nodes.interpolated is not None and set(numbers) <= set(numbers_of(nodes.interpolated, series)):
            baselines[ZERO_FILLED] = yield from self._series(nodes.interpolated, numbers)
        output = self._output("evaluation", "", [truth, shown, *baselines.values()], "")
        return Files(output, truth=truth, result=shown, baselines=baselines)

    def _volume(self, node: slicer.vtkMRMLScalarVolumeNode) -> Stepwise[Path]:
        return (yield from self._write(Series.of([volume_of(_given(node, _("planning scan")))]), "planning"))

    def _series(self, node: slicer.vtkMRMLNode, numbers: Iterable[int] | None = None) -> Stepwise[Path]:
        series = chosen_series(node)[0]
        return (yield from self._write(series if numbers is None else series.select(list(numbers)), "series"))

    def _write(self, series: Series, word: str) -> Stepwise[Path]:
        """Write a series; one that was written before keeps its file, which a worker may be reading."""
        header = sequence_header(series.geometry, series.times, "raw")
        digest = hashlib.sha256(header)
        with tempfile.TemporaryDirectory(dir=self.folder, prefix=".writing-", ignore_cleanup_errors=True) as folder:
            half = Path(folder) / word
            with half.open("wb") as file:
                file.write(header)
                for volume in series:
                    yield from in_background(partial(_append, volume, file, digest))
                    yield  # to copy the next one takes a while
            path = self.folder / f"{word}-{digest.hexdigest()[:_HASH_LENGTH]}.seq.nrrd"
            if not path.exists():
                half.replace(path)
        return path

    def _output(self, word: str, ending: str, inputs: Iterable[Path], asked: str) -> Path:
        names = "\n".join([*(path.name for path in inputs), asked])
        return self.folder / f"{word}-{hashlib.sha256(names.encode()).hexdigest()[:_HASH_LENGTH]}{ending}"


def numbers_of(part: slicer.vtkMRMLSequenceNode, whole: slicer.vtkMRMLNode) -> list[int]:
    """Which time points of a series another sequence has, such as a result of some of them.

    Parameters
    ----------
    part
        A sequence with the index values of the series.
    whole
        What `series_import.chosen_series` takes.

    Raises
    ------
    InputError
        If it has time points that the series has not.
    """
    sequence = chosen_sequence(whole)
    values = (chosen_series(whole)[1] if sequence is None else index_of(sequence)).values
    places: Mapping[str, int] = {value: number for number, value in enumerate(values)}
    try:
        return [places[value] for value in index_of(part).values]
    except KeyError as error:
        text = _("{part} has a time point {value} that {whole} has not: it was made of another series.")
        raise InputError(text.format(part=part.GetName(), value=error.args[0], whole=whole.GetName())) from error


def _given(node: slicer.vtkMRMLNode | None, role: str) -> slicer.vtkMRMLNode:
    if node is None or node.GetScene() is None:
        raise InputError(_("There is no {role} any more; choose one.").format(role=role))
    return node


def _append(volume: Volume, file: BinaryIO, digest: Any) -> None:
    """Write the voxels of a volume to a file, and add them to a hash."""
    voxels = np.ascontiguousarray(volume.data, dtype="<f4")
    digest.update(voxels)
    file.write(voxels)
