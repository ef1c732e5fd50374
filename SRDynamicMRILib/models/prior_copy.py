"""The small copy of its planning scan that a fine-tuned model holds, so that any series can be compared with it."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..acquisition.kspace import crop_kspace
from ..geometry import Geometry
from ..volume import Volume

LARGEST = 64
"""Voxels of a copy along each axis, at most: enough to tell one anatomy from another, and 256 KiB at most."""

TENSOR = "planning scan"
"""Name of the copy's voxels beside the weights of the model."""

_LEVELS = 255
_LARGEST_NUMBER = 1e15


@dataclass(frozen=True)
class PriorCopy:
    """A planning scan in low resolution, and the hash of the scan itself.

    Parameters
    ----------
    volume
        Whole numbers from 0 to 255 ``(D, h, w)``, at most `LARGEST` along each axis.
    sha256
        Of the planning scan as it was read; see `voxels_sha256`.
    """

    volume: Volume
    sha256: str

    @classmethod
    def of(cls, prior: Volume) -> PriorCopy:
        """Make the copy of a planning scan ``(D, H, W)``."""
        small = coarse(prior)
        low, high = (float(each) for each in np.percentile(small.data, (0.1, 99.9)))
        levels = _LEVELS * np.clip((small.data - low) / (high - low if high > low else 1.0), 0, 1)
        return cls(small.with_data(np.rint(levels)), voxels_sha256(prior))

    @property
    def tensor(self) -> Tensor:
        """The voxels as uint8 ``(D, h, w)``."""
        return torch.from_numpy(self.volume.data.astype(np.uint8))

    def to_json(self) -> str:
        """Everything but the voxels, keys sorted."""
        place = self.volume.geometry
        facts = {"sha256": self.sha256, "spacing": place.spacing, "origin": place.origin, "direction": place.direction}
        return json.dumps(facts, sort_keys=True)

    @classmethod
    def read(cls, voxels: Tensor, text: str) -> PriorCopy:
        """Put together what `tensor` and `to_json` gave.

        Raises
        ------
        ValueError
            If this is no such copy; the message says what is wrong.
        """
        if voxels.dtype is not torch.uint8 or voxels.ndim != 3 or not all(1 <= n <= LARGEST for n in voxels.shape):
            raise ValueError("the copy of its planning scan is no small volume of whole numbers")
        facts = json.loads(text)
        if not isinstance(facts, dict) or not isinstance(facts.get("sha256"), str):
            raise ValueError("the description of its planning scan is damaged")
        depth, height, width = voxels.shape
        x, y, z = _numbers(facts, "spacing", 3)
        left, back, up = _numbers(facts, "origin", 3)
        direction = _numbers(facts, "direction", 9)
        volume = abs(float(np.linalg.det(np.reshape(direction, (3, 3)))))
        if min(x, y, z) <= 0 or not 0.5 < volume < 2:  # 1 but for rounding
            raise ValueError("the geometry of its planning scan makes no sense")
        geometry = Geometry((depth, height, width), (x, y, z), (left, back, up), direction)
        return cls(Volume(voxels.numpy(), geometry), facts["sha256"])


def _numbers(facts: Mapping[str, Any], name: str, count: int) -> tuple[float, ...]:
    values = facts.get(name)
    if not isinstance(values, list) or len(values) != count:
        raise ValueError(f"the {name} of its planning scan is not {count} numbers")
    if not all(type(value) in (int, float) and abs(value) < _LARGEST_NUMBER for value in values):
        raise ValueError(f"the {name} of its planning scan is not {count} numbers")
    return tuple(float(value) for value in values)


def voxels_sha256(volume: Volume) -> str:
    """SHA-256 of the matrix and the voxels of a volume ``(D, H, W)``, hexadecimal; its geometry does not count."""
    digest = hashlib.sha256(repr(volume.shape).encode())
    digest.update(np.ascontiguousarray(volume.data).tobytes())
    return digest.hexdigest()


def coarse(volume: Volume) -> Volume:
    """Return the volume at a resolution of at most `LARGEST` voxels along each axis.

    In plane the centre of k-space is kept, the same share of rows and columns; slices are averaged.
    """
    depth, height, width = volume.shape
    share = min(1.0, LARGEST / max(height, width))
    size = max(1, round(height * share)), max(1, round(width * share))
    small = Volume(crop_kspace(volume.data, size), volume.geometry.with_matrix(size)) if share < 1 else volume
    step = math.ceil(depth / LARGEST)
    if step == 1:
        return small
    slabs = small.data[: depth // step * step].reshape(-1, step, *size).mean(axis=1)
    x, y, z = small.geometry.spacing
    left, back, up = (float(each) for each in small.geometry.position((0, 0, (step - 1) / 2)))
    geometry = replace(small.geometry, shape=slabs.shape, spacing=(x, y, z * step), origin=(left, back, up))
    return Volume(slabs, geometry)
