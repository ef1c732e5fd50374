"""Pairs of network input and target, made from high-resolution volumes, and batches of patches of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..interpolation import upsample
from ..kspace import crop_kspace
from ..normalisation import intensity_scale
from ..patches import Position, extract, pad_to
from ..volume import FloatArray, Shape


@dataclass(frozen=True)
class Pair:
    """What the network gets and what it should give, normalised, both ``(D, H, W)``."""

    input: FloatArray
    target: FloatArray


def make_pair(target: FloatArray, kept: tuple[int, int], interpolation: str, normalisation: str) -> Pair:
    """Degrade a high-resolution image as a fast acquisition would and interpolate it back.

    Parameters
    ----------
    target
        High-resolution image ``(D, H, W)``.
    kept
        Rows and columns of k-space that are kept.
    interpolation, normalisation
        As the model wants them; see `recipes.Recipe`.
    """
    acquired = crop_kspace(target, kept)
    interpolated = upsample(acquired, (target.shape[1], target.shape[2]), interpolation)
    if normalisation == "maximum":
        return Pair(
            interpolated / np.float32(intensity_scale(interpolated, normalisation)),
            target / np.float32(intensity_scale(target, normalisation)),
        )
    scale = np.float32(intensity_scale(acquired, normalisation))
    return Pair(interpolated / scale, target / scale)


def fit_to_patch(pair: Pair, patch: Shape) -> Pair:
    """Grow a pair so that a patch fits, repeating the outermost voxels."""
    return Pair(pad_to(pair.input, patch)[0], pad_to(pair.target, patch)[0])


def batch_at(pairs: list[Pair], places: list[tuple[int, Position]], patch: Shape) -> tuple[Tensor, Tensor]:
    """Patches of pairs as tensors ``(B, 1, d, h, w)``: inputs and targets.

    Parameters
    ----------
    pairs
        Pairs, each at least as large as a patch.
    places
        For every patch the number of its pair and its first voxel.
    patch
        Voxels of a patch.
    """
    return as_tensors(
        [Pair(extract(pairs[n].input, where, patch), extract(pairs[n].target, where, patch)) for n, where in places]
    )


def random_patch(pair: Pair, patch: Shape, rng: np.random.Generator) -> Pair:
    """A patch of a pair from a random place, mirrored at random along every axis.

    Parameters
    ----------
    pair
        At least as large as a patch.
    patch
        Voxels of the patch.
    rng
        Source of chance.
    """
    room = [size - length for size, length in zip(pair.target.shape, patch, strict=True)]
    z, y, x = (int(rng.integers(r + 1)) for r in room)
    axes = tuple(axis for axis in range(3) if rng.random() < 0.5)
    inputs, targets = (extract(image, (z, y, x), patch) for image in (pair.input, pair.target))
    return Pair(np.flip(inputs, axes), np.flip(targets, axes))


def as_tensors(patches: Sequence[Pair]) -> tuple[Tensor, Tensor]:
    """Patches of one size as tensors ``(B, 1, d, h, w)``: inputs and targets."""
    inputs, targets = (np.stack([getattr(p, side) for p in patches])[:, None] for side in ("input", "target"))
    return torch.from_numpy(inputs), torch.from_numpy(targets)
