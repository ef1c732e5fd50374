"""What a fine-tuning learns from: which patches of the planning scan, in which order, for how long."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..errors import InputError
from ..inference.patches import patch_positions
from ..models.checkpoints import Model
from ..models.recipes import PAPER, Recipe, fine_tuning_recipe
from ..networks.training_pair import TrainingPair
from ..volume import Volume, shape_of
from .held_back import HeldBack, at_size, hold_back, with_gaps
from .needles import with_needles
from .optimisation import Batches, Schedule
from .pairs import as_tensors, batch_at, detailed_patch, fit_to_patch, pair_maker
from .placements import random_placement

NEEDLES = 0.25
"""Share of the patches from a planning scan into which needles were drawn."""

PLACEMENTS = 16
"""How many such scans one fine-tuning sees, one after the other."""


@dataclass(frozen=True)
class Plan:
    """What a budget means for a prior.

    Parameters
    ----------
    recipe
        Whose loss and rate count.
    schedule
        Length and rate.
    batches
        What to learn from.
    held_back
        Places that nothing is learnt at, if there are any.
    """

    recipe: Recipe
    schedule: Schedule
    batches: Batches
    held_back: HeldBack | None = None


def fine_tuning_plan(prior: Volume, base: Model, kept: tuple[int, int], steps: int | None, seed: int) -> Plan:
    """Plan the fine-tuning of a model.

    Parameters
    ----------
    prior
        Planning scan ``(D, H, W)``.
    base
        The model to begin with.
    kept
        Rows and columns of the prior's k-space to keep.
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
        return _random_patches(prior, base, kept, steps, seed)
    if base.info.architecture != PAPER.network:
        raise InputError("The paper's budget is for its own network; choose another budget for this model.")
    return _papers_epoch(pair_maker(base.info)(prior.data, kept), seed)


def _random_patches(prior: Volume, base: Model, kept: tuple[int, int], steps: int, seed: int) -> Plan:
    """Patches from where detail lacks, some of them with needles, some of the scan as it might have lain."""
    recipe = _for_few_slices(fine_tuning_recipe(base.info.architecture), prior.shape[0])
    make = pair_maker(base.info)
    pierced = with_needles(prior.data, prior.geometry.spacing, np.random.default_rng([seed, 5]))
    plain, with_some = make(prior.data, kept), make(pierced, kept)
    judge, held = hold_back(plain, recipe.patch, np.random.default_rng([seed, 6]))
    held = at_size(held, shape_of(prior.data)[1:])

    def known(pair: TrainingPair, held: NDArray[np.bool_]) -> TrainingPair:
        return fit_to_patch(with_gaps(pair, at_size(held, shape_of(pair.target)[1:])), recipe.patch)

    plain, with_some = known(plain, held), known(with_some, held)

    @lru_cache(maxsize=1)  # one at a time, for memory
    def moved(number: int) -> TrainingPair:
        rng = np.random.default_rng([seed, 7, number])
        placement = random_placement(prior.shape, kept, rng)
        image = pierced if rng.random() < NEEDLES else prior.data
        return known(make(placement.of(image), kept), placement.of(held))

    def batch(step: int) -> tuple[Tensor, Tensor]:
        rng = np.random.default_rng([seed, 4, step])

        def source() -> TrainingPair:
            if rng.random() < recipe.shifted:
                return moved(step * PLACEMENTS // steps)
            return with_some if rng.random() < NEEDLES else plain

        return as_tensors([detailed_patch(source(), recipe.patch, rng) for _ in range(recipe.batch)])

    return Plan(recipe, Schedule(steps, recipe.fine_tuning_learning_rate), batch, judge)


def _for_few_slices(recipe: Recipe, depth: int) -> Recipe:
    """A recipe whose patches are not made of repeated slices for the most part, where it allows thin ones.

    From single slices of a heart and a pelvis the network of `recipes.FAST` then brings back 39% and 40% of what lacks,
    rather than 31% and 28% from patches of twelve times the same slice.
    """
    thin = recipe.thin_patches and 2 * depth < recipe.patch[0]
    return replace(recipe, patch=(depth, *recipe.patch[1:])) if thin else recipe


def _papers_epoch(pair: TrainingPair, seed: int) -> Plan:
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
    return Plan(recipe, Schedule(steps, recipe.fine_tuning_learning_rate, decay=False), batch)
