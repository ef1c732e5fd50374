"""The intensity that a network sees as 1."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def intensity_scale(low_resolution: NDArray[np.floating], normalisation: str) -> float:
    """Intensity of an image of any shape that becomes 1 in the network; see `recipes.Recipe` for `normalisation`."""
    if normalisation == "maximum":
        scale = float(np.max(low_resolution))
    else:
        scale = float(np.percentile(low_resolution, 99.9))
    return scale if scale > 0 else 1.0
