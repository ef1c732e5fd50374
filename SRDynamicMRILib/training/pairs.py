"""Pairs of network input and target, made from high-resolution volumes, and batches of patches of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from ..acquisition.stored import StoredImage
from ..geometry import FloatArray, Shape
from ..inference.patches import Position, extract
from ..models.model_info import ModelInfo
from ..networks.registry import network_named
from ..networks.training_pair import TrainingPair

PairMaker = Callable[[FloatArray, StoredImage], TrainingPair]
"""Makes a pair of a high-resolution image and the low-resolution one."""

CANDIDATES = 4
"""Places that `detailed_position` chooses among."""


def pair_maker(info: ModelInfo) -> PairMaker:
    """Return what makes pairs for a model."""
    network = network_named(info.architecture)
    return lambda target, stored: network.training_pair(
        target, stored, info.factor, info.interpolation, info.normalisation
    )


def fit_to_patch(pair: TrainingPair, patch: Shape) -> TrainingPair:
    """Grow a pair so that a patch of its input fits, repeating the outermost voxels."""
    missing = [max(0, wanted - size) for wanted, size in zip(patch, pair.input.shape[-3:], strict=True)]
    if not any(missing):
        return pair

    def grown(image: FloatArray, factor: int) -> FloatArray:
        scales = (1, factor, factor)
        widths = [(s * (m // 2), s * (m - m // 2)) for m, s in zip(missing, scales, strict=True)]
        return np.pad(image, [(0, 0)] * (image.ndim - 3) + widths, mode="edge")

    return replace(pair, input=grown(pair.input, 1), target=grown(pair.target, pair.factor))


def batch_at(pairs: list[TrainingPair], places: list[tuple[int, Position]], patch: Shape) -> tuple[Tensor, Tensor]:
    """Patches of pairs as tensors: inputs ``(B, C, d, h, w)`` and targets ``(B, 1, d, n * h, n * w)``.

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


def patch_at(pair: TrainingPair, position: Position, patch: Shape) -> TrainingPair:
    """Views of the patch of a pair's input at a position, and of what lies there in its target."""
    place = place_in_target(position, patch, pair.factor)
    return replace(pair, input=extract(pair.input, position, patch), target=pair.target[place])


def random_position(pair: TrainingPair, patch: Shape, rng: np.random.Generator) -> Position:
    """First voxel of a patch of a pair's input, from anywhere."""
    z, y, x = (int(rng.integers(size - n + 1)) for size, n in zip(pair.input.shape[-3:], patch, strict=True))
    return z, y, x


def detailed_position(pair: TrainingPair, patch: Shape, rng: np.random.Generator) -> Position:
    """Of some random positions the one where the input lacks most: the background of a scan has little to teach."""
    some = [random_position(pair, patch, rng) for _ in range(CANDIDATES)]
    return max(some, key=lambda position: patch_at(pair, position, patch).lack)


def mirrored(pair: TrainingPair, rng: np.random.Generator) -> TrainingPair:
    """A patch mirrored at random along the axes that allow it."""
    drawn = [axis for axis in range(3) if rng.random() < 0.5]
    axes = tuple(axis for axis in drawn if axis in pair.mirror_axes)
    from_the_end = [axis - 3 for axis in axes]
    return replace(pair, input=np.flip(pair.input, from_the_end), target=np.flip(pair.target, from_the_end))


def random_patch(pair: TrainingPair, patch: Shape, rng: np.random.Generator) -> TrainingPair:
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


def detailed_patch(pair: TrainingPair, patch: Shape, rng: np.random.Generator) -> TrainingPair:
    """As `random_patch`, but where the input lacks much; see `detailed_position`."""
    return mirrored(patch_at(pair, detailed_position(pair, patch, rng), patch), rng)


def as_tensors(patches: Sequence[TrainingPair]) -> tuple[Tensor, Tensor]:
    """Patches of one size as tensors: inputs ``(B, C, d, h, w)`` and targets ``(B, 1, d, n * h, n * w)``."""
    inputs, targets = np.stack([patch.input for patch in patches]), np.stack([patch.target for patch in patches])
    return torch.from_numpy(inputs if inputs.ndim == 5 else inputs[:, None]), torch.from_numpy(targets[:, None])
