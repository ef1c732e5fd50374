"""What is known about the images that were chosen, as the scene tells it, and in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..translation import _
from .acquisition_in_words import acquisition_in_words

if TYPE_CHECKING:
    from SRDynamicMRILib.acquisition.recognise import RecognisedAcquisition


@dataclass(frozen=True)
class ImageFacts:
    """An image or series of the scene.

    Parameters
    ----------
    id
        What tells it from all others of the scene.
    name
        What the user calls it.
    matrix
        Columns, rows and slices.
    spacing
        Voxel size in the same order, in mm.
    time_points
        Number of volumes.
    """

    id: str
    name: str
    matrix: tuple[int, int, int]
    spacing: tuple[float, float, float]
    time_points: int = 1

    def in_words(self) -> str:
        """Matrix, voxel size and time points."""
        size = " x ".join(f"{n}" for n in self.matrix)
        voxel = " x ".join(f"{length:.2f}" for length in self.spacing)
        words = _("{size} voxels of {voxel} mm").format(size=size, voxel=voxel)
        if self.time_points > 1:
            words = _("{words}, {count} time points").format(words=words, count=self.time_points)
        return words


@dataclass(frozen=True)
class ChosenImages:
    """The inputs that are chosen and what was found out about them.

    Parameters
    ----------
    prior, series, truth, result
        Planning scan, dynamic series, ground truth and super-resolved series; None where there is none.
    effective_resolution
        In-plane resolution of the series (columns, rows) in mm.
    fraction
        Share of in-plane k-space that the series holds, as detected.
    acquired
        How the series was acquired; None where that is not known.
    interval
        Seconds between the time points of the series; None where it says nothing of times.
    acquisition_time
        Of a volume of the series, in seconds, as estimated; None where there is no estimate or the times contradict it.
    overlap
        Whether planning scan and series overlap in space; None where that is not known.
    problems
        Why planning scan or series cannot be used, a sentence each.
    truth_problems
        Why the ground truth cannot be used, a sentence each.
    warnings
        What should be known but stops nothing, a sentence each.
    compared
        Whether the result has been compared with the ground truth, so that there are figures to export.
    consistency
        Of the result: the largest data-consistency residual and the mean synthesised share; None where they are not
        known.
    result_warnings
        What should be known before trusting the result, a sentence each.
    """

    prior: ImageFacts | None = None
    series: ImageFacts | None = None
    truth: ImageFacts | None = None
    result: ImageFacts | None = None
    effective_resolution: tuple[float, float] | None = None
    fraction: float | None = None
    acquired: RecognisedAcquisition | None = None
    interval: float | None = None
    acquisition_time: float | None = None
    overlap: bool | None = None
    problems: tuple[str, ...] = ()
    truth_problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    compared: bool = False
    consistency: tuple[float, float] | None = None
    result_warnings: tuple[str, ...] = ()

    @property
    def all_problems(self) -> tuple[str, ...]:
        """Why fine-tuning and super-resolution are impossible with these inputs."""
        if self.overlap is not False:
            return self.problems
        apart = _("The planning scan and the series do not overlap; choose two of the same patient and body region.")
        return (*self.problems, apart)

    def about_series(self) -> str:
        """What was found out about the series, a line each: resolution, k-space, acquisition, interval and estimate."""
        words = []
        if self.effective_resolution is not None:
            columns, rows = self.effective_resolution
            words.append(_("In-plane resolution: {x:.2f} x {y:.2f} mm.").format(x=columns, y=rows))
        if self.fraction is not None:
            words.append(_("{percent:.3g}% of k-space was acquired.").format(percent=100 * self.fraction))
        if self.acquired is not None:
            words.append(acquisition_in_words(self.acquired))
        if self.interval is not None:
            words.append(_("The time points are {seconds:.3g} s apart.").format(seconds=self.interval))
        if self.acquisition_time is not None:
            text = _("Estimated acquisition time per time point, without acceleration: {seconds:.2f} s.")
            words.append(text.format(seconds=self.acquisition_time))
        return "\n".join(words)
