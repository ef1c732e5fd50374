"""Pairs of network input and target, made from high-resolution volumes, and batches of patches of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..acquisition.interpolation import upsample, zero_filled
from ..acquisition.kspace import crop_kspace, to_sub_pixels
from ..inference.patches import Position, extract
from ..models.checkpoints import ModelInfo
from ..networks.normalisation import intensity_scale
from ..volume import FloatArray, Shape


@dataclass(frozen=True)
class Pair:
    """What the network gets and what it should give, normalised.

    Parameters
    ----------
    input
        Image ``(D, H, W)``.
    target
        Image of the same shape; of a network that ends in sub-pixels what zero-filling lacks, ``(D, n * H, n * W)``.
    """

    input: FloatArray
    target: FloatArray

    @property
    def factor(self) -> int:
        """Voxels of the target per voxel of the input, along rows and along columns."""
        return self.target.shape[1] // self.input.shape[1]

    @property
    def lack(self) -> float:
        """Sum over voxels of what the network has to add, regardless of sign."""
        return float(np.nansum(np.abs(self.target - self.input if self.factor == 1 else self.target)))


PairMaker = Callable[[FloatArray, tuple[int, int]], Pair]
"""Makes a pair of a high-resolution image and the rows and columns of its k-space to keep."""

CANDIDATES = 4
"""Places that `detailed_position` chooses among."""


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


def make_sub_pixel_pair(target: FloatArray, kept: tuple[int, int], factor: int, normalisation: str) -> Pair:
    """Degrade a high-resolution image, for a network that gets the low-resolution image and gives sub-pixels.

    Parameters
    ----------
    target
        High-resolution image ``(D, H, W)``.
    kept
        Rows and columns of k-space that are kept.
    factor
        See `networks.sub_pixel.SubPixelNetwork`.
    normalisation
        As the model wants it; see `recipes.Recipe`.

    Returns
    -------
        Pair of the acquired image ``(D, h, w)`` and what zero-filling it lacks, ``(D, factor * h, factor * w)``.
    """
    acquired = crop_kspace(target, kept)
    missing = target - zero_filled(acquired, (target.shape[1], target.shape[2]))
    scale = np.float32(intensity_scale(acquired, normalisation))
    return Pair(acquired / scale, to_sub_pixels(missing, kept, factor) / scale)


def pair_maker(info: ModelInfo) -> PairMaker:
    """Return what makes pairs for a model."""
    if info.factor > 1:
        return lambda target, kept: make_sub_pixel_pair(target, kept, info.factor, info.normalisation)
    return lambda target, kept: make_pair(target, kept, info.interpolation, info.normalisation)


def fit_to_patch(pair: Pair, patch: Shape) -> Pair:
    """Grow a pair so that a patch of its input fits, repeating the outermost voxels."""
    missing = [max(0, wanted - size) for wanted, size in zip(patch, pair.input.shape, strict=True)]
    if not any(missing):
        return pair

    def grown(image: FloatArray, factor: int) -> FloatArray:
        scales = (1, factor, factor)
        widths = [(s * (m // 2), s * (m - m // 2)) for m, s in zip(missing, scales, strict=True)]
        return np.pad(image, widths, mode="edge")

    return Pair(grown(pair.input, 1), grown(pair.target, pair.factor))


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
    return as_tensors([patch_at(pairs[n], where, patch) for n, where in places])


def place_in_target(position: Position, patch: Shape, factor: int) -> tuple[slice, slice, slice]:
    """Where the target of a patch of the input lies, if each voxel of the input is `factor` x `factor` of its own."""
    scales = (1, factor, factor)
    z, y, x = (slice(n * at, n * (at + size)) for at, size, n in zip(position, patch, scales, strict=True))
    return z, y, x


def patch_at(pair: Pair, position: Position, patch: Shape) -> Pair:
    """Views of the patch of a pair's input at a position, and of what lies there in its target."""
    return Pair(extract(pair.input, position, patch), pair.target[place_in_target(position, patch, pair.factor)])


def random_position(pair: Pair, patch: Shape, rng: np.random.Generator) -> Position:
    """First voxel of a patch of a pair's input, from anywhere."""
    z, y, x = (int(rng.integers(size - n + 1)) for size, n in zip(pair.input.shape, patch, strict=True))
    return z, y, x


def detailed_position(pair: Pair, patch: Shape, rng: np.random.Generator) -> Position:
    """Of some random positions the one where the input lacks most: the background of a scan has little to teach."""
    some = [random_position(pair, patch, rng) for _ in range(CANDIDATES)]
    return max(some, key=lambda position: patch_at(pair, position, patch).lack)


def mirrored(pair: Pair, rng: np.random.Generator) -> Pair:
    """A patch mirrored at random along every axis that its target allows."""
    axes = tuple(axis for axis in range(3) if rng.random() < 0.5)
    if pair.factor > 1:  # sub-pixels lie on one side of their voxel, so only slices can be mirrored
        axes = tuple(axis for axis in axes if axis == 0)
    return Pair(np.flip(pair.input, axes), np.flip(pair.target, axes))


def random_patch(pair: Pair, patch: Shape, rng: np.random.Generator) -> Pair:
    """A patch of a pair from a random place, mirrored at random.

    Parameters
    ----------
    pair
        Its input is at least as large as a patch.
    patch
        Voxels of the patch of the input.
    rng
        Source of chance.
    """
    return mirrored(patch_at(pair, random_position(pair, patch, rng), patch), rng)


def detailed_patch(pair: Pair, patch: Shape, rng: np.random.Generator) -> Pair:
    """As `random_patch`, but where the input lacks much; see `detailed_position`."""
    return mirrored(patch_at(pair, detailed_position(pair, patch, rng), patch), rng)


def as_tensors(patches: Sequence[Pair]) -> tuple[Tensor, Tensor]:
    """Patches of one size as tensors ``(B, 1, d, h, w)``: inputs and targets."""
    inputs, targets = (np.stack([getattr(p, side) for p in patches])[:, None] for side in ("input", "target"))
    return torch.from_numpy(inputs), torch.from_numpy(targets)
