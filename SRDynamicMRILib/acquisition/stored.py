"""A low-resolution image as it is stored, with the acquisition that it comes from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..geometry import FloatArray
from .acquisition import Acquisition, check_matrix
from .simulate import stored_image


@dataclass(frozen=True)
class StoredImage:
    """A low-resolution image, and how it was acquired.

    Parameters
    ----------
    data
        Image ``(D, m, n)`` on the stored matrix.
    acquisition
        Its full matrix is that of the image to be made of it.

    Raises
    ------
    InputError
        If the image does not have the stored matrix.
    """

    data: FloatArray
    acquisition: Acquisition

    def __post_init__(self) -> None:
        check_matrix(self.data, self.acquisition.stored_matrix, "stored")

    @classmethod
    def simulated(
        cls,
        image: FloatArray,
        acquisition: Acquisition,
        phase: FloatArray | None = None,
        rng: np.random.Generator | None = None,
    ) -> StoredImage:
        """Simulate what is stored of a high-resolution image ``(D, H, W)``; see `simulate.stored_image`.

        Without noise, phase and magnitude it is `Acquisition.downsample`, to the last bit.
        """
        if acquisition.is_linear and phase is None:
            return cls(acquisition.downsample(image), acquisition)
        return cls(stored_image(image, acquisition, phase=phase, rng=rng), acquisition)

    @cached_property
    def acquired(self) -> FloatArray:
        """The image at the acquired matrix ``(D, h, w)``; see `Acquisition.undo_zero_filling`."""
        return self.acquisition.undo_zero_filling(self.data)
