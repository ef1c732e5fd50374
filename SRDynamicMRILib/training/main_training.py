"""Main training: one model from many high-resolution volumes (paper, section 2.3)."""

from __future__ import annotations

import datetime
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from .. import __version__
from ..errors import InputError
from ..geometry import FloatArray, Shape
from ..losses.registry import loss_named, perceptual_identity
from ..models.checkpoints import Model, weights_sha256
from ..models.model_info import ModelInfo, new_network
from ..models.recipes import FRACTIONS, Recipe
from ..networks.network import SuperResolutionNetwork
from ..networks.registry import network_named
from ..networks.training_pair import TrainingPair
from ..process.distributed import ranks, share
from ..process.precision import Precision
from ..progress import Progress
from .acquisitions import ACQUISITIONS
from .datasets import PairStream, Source, real_source, synthetic_source
from .optimisation import Batches, Schedule, Validation, optimise
from .pairs import as_tensors, fit_to_patch, pair_maker, random_patch
from .subjects import TrainingSubject, find_subjects, split
from .validation import validation_images, validation_score

POOL = 32
"""Pairs, at least, that patches are drawn from at a time."""

STEPS_PER_PAIR = 16
"""Steps after which each place in a batch gets another pair: making a pair takes as long as a few steps."""

WARM_UP = 100


class _Pool:
    """The latest pairs of a stream, which patches are cut from.

    Each place in a batch has pairs of its own, so that a process that computes some places needs only their pairs, and
    the patch of a step and place depends on these two alone.
    """

    def __init__(self, stream: PairStream, patch: Shape, batch: int) -> None:
        self._stream, self._patch, self._batch = stream, patch, batch
        self._pairs_per_place = max(4, -(-POOL // batch))
        self._pairs: dict[int, TrainingPair] = {}

    def pair(self, step: int, place: int, rng: np.random.Generator) -> TrainingPair:
        """One of the pairs of a place in the batch."""
        first = step // STEPS_PER_PAIR
        number = (first + int(rng.integers(self._pairs_per_place))) * self._batch + place
        if number not in self._pairs:
            self._pairs = {n: pair for n, pair in self._pairs.items() if n >= first * self._batch}
            self._pairs[number] = fit_to_patch(self._stream.pair(number), self._patch)
        return self._pairs[number]


@dataclass(frozen=True)
class MainTraining:
    """What to train on and for how long.

    Parameters
    ----------
    folders
        Folders of real scans; see `subjects.find_subjects`.
    synthetic
        Number of synthetic abdomens to train on as well.
    weights
        How often to draw from each folder and, last, from the synthetic abdomens; equally often if not given.
    fractions
        Shares of k-space that the one model is for.
    steps
        Optimisation steps.
    seed
        Seeds weights, data and their order.
    validation_share
        Share of the subjects of each kind for validation.
    validate_every
        Steps between two validations.
    patience
        Early-stopping patience, in validations; None never stops early.
    precision
        Of the network's convolutions.
    """

    folders: Sequence[Path] = ()
    synthetic: int = 0
    weights: Sequence[float] = ()
    fractions: Sequence[float] = FRACTIONS
    steps: int = 4000
    seed: int = 0
    validation_share: float = 0.3
    validate_every: int = 500
    patience: int | None = None
    precision: Precision = "float32"

    def check(self, recipe: Recipe) -> None:
        """Raise `InputError` if it cannot be done, or not by this recipe."""
        patience = 1 if self.patience is None else self.patience
        if min(self.steps, self.validate_every, patience) < 1 or self.synthetic < 0:
            message = "Steps, steps between validations and patience must be 1 or more, synthetic volumes 0 or more."
            raise InputError(message)
        if not self.folders and not self.synthetic:
            raise InputError("There is nothing to train on; give folders of volumes or a number of synthetic ones.")
        if not 0 <= self.validation_share < 1:
            message = (
                f"The share of subjects for validation must be from 0 to below 1, but it is {self.validation_share:g}."
            )
            raise InputError(message)
        kinds = len(self.folders) + bool(self.synthetic)
        if self.weights and (
            len(self.weights) != kinds or min(self.weights) < 0 or not 0 < sum(self.weights) < math.inf
        ):
            message = f"Give {kinds} weights, one for each folder and the last for synthetic volumes, none below zero."
            raise InputError(message)
        if recipe.features < 1 or recipe.batch < 1 or not 0 < recipe.learning_rate < math.inf:
            raise InputError("Training needs at least one feature map and one patch at a time, and a rate above zero.")
        if recipe.batch % ranks():
            message = f"A batch of {recipe.batch} cannot be shared by {ranks()} processes; make it a multiple of them."
            raise InputError(message)
        network = network_named(recipe.network)
        factor = network.factor_for(self.fractions)
        if factor not in network.factors:
            least, most = min(network.factors), max(network.factors)
            message = (
                f"The network of the recipe {recipe.name} makes {least} to {most} voxels of each along "
                f"rows and columns, but the fraction {min(self.fractions):g} asks for {factor}; give "
                "other fractions, or choose another recipe."
            )
            raise InputError(message)


@dataclass(frozen=True)
class TrainingData:
    """Where training draws from, and what it is validated on.

    Parameters
    ----------
    sources
        Sources of images and the weight of each.
    validation
        Images ``(D, H, W)`` of subjects that no source draws from.
    """

    sources: Sequence[tuple[Source, float]]
    validation: Sequence[FloatArray]


def training_data(task: MainTraining, progress: Progress) -> TrainingData:
    """Find the subjects of a training and split them.

    Raises
    ------
    InputError
        If what there is cannot be read.
    """
    sources: list[Source] = []
    for_validation: list[TrainingSubject] = []
    for folder in task.folders:
        progress.stage(f"Reading {folder.name}")
        kept, validated = split(find_subjects(folder), task.validation_share, task.seed)
        progress.log(f"{folder.name}: training on {_names(kept)}; validation on {_names(validated)}.")
        sources.append(real_source(kept))
        for_validation += validated
    synthetic: list[int] = []
    if task.synthetic:
        kept_numbers, synthetic = split(range(task.synthetic), task.validation_share, task.seed)
        sources.append(synthetic_source(kept_numbers, task.seed))
    weights = task.weights or [1.0] * len(sources)
    images = validation_images(for_validation, synthetic, task.seed) if for_validation or synthetic else []
    if not images:
        progress.log("There is no subject for validation, so only the training loss is reported.")
    return TrainingData(list(zip(sources, weights, strict=True)), images)


def _names(subjects: Sequence[TrainingSubject]) -> str:
    return ", ".join(subject.name for subject in subjects) or "nobody"


def train(
    task: MainTraining,
    recipe: Recipe,
    device: torch.device,
    progress: Progress | None = None,
    state_file: Path | None = None,
    resume: bool = False,
    perceptual_network: Path | None = None,
    start: Model | None = None,
) -> Model:
    """Train a base model; under ``torchrun`` all processes train the same one.

    Parameters
    ----------
    task
        What to train on and for how long.
    recipe
        How.
    device
        Where to compute.
    progress
        Told about every step and validation.
    state_file
        Where to keep the state of an unfinished training; it stays until the caller has made sure of the result.
    resume
        Whether to go on from the state file, if there is one.
    perceptual_network
        Weights of the perceptual loss, if the recipe has one.
    start
        Model whose weights to begin with; new ones if not given.

    Raises
    ------
    InputError
        If that cannot be done (see `MainTraining.check`), or what there is to train on cannot be read.
    """
    progress = progress or Progress()
    task.check(recipe)
    info = _description(task, recipe, start)
    network = _initial_network(recipe, info, start)
    loss = loss_named(recipe.loss, device, perceptual_network)
    data = training_data(task, progress)
    progress.stage("Main training")
    record = optimise(
        network,
        _batches(data, task, recipe),
        loss,
        Schedule(task.steps, recipe.learning_rate, warm_up=WARM_UP),
        residual=recipe.residual,
        device=device,
        progress=progress,
        state_file=state_file,
        resume=resume,
        identity={
            "task": repr(task),
            "recipe": repr(recipe),
            "start": weights_sha256(start.network) if start else "",
            "perceptual network": perceptual_identity(recipe.loss, perceptual_network),
        },
        validation=_validation(data, task, info, device),
        distributed=True,
        precision=task.precision,
    )
    metrics = {"training loss": record.loss}
    if record.scores:
        metrics |= {**record.scores[record.best], "best step": float(record.best)}
    return Model(network, replace(info, steps=record.steps, metrics=metrics))


def _initial_network(recipe: Recipe, info: ModelInfo, start: Model | None) -> SuperResolutionNetwork:
    """The network to begin with: the weights of a model, or new ones."""
    torch.manual_seed(info.seed)
    network = new_network(info)
    if recipe.residual:
        network.begin_small()
    if start is None:
        return network

    def facts(one: ModelInfo) -> tuple[object, ...]:
        return one.features, one.factor, one.normalisation, one.residual

    other = start.info.architecture in network.begins_as
    same = (start.info.architecture, start.info.interpolation) == (info.architecture, info.interpolation)
    if facts(info) != facts(start.info) or not (same or other):
        message = (
            f"The model to begin with is a {start.info.architecture} of {start.info.features} features and does "
            f"not match the recipe {recipe.name}, so its weights cannot be trained further; "
            "choose the recipe it was made with."
        )
        raise InputError(message)
    network.begin_as(start.network)
    return network


def _batches(data: TrainingData, task: MainTraining, recipe: Recipe) -> Batches:
    """Share of this process in the batch of every step."""
    make = pair_maker(_description(task, recipe, None))
    stream = PairStream(data.sources, task.fractions, ACQUISITIONS[recipe.acquisitions], make, task.seed)
    pool = _Pool(stream, recipe.patch, recipe.batch)

    def patch(step: int, place: int) -> TrainingPair:
        rng = np.random.default_rng([task.seed, 3, step, place])
        return random_patch(pool.pair(step, place, rng), recipe.patch, rng)

    return lambda step: as_tensors([patch(step, place) for place in share(range(recipe.batch))])


def _validation(data: TrainingData, task: MainTraining, info: ModelInfo, device: torch.device) -> Validation | None:
    if not data.validation:
        return None
    return Validation(
        lambda network: validation_score(network, info, data.validation, device), task.validate_every, task.patience
    )


def _description(task: MainTraining, recipe: Recipe, start: Model | None) -> ModelInfo:
    """What is known about the model before it is trained."""
    names = [folder.name for folder in task.folders]
    if task.synthetic:
        names.append(f"{task.synthetic} synthetic abdomens")
    if start is not None:
        names.append(f"before that: {start.info.training_data}, {start.info.steps} steps")
    return ModelInfo(
        architecture=recipe.network,
        features=recipe.features,
        factor=network_named(recipe.network).factor_for(task.fractions),
        fractions=tuple(task.fractions),
        interpolation=recipe.interpolation,
        normalisation=recipe.normalisation,
        residual=recipe.residual,
        data_consistency=recipe.data_consistency,
        loss=recipe.loss,
        training_data=", ".join(names),
        recipe=recipe.name,
        seed=task.seed,
        precision=task.precision,
        steps=task.steps,
        version=__version__,
        created=datetime.date.today().isoformat(),
        parent=start.sha256 if start is not None else "",
    )
