"""Fine-tuning: a base model made to fit one patient by the planning scan (paper, section 2.3)."""

from __future__ import annotations

import copy
import datetime
import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from .. import __version__
from ..acquisition.acquisition import Acquisition
from ..acquisition.body import body_signal
from ..acquisition.interpolation import high_resolution_grid, resample
from ..errors import InputError
from ..geometry import Geometry
from ..losses.registry import loss_named, perceptual_identity
from ..models.budgets import TrainingBudget
from ..models.checkpoints import Model, weights_sha256
from ..models.prior_copy import PriorCopy
from ..models.trained_acquisition import TrainedAcquisition
from ..networks.network import Network
from ..prior.contrast import match_contrast
from ..process.devices import fastest_precision
from ..process.precision import Precision
from ..progress import Progress
from ..volume import Volume
from .fine_tuning_plan import FineTuningPlan, fine_tuning_plan
from .fine_tuning_validation import masked_loss
from .optimisation import LossFunction, Validation, optimise

VALIDATIONS = 20
"""Validations of one fine-tuning, unless early stopping ends it."""

LEAST_STEPS_BETWEEN_VALIDATIONS = 25
"""One validation takes as long as two steps."""

PATIENCE = 8
"""Early-stopping patience, in validations; the weights of the best one are kept."""

STRENGTH_AFTER_CURVE = 0.75
"""Strength of fine-tuning on a prior whose intensities were remapped with a curve."""

STRENGTH_AFTER_REGIONS = 0.5
"""Strength of fine-tuning on a prior whose intensities were remapped region by region."""

STRENGTH_OF_POOR_FIT = 0.25
"""Strength of fine-tuning on a prior that does not seem to show what the series shows."""


def default_precision(budget: TrainingBudget, device: torch.device) -> Precision:
    """Precision to fine-tune with: the fastest, but for the paper's own way, which is kept to the letter.

    On two scans, both gave the same SSIM to 0.0001 (Studies/README.md).
    """
    return "float32" if budget.steps is None else fastest_precision(device)


def match_prior(prior: Volume, low_resolution: Geometry, progress: Progress | None = None) -> Volume:
    """Bring the prior to the orientation of the series it is for, if it has another one.

    Parameters
    ----------
    prior
        Planning scan.
    low_resolution
        Geometry of the low-resolution series.
    progress
        Told when the prior is resampled.

    Raises
    ------
    InputError
        If the two do not overlap, or the prior has the lower resolution.
    """
    if not prior.geometry.overlaps(low_resolution):
        message = (
            "The planning scan and the series do not overlap in space; check that both are of the same patient and "
            "body region."
        )
        raise InputError(message)
    if prior.geometry.same_orientation(low_resolution):
        Acquisition.between(prior.geometry, low_resolution)  # refuses a prior of lower resolution
        return prior
    grid = high_resolution_grid(low_resolution, prior.geometry)
    (progress or Progress()).log("The planning scan has another orientation than the series and is resampled to it.")
    return resample(prior, grid)


@dataclass(frozen=True)
class AdaptedPrior:
    """A planning scan made as like a series as can be.

    Parameters
    ----------
    volume
        What to fine-tune on.
    strength
        How far to go from the base model; see `fine_tune`.
    """

    volume: Volume
    strength: float = 1.0


def adapt_prior(
    prior: Volume, low_resolution: Volume, progress: Progress | None = None, *, magnitude: bool = False
) -> AdaptedPrior:
    """Make the prior as like the series as can be: its orientation, and its contrast if the two differ in that.

    Studies/contrast_mismatch.py shows what this is worth.

    Parameters
    ----------
    prior
        Planning scan.
    low_resolution
        A time point of the series.
    progress
        Told what is changed.
    magnitude
        Whether the time point is a magnitude, see `contrast.match_contrast`.

    Raises
    ------
    InputError
        If the two do not overlap, or the prior has the lower resolution.
    """
    progress = progress or Progress()
    prior = match_prior(prior, low_resolution.geometry, progress)
    match = match_contrast(prior, low_resolution, magnitude=magnitude)
    if match is None or match.way == "same":
        return AdaptedPrior(prior)
    how = "with a curve" if match.way == "curve" else "region by region"
    progress.log(
        f"The contrasts differ (R^2 = {match.by_line:.2f}). The planning scan's intensities were remapped {how} "
        f"(R^2 = {match.r_squared:.2f})."
    )
    return AdaptedPrior(match.prior, STRENGTH_AFTER_CURVE if match.way == "curve" else STRENGTH_AFTER_REGIONS)


def check_detail(prior: Geometry, acquired_matrix: tuple[int, int]) -> None:
    """Raise `InputError` unless the prior has detail that an image of this matrix lacks."""
    if acquired_matrix[0] >= prior.shape[1] and acquired_matrix[1] >= prior.shape[2]:
        message = (
            f"The planning scan has no finer detail than the series (both have voxels of {prior.spacing[0]:.2f} x "
            f"{prior.spacing[1]:.2f} mm), so there is nothing to learn from it; give a planning scan of higher "
            "resolution, or a lower fraction."
        )
        raise InputError(message)


def fine_tune(
    prior: Volume,
    base: Model,
    acquisition: Acquisition,
    budget: TrainingBudget,
    *,
    seed: int = 0,
    device: torch.device | None = None,
    progress: Progress | None = None,
    state_file: Path | None = None,
    resume: bool = False,
    perceptual_network: Path | None = None,
    strength: float = 1.0,
    precision: Precision | None = None,
    copy_of_prior: PriorCopy | None = None,
) -> Model:
    """Fine-tune a model on one prior.

    Parameters
    ----------
    prior
        High-resolution planning scan ``(D, H, W)``.
    base
        The model to begin with; it is not changed.
    acquisition
        What makes an image like the series' of the prior; its full matrix is the prior's.
    budget
        How long. ``paper`` is the paper's one epoch over all 24^3 patches with stride 1, learning rate 1e-6 and
        perceptual loss; the others are random patches, the loss and the larger rate of the default recipe.
    seed
        Seeds the order of the patches.
    device
        Where to compute; the CPU if not given.
    progress
        Told about every step.
    state_file
        Where to keep the state of an unfinished run; it stays until the caller has made sure of the result.
    resume
        Whether to go on from the state file, if there is one.
    perceptual_network
        Weights of the perceptual loss, for the budget ``paper``.
    strength
        Share of the way from the weights of the base model to the fine-tuned ones that the result goes (Wortsman et al.
        2022): below 1 it keeps more of what the base model knows.
    precision
        Of the network's convolutions; `default_precision` if not given.
    copy_of_prior
        What the model keeps of the planning scan; of `prior` if not given. Give that of the scan as it was read where
        `prior` was adapted to the series.

    Returns
    -------
        A new model whose metadata names its parent, with the small copy of its planning scan.

    Raises
    ------
    InputError
        If the prior has no finer detail than the series.
    """
    check_detail(prior.geometry, acquisition.acquired_matrix)
    device = device or torch.device("cpu")
    progress = progress or Progress()
    precision = precision or default_precision(budget, device)
    plan = fine_tuning_plan(prior, base, acquisition, budget.steps, seed)
    recipe, schedule = plan.recipe, plan.schedule
    network = copy.deepcopy(base.network)
    loss = loss_named(recipe.loss, device, perceptual_network)
    validation = None
    if plan.validation is None:
        _tell_how_long(network, plan, loss, device, progress)
    else:
        score = partial(plan.validation.score, residual=base.info.residual, precision=precision)
        validation = Validation(score, max(LEAST_STEPS_BETWEEN_VALIDATIONS, schedule.steps // VALIDATIONS), PATIENCE)
        loss = masked_loss(loss)
    progress.stage("Fine-tuning")
    record = optimise(
        network,
        plan.batches,
        loss,
        schedule,
        residual=base.info.residual,
        device=device,
        progress=progress,
        state_file=state_file,
        resume=resume,
        identity={
            "base": weights_sha256(base.network) + base.info.to_json(),
            "perceptual network": perceptual_identity(recipe.loss, perceptual_network),
            "prior": hashlib.sha256(prior.data.tobytes()).hexdigest(),
            "acquisition": repr(acquisition),
            "budget": budget.name,
            "seed": str(seed),
            "precision": precision,
        },
        precision=precision,
        validation=validation,
    )
    if strength != 1:
        network.load_state_dict(_part_of_the_way(base.network.state_dict(), network.state_dict(), strength))
    info = replace(
        base.info,
        fractions=(acquisition.fraction,),
        loss=recipe.loss,
        training_data="fine-tuned on one planning scan",
        seed=seed,
        precision=precision,
        steps=record.steps,
        version=__version__,
        created=datetime.date.today().isoformat(),
        metrics={"training loss": record.loss, **record.scores.get(record.best, {})},
        parent=base.sha256,
        prior_spacing=prior.geometry.spacing,
        acquisition=TrainedAcquisition.of(acquisition, body_signal(prior.data))
        if base.network.knows_acquisition
        else None,
    )
    return Model(network, info, prior=copy_of_prior or PriorCopy.of(prior))


def _part_of_the_way(start: Mapping[str, Tensor], end: Mapping[str, Tensor], share: float) -> dict[str, Tensor]:
    """Weights between two networks, where the second is: super-resolving may have moved the first to another device."""
    return {name: start[name].to(weight.device).lerp(weight, share) for name, weight in end.items()}


def _tell_how_long(
    network: Network, plan: FineTuningPlan, loss: LossFunction, device: torch.device, progress: Progress
) -> None:
    """Say how long a long fine-tuning will take, by doing one step of a copy."""
    trial = copy.deepcopy(network).to(device)
    inputs, targets = (tensor.to(device) for tensor in plan.batches(0))
    started = time.monotonic()
    loss(trial(inputs), targets).backward()  # type: ignore[no-untyped-call]
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    hours = (time.monotonic() - started) * plan.schedule.steps / 3600
    progress.log(f"{plan.schedule.steps} steps of {len(inputs)} patches will take about {hours:.1f} hours on {device}.")
