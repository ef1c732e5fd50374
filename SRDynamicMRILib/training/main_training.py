"""Main training: one model from many high-resolution volumes (paper, section 2.3)."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .. import __version__
from ..checkpoints import Model, ModelInfo
from ..errors import InputError
from ..networks.unet import UNet3D
from ..perceptual_loss import loss_named
from ..progress import Progress
from ..recipes import FRACTIONS, Recipe
from .datasets import PairStream, Source, find_series, real_source, synthetic_source
from .optimisation import Schedule, optimise
from .pairs import Pair, fit_to_patch, random_batch

POOL = 32
"""Pairs that patches are drawn from at a time."""

STEPS_PER_PAIR = 8
"""Steps after which the oldest pair is replaced: making a pair takes as long as a few steps."""

WARM_UP = 100


class _Pool:
    """The latest `POOL` pairs of a stream; the pool of a step depends on the step alone."""

    def __init__(self, stream: PairStream, recipe: Recipe) -> None:
        self._stream, self._recipe = stream, recipe
        self._pairs: dict[int, Pair] = {}

    def at(self, step: int) -> list[Pair]:
        first = step // STEPS_PER_PAIR
        wanted = range(first, first + POOL)
        self._pairs = {n: self._pairs[n] for n in wanted if n in self._pairs}
        for number in wanted:
            if number not in self._pairs:
                self._pairs[number] = fit_to_patch(self._stream.pair(number), self._recipe.patch)
        return list(self._pairs.values())


@dataclass(frozen=True)
class MainTraining:
    """What to train on and for how long.

    Parameters
    ----------
    folders
        Folders of real volumes and series.
    synthetic
        Number of synthetic abdomens to train on as well.
    fractions
        Shares of k-space that the one model is for.
    steps
        Optimisation steps.
    seed
        Seeds weights, data and their order.
    features
        Feature maps of the first level; None takes the recipe's.
    """

    folders: Sequence[Path] = ()
    synthetic: int = 0
    fractions: Sequence[float] = FRACTIONS
    steps: int = 4000
    seed: int = 0
    features: int | None = None


def train(
    task: MainTraining,
    recipe: Recipe,
    device: torch.device,
    progress: Progress | None = None,
    state_file: Path | None = None,
    resume: bool = False,
    perceptual_network: Path | None = None,
) -> Model:
    """Train a base model.

    Parameters
    ----------
    task
        What to train on and for how long.
    recipe
        How.
    device
        Where to compute.
    progress
        Told about every step.
    state_file
        Where to keep the state of an unfinished training.
    resume
        Whether to go on from the state file, if there is one.
    perceptual_network
        Weights of the perceptual loss, if the recipe has one.

    Raises
    ------
    InputError
        If there is nothing to train on, or what there is cannot be read.
    """
    progress = progress or Progress()
    if task.steps < 1 or (task.features is not None and task.features < 1) or task.synthetic < 0:
        raise InputError("Training needs at least one step and one feature map; give larger numbers.")
    sources: list[tuple[Source, float]] = []
    if task.folders:
        progress.stage("Reading volumes")
        sources.append((real_source(find_series(task.folders)), 1.0))
    if task.synthetic:
        progress.stage("Making synthetic volumes")
        sources.append((synthetic_source(task.synthetic, task.seed, progress), 1.0))
    if not sources:
        raise InputError("There is nothing to train on; give folders of volumes or a number of synthetic ones.")
    stream = PairStream(sources, task.fractions, recipe.interpolation, recipe.normalisation, task.seed)
    pool = _Pool(stream, recipe)

    def batches(step: int) -> tuple[Tensor, Tensor]:
        rng = np.random.default_rng([task.seed, 3, step])
        return random_batch(pool.at(step), recipe, rng)

    torch.manual_seed(task.seed)
    features = recipe.features if task.features is None else task.features
    network = UNet3D(features)
    if recipe.residual:  # begin near the interpolated image itself
        network.last.weight.data *= 0.05
    progress.stage("Main training")
    final = optimise(
        network,
        batches,
        loss_named(recipe.loss, device, perceptual_network),
        Schedule(task.steps, recipe.learning_rate, warm_up=WARM_UP),
        residual=recipe.residual,
        device=device,
        progress=progress,
        state_file=state_file,
        resume=resume,
        identity={"task": repr(task), "recipe": repr(recipe)},
    )
    names = [*(folder.name for folder in task.folders)]
    if task.synthetic:
        names.append(f"{task.synthetic} synthetic abdomens")
    info = ModelInfo(
        features=features,
        fractions=tuple(task.fractions),
        interpolation=recipe.interpolation,
        normalisation=recipe.normalisation,
        residual=recipe.residual,
        data_consistency=recipe.data_consistency,
        loss=recipe.loss,
        training_data=", ".join(names),
        recipe=recipe.name,
        seed=task.seed,
        steps=task.steps,
        version=__version__,
        created=datetime.date.today().isoformat(),
        metrics={"training loss": final},
    )
    return Model(network, info)
