"""What the chosen inputs are, in plain data, and what is wrong with them, in words; changes nothing in the scene.

What headers tell is known at once. To look at voxels takes a second for long series, so that is done in steps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import slicer

from SRDynamicMRILib.acquisition.acquisition import Acquisition
from SRDynamicMRILib.acquisition.interpolation import high_resolution_grid
from SRDynamicMRILib.acquisition.recognise import DeclaredAcquisition, RecognisedAcquisition, recognise_acquisition
from SRDynamicMRILib.errors import InputError
from SRDynamicMRILib.geometry import Geometry
from SRDynamicMRILib.io.files import check_voxels
from SRDynamicMRILib.io.times import numbered
from SRDynamicMRILib.volume import Series

from ..background import in_background
from ..presenter.chosen_images import ChosenImages, ImageFacts
from ..step_queue import Stepwise
from ..translation import _
from .browsers import same_time_axis
from .series_import import chosen_sequence, chosen_series, is_multivolume, stacked_time_points
from .volumes import volume_of

TYPICAL_REPETITION_TIME = 2.3
"""Milliseconds; the three subjects of the paper's Table 1 had 2.23 and 2.34."""

_LONGEST = 1.1
"""Intervals that an acquisition can take: a sequence's repetition time may be somewhat shorter than the typical one."""

_ALREADY_FULL = 0.9
"""Share of k-space from which on there is hardly anything to win."""

_ADVICE = "give --acquired-matrix ROWSxCOLUMNS"
"""What warnings of the library advise users of the command line."""


@dataclass(frozen=True)
class VoxelFindings:
    """What only the voxels of the inputs tell.

    Parameters
    ----------
    faults
        Why an image cannot be used, a sentence for the id of each such node.
    acquired
        How the series was acquired; None where that cannot be read.
    """

    faults: Mapping[str, str] = field(default_factory=dict)
    acquired: RecognisedAcquisition | None = None


def check_images(
    prior: slicer.vtkMRMLScalarVolumeNode | None,
    series: slicer.vtkMRMLNode | None,
    truth: slicer.vtkMRMLNode | None = None,
    repetition_time: float = TYPICAL_REPETITION_TIME,
    voxels: VoxelFindings | None = None,
) -> ChosenImages:
    """Look at the chosen inputs; never raises.

    Parameters
    ----------
    prior
        Planning scan: a volume.
    series, truth
        What `series_import.chosen_series` takes.
    repetition_time
        Of the dynamic sequence in milliseconds.
    voxels
        What `examine_voxels` has found; without it nothing is said of what only voxels tell.
    """
    faults, acquired = (voxels.faults, voxels.acquired) if voxels is not None else ({}, None)
    problems: list[str] = []
    truth_problems: list[str] = []
    warnings: list[str] = []
    still = _read(prior, problems, faults, volume=True)
    moving = _read(series, problems, faults)
    true = _read(truth, truth_problems, faults)
    overlap = fraction = None
    if still is not None and moving is not None:
        overlap = still.geometry.overlaps(moving.geometry)
    if moving is not None and acquired is not None:
        here = _("set the acquired matrix in the panel")
        warnings += [warning.replace(_ADVICE, here) for warning in acquired.warnings]
    if still is not None and moving is not None and overlap and acquired is not None:
        fraction = _fraction(still.geometry, moving.geometry.with_matrix(acquired.matrix), problems, warnings)
    if moving is not None and series is not None and len(moving) == 1:
        warnings += _stacked(moving, series.GetName())
    if moving is not None and series is not None and is_multivolume(series):
        text = _("{name} is a MultiVolume: the views show it once super-resolving has made a sequence of it.")
        warnings.append(text.format(name=series.GetName()))
    if true is not None and moving is not None:
        truth_problems += _mismatch(true, moving)
        warnings += _separate_sliders(truth, series)
    voxel = interval = time = None
    if moving is not None:
        geometry = moving.geometry if acquired is None else moving.geometry.with_matrix(acquired.matrix)
        voxel = geometry.spacing[:2]
        interval = interval_of(moving.times)
        time = _estimate(geometry, interval, repetition_time)
    return ChosenImages(
        prior=_image(prior, still),
        series=_image(series, moving),
        truth=_image(truth, true),
        effective_resolution=voxel,
        fraction=fraction,
        acquired=acquired if moving is not None else None,
        interval=interval,
        acquisition_time=time,
        overlap=overlap,
        problems=tuple(problems),
        truth_problems=tuple(truth_problems),
        warnings=tuple(warnings),
    )


def interval_of(times: Sequence[float]) -> float | None:
    """The usual time from one time point to the next.

    Parameters
    ----------
    times
        In seconds, ascending.

    Returns
    -------
        Seconds; None for a single time point, and for 0, 1, 2, ... s, which number the time points where nothing is
        known.
    """
    if len(times) < 2 or list(times) == numbered(len(times)):
        return None
    return float(np.median(np.diff(times)))


def simulated_facts(
    full: Geometry,
    fraction: float,
    interval: float | None = None,
    repetition_time: float = TYPICAL_REPETITION_TIME,
) -> tuple[tuple[int, int, int], tuple[float, float, float], float | None]:
    """What a series would be if only a share of its k-space had been acquired.

    Parameters
    ----------
    full
        Geometry of the series.
    fraction
        Share of in-plane k-space to keep, in (0, 1].
    interval
        Seconds between the time points of the series; None where they are not known.
    repetition_time
        In milliseconds.

    Returns
    -------
        Matrix ``(x, y, z)``, effective resolution ``(x, y, z)`` in mm, and the estimated seconds for a time point,
        None where the full series was acquired in less than the estimate for it.

    Raises
    ------
    InputError
        If the fraction is outside (0, 1] or leaves nothing of the matrix.
    """
    acquisition = Acquisition.centre(full.shape[1:], fraction)
    low = acquisition.low_resolution_geometry(full)
    depth, height, width = low.shape
    x, y = acquisition.effective_resolution(full)
    estimated = _estimate(full, interval, repetition_time) is not None
    seconds = _estimate(low, None, repetition_time) if estimated else None
    return (width, height, depth), (x, y, full.spacing[2]), seconds


def _estimate(geometry: Geometry, interval: float | None, repetition_time: float) -> float | None:
    """Estimated seconds for a volume; None where one is acquired in less, as with acceleration or shared views."""
    matrix = geometry.shape[1:]
    seconds = Acquisition(matrix, matrix).acquisition_time(geometry.shape[0], repetition_time)
    return seconds if interval is None or seconds <= _LONGEST * interval else None


def examine_voxels(
    prior: slicer.vtkMRMLScalarVolumeNode | None,
    series: slicer.vtkMRMLNode | None,
    truth: slicer.vtkMRMLNode | None,
    declared: DeclaredAcquisition | None = None,
) -> Stepwise[VoxelFindings]:
    """Look at all voxels of the chosen inputs, a time point at every step, and at the spectrum in the background.

    Parameters
    ----------
    prior, series, truth
        As for `check_images`.
    declared
        What the user says of how the series was acquired.
    """
    faults: dict[str, str] = {}
    acquired = None
    scan = None
    for node, single in ((prior, True), (series, False), (truth, False)):
        if node is None or node.GetScene() is None:
            continue
        name, key = node.GetName(), node.GetID()
        try:
            images = _series(node, single)
            if node is prior:
                scan = images[0]
            if node is series:
                first = Series.of([images[0]])  # the scene is for the main thread alone
                acquired = yield from in_background(partial(recognise_acquisition, first, declared, scan))
            for number, volume in enumerate(images):
                of = _("Time point {number} of {name}").format(number=number, name=name)
                check_voxels(volume, name if len(images) == 1 else of)
                yield
        except InputError as error:
            faults[key] = str(error)
    return VoxelFindings(faults, acquired)


def _read(
    node: slicer.vtkMRMLNode | None, problems: list[str], faults: Mapping[str, str], volume: bool = False
) -> Series | None:
    """Series of a chosen node; what is wrong goes to the problems."""
    if node is None:
        return None
    name = node.GetName()
    try:
        if node.GetScene() is None:
            raise InputError(_("{name} was deleted from the scene; choose another one.").format(name=name))
        read = _series(node, volume)
        if node.GetID() in faults:
            raise InputError(faults[node.GetID()])
    except InputError as error:
        problems.append(str(error))
        return None
    return read


def _series(node: slicer.vtkMRMLNode, volume: bool) -> Series:
    return Series.of([volume_of(node)]) if volume else chosen_series(node)[0]


def _fraction(prior: Geometry, series: Geometry, problems: list[str], warnings: list[str]) -> float | None:
    """Share of in-plane k-space that a series holds of the matrix it would have with the voxels of the prior."""
    if not prior.same_orientation(series):
        warnings.append(
            _("The planning scan and the series differ in orientation: only the planning scan's voxel size is used.")
        )
    try:
        grid = high_resolution_grid(series, prior)
    except InputError:
        text = _(
            "The planning scan is coarser ({px:.2f} x {py:.2f} mm) than the series ({sx:.2f} x {sy:.2f} mm); "
            "choose a planning scan of higher resolution."
        )
        px, py, sx, sy = *prior.spacing[:2], *series.spacing[:2]
        problems.append(text.format(px=px, py=py, sx=sx, sy=sy))
        return None
    share = float(np.prod(series.shape[1:]) / np.prod(grid.shape[1:]))
    if share > _ALREADY_FULL:
        warnings.append(
            _("The series already has the resolution of the planning scan. Simulate a fast one to try the method.")
        )
    return share


def _stacked(series: Series, name: str) -> list[str]:
    period = stacked_time_points(series[0])
    if period == 0:
        return []
    text = _(
        "{name} is one volume, but its slices repeat every {period}: it may be a series whose {count} time points were "
        "stacked on import. Load it from its files in the module instead."
    )
    return [text.format(name=name, period=period, count=series.geometry.shape[0] // period)]


def _mismatch(truth: Series, series: Series) -> list[str]:
    if len(truth) != len(series):
        text = _("The ground truth has {truth} time points but the series has {series}; choose one of the same length.")
        return [text.format(truth=len(truth), series=len(series))]
    if not truth.geometry.overlaps(series.geometry):
        return [_("The ground truth and the series do not overlap; check that both are of the same patient.")]
    return []


def _separate_sliders(truth: slicer.vtkMRMLNode, series: slicer.vtkMRMLNode) -> list[str]:
    first, second = chosen_sequence(truth), chosen_sequence(series)
    if first is None or second is None or same_time_axis(first, second):
        return []
    return [_("The ground truth and the series differ in their times: time points are compared in order.")]


def _image(node: slicer.vtkMRMLNode | None, series: Series | None) -> ImageFacts | None:
    if node is None or series is None:
        return None
    depth, height, width = series.geometry.shape
    return ImageFacts(node.GetID(), node.GetName(), (width, height, depth), series.geometry.spacing, len(series))
