"""Pairs of network input and target, made from high-resolution volumes, and batches of patches of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..interpolation import upsample
from ..kspace import crop_kspace
from ..normalisation import intensity_scale
from ..patches import Position, extract, pad_to
from ..recipes import Recipe
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
    inputs = np.stack([extract(pairs[n].input, position, patch) for n, position in places])
    targets = np.stack([extract(pairs[n].target, position, patch) for n, position in places])
    return torch.from_numpy(inputs[:, None]), torch.from_numpy(targets[:, None])


def random_batch(
    pairs: list[Pair], recipe: Recipe, rng: np.random.Generator, transpose: bool = False
) -> tuple[Tensor, Tensor]:
    """Patches at random places, mirrored at random along every axis.

    Parameters
    ----------
    pairs
        Pairs to draw from, each with the same probability.
    recipe
        Gives the patch and the batch size.
    rng
        Source of chance.
    transpose
        Whether rows and columns may be exchanged too (patches must be square then).
    """
    places = []
    for _ in range(recipe.batch):
        number = int(rng.integers(len(pairs)))
        room = [size - length for size, length in zip(pairs[number].target.shape, recipe.patch, strict=True)]
        z, y, x = (int(rng.integers(r + 1)) for r in room)
        places.append((number, (z, y, x)))
    inputs, targets = batch_at(pairs, places, recipe.patch)
    axes = [axis for axis in (2, 3, 4) if rng.random() < 0.5]
    inputs, targets = inputs.flip(axes), targets.flip(axes)
    if transpose and rng.random() < 0.5:
        inputs, targets = inputs.transpose(3, 4), targets.transpose(3, 4)
    return inputs.contiguous(), targets.contiguous()
