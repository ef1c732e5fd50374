"""What the spectrum of a series would look like behind a window: that of the planning scan, acquired in the same way.

Both show the same anatomy, so the power of their k-space falls alike, wherever the patient lies; another contrast
changes that only slowly. Taking the magnitude takes power away from the edge of k-space, too, and how much depends on
the phase. So the planning scan is given some phases, cut to the acquired matrix, weighted by the window, zero-filled
and made a magnitude: both sides are then degraded alike.
"""

from __future__ import annotations

import numpy as np

from ..geometry import FloatArray, Geometry
from ..volume import Volume
from .acquisition import Acquisition
from .interpolation import high_resolution_grid, resample
from .kspace import ComplexArray, to_image, to_kspace
from .matrices import Matrix, matrix_at_resolution
from .phase import fat_like, smooth_phase
from .simulate import centre_of_kspace, zero_filled_kspace
from .spectrum import Floats, power_in_cells
from .windows import Window

_VOXELS = 2**18
"""Voxels of the slices that are acquired, about."""

_FEWEST, _MOST = 4, 12
"""Slices that are acquired."""


class Reference:
    """A planning scan, ready to be acquired like a series.

    Parameters
    ----------
    samples
        Its acquired samples of centred k-space ``(D, h, w)``, once for each phase.
    stored
        Stored matrix of its field of view.
    magnitude
        Whether the series holds magnitudes.
    partial
        Partial Fourier, as `Acquisition` has it.
    """

    def __init__(self, samples: list[ComplexArray], stored: Matrix, magnitude: bool, partial: float) -> None:
        self._samples, self._stored, self._magnitude, self._partial = samples, stored, magnitude, partial

    def power(self, window: Window, shutter: str, cells: int) -> Floats:
        """Power in cells of k-space behind a window and a shutter ``(phases, cells, cells)``; see `power_in_cells`."""
        images = (self._acquired(samples, window, shutter) for samples in self._samples)
        return np.array([power_in_cells(image, self._matrix, cells)[0] for image in images])

    def image(self, window: Window, shutter: str) -> FloatArray:
        """Image ``(D, m, n)`` that would be stored of some of its slices, with a smooth phase and without noise."""
        return self._acquired(self._samples[min(1, len(self._samples) - 1)], window, shutter)

    @property
    def _matrix(self) -> Matrix:
        return self._samples[0].shape[-2], self._samples[0].shape[-1]

    def _acquired(self, samples: ComplexArray, window: Window, shutter: str) -> FloatArray:
        weights = Acquisition(self._matrix, self._matrix, None, shutter, self._partial, window=window).sample_weights
        image = to_image(zero_filled_kspace(samples * weights, self._stored))
        return np.asarray(np.abs(image) if self._magnitude else image.real, dtype=np.float32)


def reference_of(
    prior: Volume, geometry: Geometry, acquired: Matrix, *, magnitude: bool, partial: float
) -> Reference | None:
    """Make a planning scan ready to be acquired like a series.

    Parameters
    ----------
    prior
        Planning scan ``(D, H, W)``.
    geometry
        Geometry of the series as stored.
    acquired
        Its acquired matrix.
    magnitude
        Whether it holds magnitudes.
    partial
        Partial Fourier, as `Acquisition` has it.

    Returns
    -------
        None if the planning scan lies elsewhere or is too coarse.
    """
    if not prior.geometry.overlaps(geometry):
        return None
    if not prior.geometry.same_orientation(geometry):
        prior = resample(prior, high_resolution_grid(geometry, prior.geometry))
    full = prior.shape[1], prior.shape[2]
    cut = matrix_at_resolution(prior.geometry, geometry.with_matrix(acquired))
    if min(cut) < 2 or cut[0] > full[0] or cut[1] > full[1]:
        return None
    stored = (
        max(cut[0], round(geometry.shape[1] / acquired[0] * cut[0])),
        max(cut[1], round(geometry.shape[2] / acquired[1] * cut[1])),
    )
    image = np.abs(_slices(prior.data, stored[0] * stored[1]))
    samples = []
    for phase in _phases(image) if magnitude else [None]:
        whole = image if phase is None else image * np.exp(np.complex64(1j) * phase)
        samples.append(
            centre_of_kspace(to_kspace(whole), cut) * np.float32(stored[0] * stored[1] / (full[0] * full[1]))
        )
    return Reference(samples, stored, magnitude, partial)


def _slices(image: FloatArray, voxels: int) -> FloatArray:
    """Some slices of a volume, spread over it, of the size to which they are going to be stored."""
    number = min(len(image), max(_FEWEST, min(_MOST, _VOXELS // voxels)))
    chosen = np.unique(np.round(np.linspace(0, len(image) - 1, number + 2)[1:-1]).astype(int))
    return np.asarray(image[chosen], dtype=np.float32)


def _phases(image: FloatArray) -> list[FloatArray | None]:
    """Kinds of phases: none, smooth ones, and with fat opposed to water; always the same draws."""
    rng = np.random.default_rng(0)
    shape = (image.shape[0], image.shape[1], image.shape[2])
    smooth = smooth_phase(shape, rng)
    smooth /= max(float(smooth.std()), 1e-6)
    fat = np.float32(np.pi) * fat_like(image, rng)
    return [None, 2 * smooth, 2 * smooth + fat, 4 * smooth + fat]


__all__ = ["Reference", "reference_of"]
