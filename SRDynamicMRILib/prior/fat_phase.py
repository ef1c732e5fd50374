"""Whether fat and water cancel in a series: its dark lines, compared with those of the planning scan.

Where the echo time turns fat against water, voxels that hold both are dark, and organs are outlined in black (Earls and
Krinsky, AJR 1997). The planning scan, acquired in simulation as the series was but with fat and water in phase, has no
such lines but those of its anatomy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..acquisition.acquisition import Acquisition
from ..acquisition.body import body_mask
from ..acquisition.fat import FatPhase
from ..acquisition.phase import smooth_phase
from ..acquisition.stored import StoredImage
from ..geometry import FloatArray, shape_of

IN_PHASE = 1.07
"""Depth of the dark lines, as a multiple of those of the planning scan, up to which fat and water do not cancel."""

OPPOSED = 1.12
"""The same from which on they do. Smooth phases gave 0.92 to 1.06 on hearts, a pelvis, kidneys and abdomens."""

_DRAWS = 3
"""Smooth phases that the planning scan is given."""

_FEWEST_VOXELS = 500
"""Voxels of the body, without its rim, that tell anything."""


@dataclass(frozen=True)
class FatPhaseFound:
    """Whether fat and water cancel.

    Parameters
    ----------
    fat
        As `Acquisition` has it.
    ratio
        Depth of the dark lines of the series divided by that of the planning scan's; NaN where nothing can be compared.
    """

    fat: FatPhase
    ratio: float

    def in_words(self) -> str:
        """A sentence for the log."""
        if not np.isfinite(self.ratio):
            return "Whether fat and water cancel in the series cannot be told; both are trained for."
        lines = f"its dark lines are {self.ratio:.2f} times as deep as the planning scan's would be"
        return {
            "in-phase": f"Fat and water do not cancel in the series ({lines}).",
            "opposed": f"Fat and water seem to cancel in the series ({lines}).",
            "unknown": f"Whether fat and water cancel in the series is uncertain ({lines}); both are trained for.",
        }[self.fat]


def find_fat_phase(series: FloatArray, prior: FloatArray, acquisition: Acquisition) -> FatPhaseFound:
    """Find out whether fat and water cancel in a series of magnitudes.

    Parameters
    ----------
    series
        A time point at its acquired matrix ``(D, h, w)``.
    prior
        Planning scan ``(D', H, W)``, of the contrast of the series.
    acquisition
        What makes an image like the series' of the prior.

    Examples
    --------
    >>> find_fat_phase(low.data, planning.data, Acquisition.centre((256, 192), 0.25)).fat
    'in-phase'
    """
    rng = np.random.default_rng(0)
    alike = [
        StoredImage.simulated(prior, acquisition, smooth_phase(shape_of(prior), rng), rng).acquired
        for _ in range(_DRAWS)
    ]
    usual = float(np.median([depth_of_dark_lines(image) for image in alike]))
    ratio = depth_of_dark_lines(series) / usual if usual > 0 else float("nan")
    if ratio <= IN_PHASE:
        return FatPhaseFound("in-phase", ratio)
    return FatPhaseFound("opposed" if ratio >= OPPOSED else "unknown", ratio)


def depth_of_dark_lines(image: FloatArray) -> float:
    """Depth of lines one voxel wide that are darker than both sides, as a share of the body's signal.

    Parameters
    ----------
    image
        Magnitude image ``(D, h, w)``.

    Returns
    -------
        The root mean square over the body without its rim, summed over rows and columns; NaN if that is too small.
    """
    body = ndimage.binary_erosion(body_mask(image), np.ones((1, 3, 3)))
    if np.count_nonzero(body) < _FEWEST_VOXELS:
        return float("nan")
    depth = np.zeros_like(image)
    for axis in (1, 2):
        sides = np.minimum(np.roll(image, 1, axis), np.roll(image, -1, axis))
        depth += np.maximum(0, sides - image)
    return float(np.sqrt(np.mean(np.square(depth[body]))) / np.mean(image[body]))
