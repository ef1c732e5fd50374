"""What a fine-tuning learns from: which patches of the planning scan, in which order, for how long."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..acquisition.acquisition import Acquisition
from ..errors import InputError
from ..geometry import FloatArray, shape_of
from ..inference.patches import patch_positions
from ..models.checkpoints import Model
from ..models.recipes import PAPER, Recipe, fine_tuning_recipe
from ..networks.training_pair import TrainingPair
from ..volume import Volume
from .acquisitions import simulated
from .augmentation import random_shift_and_mirror
from .fine_tuning_validation import ValidationPatches, choose_validation_patches, resize_mask, without_targets
from .needles import with_needles
from .optimisation import Batches, Schedule
from .pairs import as_tensors, batch_at, detailed_patch, fit_to_patch, pair_maker

NEEDLES = 0.25
"""Share of the patches from a planning scan into which needles were drawn."""

SHIFTED_SCANS = 16
"""Shifted and mirrored planning scans that one fine-tuning sees, one after the other."""

SHIFTED_SCANS_OF_SCANNER = 32
"""The same where each has a phase and noise of its own."""


@dataclass(frozen=True)
class FineTuningPlan:
    """What a budget means for a prior.

    Parameters
    ----------
    recipe
        Whose loss and rate count.
    schedule
        Length and rate.
    batches
        What to learn from.
    validation
        Patches that tell how it goes, if there are any.
    """

    recipe: Recipe
    schedule: Schedule
    batches: Batches
    validation: ValidationPatches | None = None


def fine_tuning_plan(
    prior: Volume, base: Model, acquisition: Acquisition, steps: int | None, seed: int
) -> FineTuningPlan:
    """Plan the fine-tuning of a model.

    Parameters
    ----------
    prior
        Planning scan ``(D, H, W)``.
    base
        The model to begin with.
    acquisition
        What makes an image like the series' of the prior; its full matrix is the prior's.
    steps
        Optimisation steps; None means the paper's epoch.
    seed
        Seeds what is drawn.

    Raises
    ------
    InputError
        If the paper's epoch is asked for with another network than the paper's.
    """
    if steps is not None:
        return _random_patches(prior, base, acquisition, steps, seed)
    if base.info.architecture != PAPER.network:
        raise InputError("The paper's budget is for its own network; choose another budget for this model.")
    return _papers_epoch(_pair(base, prior.data, acquisition, np.random.default_rng([seed, 8])), seed)


def _pair(base: Model, image: FloatArray, acquisition: Acquisition, rng: np.random.Generator) -> TrainingPair:
    """What the model is to learn from an image ``(D, H, W)``, with a phase and noise of chance."""
    return pair_maker(base.info)(image, simulated(image, acquisition, rng))


def _random_patches(prior: Volume, base: Model, acquisition: Acquisition, steps: int, seed: int) -> FineTuningPlan:
    """Patches from where detail lacks, some of them with needles, some of the scan shifted and mirrored."""
    recipe = _for_few_slices(fine_tuning_recipe(base.info.architecture), prior.shape[0])
    pierced = with_needles(prior.data, prior.geometry.spacing, np.random.default_rng([seed, 5]))
    plain, with_some = (
        _pair(base, image, acquisition, np.random.default_rng([seed, 8, number]))
        for number, image in enumerate((prior.data, pierced))
    )
    validation, masked = choose_validation_patches(plain, recipe.patch, np.random.default_rng([seed, 6]))
    masked = resize_mask(masked, shape_of(prior.data)[1:])

    def known(pair: TrainingPair, masked: NDArray[np.bool_]) -> TrainingPair:
        return fit_to_patch(without_targets(pair, resize_mask(masked, shape_of(pair.target)[1:])), recipe.patch)

    plain, with_some = known(plain, masked), known(with_some, masked)

    @lru_cache(maxsize=1)  # one at a time, for memory
    def shifted(number: int) -> TrainingPair:
        rng = np.random.default_rng([seed, 7, number])
        change = random_shift_and_mirror(prior.shape, acquisition.acquired_matrix, rng)
        image = change.apply(pierced if rng.random() < NEEDLES else prior.data)
        return known(_pair(base, image, acquisition, rng), change.apply(masked))

    scans = SHIFTED_SCANS if acquisition.is_linear else SHIFTED_SCANS_OF_SCANNER

    def batch(step: int) -> tuple[Tensor, Tensor]:
        rng = np.random.default_rng([seed, 4, step])

        def source() -> TrainingPair:
            if rng.random() < recipe.shifted:
                return shifted(step * scans // steps)
            return with_some if rng.random() < NEEDLES else plain

        return as_tensors([detailed_patch(source(), recipe.patch, rng) for _ in range(recipe.batch)])

    return FineTuningPlan(recipe, Schedule(steps, recipe.fine_tuning_learning_rate), batch, validation)


def _for_few_slices(recipe: Recipe, depth: int) -> Recipe:
    """A recipe whose patches are not made of repeated slices for the most part, where it allows thin ones.

    From single slices of a heart and a pelvis the network of `recipes.FAST` then brings back 39% and 40% of what lacks,
    rather than 31% and 28% from patches of twelve times the same slice.
    """
    thin = recipe.thin_patches and 2 * depth < recipe.patch[0]
    return replace(recipe, patch=(depth, *recipe.patch[1:])) if thin else recipe


def _papers_epoch(pair: TrainingPair, seed: int) -> FineTuningPlan:
    """All patches of the paper's grid once, in random order."""
    recipe = PAPER
    pairs = [fit_to_patch(pair, recipe.patch)]
    stride = recipe.fine_tuning_stride or recipe.patch
    positions = patch_positions(shape_of(pairs[0].target), recipe.patch, stride)
    order = np.random.default_rng([seed, 4]).permutation(len(positions))

    def batch(step: int) -> tuple[Tensor, Tensor]:
        chosen = order[step * recipe.batch : (step + 1) * recipe.batch]
        return batch_at(pairs, [(0, positions[n]) for n in chosen], recipe.patch)

    steps = math.ceil(len(positions) / recipe.batch)
    return FineTuningPlan(recipe, Schedule(steps, recipe.fine_tuning_learning_rate, decay=False), batch)
