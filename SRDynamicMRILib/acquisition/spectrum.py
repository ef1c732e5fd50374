"""Power of images by spatial frequency, and what rounding contributes to it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import fft

Floats = NDArray[np.float64]

EMPTY = 1e-11
"""Power relative to the strongest to which single precision fills empty frequencies."""

ROUNDING_MARGIN = 3.0
"""Times the power of rounding that an empty frequency may have."""

_SAME = 1e-6
"""Intensities that differ by less, as a share of the largest, are the same to single precision."""


def power_by_frequency(image: NDArray[np.floating], axis: int) -> Floats:
    """Power of the frequencies ``0 .. N // 2`` of the rows (0) or columns (1) of ``(D, H, W)``, means over all else."""
    # By Parseval's theorem the other axis need not be transformed.
    spectrum = np.fft.rfft(image.astype(np.float64), axis=axis + 1)
    return np.asarray(np.square(np.abs(spectrum)).mean(axis=(0, 2 - axis)), dtype=np.float64)


def level_by_frequency(image: NDArray[np.floating], axis: int) -> Floats:
    """The same in dB, relative to the strongest frequency."""
    power = power_by_frequency(image, axis)
    tiny = float(np.finfo(np.float64).tiny)
    return np.asarray(10 * np.log10(power / max(float(np.max(power)), tiny) + tiny), dtype=np.float64)


def power_in_cells(
    image: NDArray[np.floating], acquired: tuple[int, int], cells: int
) -> tuple[Floats, NDArray[np.intp]]:
    """Mean power by the distance of rows and of columns from the centre of k-space, and how many samples it is from.

    Parameters
    ----------
    image
        Image ``(D, m, n)``.
    acquired
        Acquired rows and columns; beyond them nothing counts.
    cells
        Cells between the centre and the edge of k-space, along either axis.

    Returns
    -------
        Two arrays ``(cells, cells)``.
    """
    power = np.square(np.abs(fft.rfft2(image))).mean(axis=0, dtype=np.float64)
    frequencies = fft.fftfreq(image.shape[1]), fft.rfftfreq(image.shape[2])
    places = []
    for each, size, lines in zip(frequencies, image.shape[1:], acquired, strict=True):
        distance = np.abs(each * size) / (lines / 2)
        places.append(np.minimum((distance * cells).astype(int), cells))
    index = (places[0][:, None] * (cells + 1) + places[1][None]).ravel()
    total, shape = (cells + 1) ** 2, (cells + 1, cells + 1)
    number = np.bincount(index, minlength=total)
    mean = np.bincount(index, power.ravel(), total) / np.maximum(number, 1)
    return mean.reshape(shape)[:-1, :-1], number.reshape(shape)[:-1, :-1]


def rounding_step(image: NDArray[np.floating]) -> float:
    """Least difference of two intensities of an image: the step to which they were rounded."""
    steps = np.diff(np.unique(image))
    steps = steps[steps > _SAME * float(np.abs(image).max())]
    return float(steps.min()) if steps.size else 0.0


def is_signed(image: NDArray[np.floating]) -> bool:
    """Whether an image has intensities below 0, beyond rounding: no magnitude has."""
    return float(image.min()) < -1e-4 * float(np.abs(image).max())


def rounding_of_square(image: NDArray[np.floating], axis: int) -> float:
    """Power at every frequency, as `power_by_frequency` has it, that rounding leaves in the square of an image.

    Rounding by a step s adds noise of variance ``s^2 / 12``, and to the square twice the intensity times that.
    """
    squares = float(np.mean(np.square(image, dtype=np.float64)))
    return image.shape[axis + 1] * 4 * squares * rounding_step(image) ** 2 / 12
