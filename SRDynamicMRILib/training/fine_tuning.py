"""Fine-tuning: a base model made to fit one patient by the planning scan (paper, section 2.3)."""

from __future__ import annotations

import datetime
import hashlib
import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .. import __version__
from ..checkpoints import Model, weights_sha256
from ..contrast import match_contrast
from ..devices import fastest_precision
from ..errors import InputError
from ..interpolation import high_resolution_grid, resample
from ..kspace import low_resolution_size
from ..patches import patch_positions
from ..perceptual_loss import loss_named, perceptual_identity
from ..progress import Progress
from ..recipes import DEFAULT, PAPER, Precision, Recipe
from ..volume import Geometry, Volume, shape_of
from .needles import with_needles
from .optimisation import Batches, Schedule, optimise
from .pairs import as_tensors, batch_at, fit_to_patch, make_pair, random_patch


@dataclass(frozen=True)
class Budget:
    """How much fine-tuning to do.

    Parameters
    ----------
    name
        What the command line calls it.
    steps
        Optimisation steps; None means one epoch over all patches of the paper's grid.
    """

    name: str
    steps: int | None


NEEDLES = 0.25
"""Share of the patches from a planning scan into which needles were drawn."""

MOST_OF_THE_WAY = 0.75
"""Strength of fine-tuning on a prior that can be made like the series region by region only."""

LITTLE_OF_THE_WAY = 0.25
"""Strength of fine-tuning on a prior that does not show what the series shows, as far as can be told."""

BUDGETS = {b.name: b for b in (Budget("quick", 100), Budget("standard", 600), Budget("paper", None))}


def budget_named(name: str) -> Budget:
    """Return the budget of that name.

    Raises
    ------
    InputError
        If there is none.
    """
    if name not in BUDGETS:
        message = f"There is no budget named {name}; use one of {', '.join(BUDGETS)}."
        raise InputError(message)
    return BUDGETS[name]


def default_precision(budget: Budget, device: torch.device) -> Precision:
    """Precision to fine-tune with: the fastest, but for the paper's own way, which is kept to the letter.

    On two scans, 600 steps gave the same SSIM to 0.0001 with both (Studies/README.md).
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
            "The prior and the series do not overlap in space; check that both are of the same patient and body region."
        )
        raise InputError(message)
    grid = high_resolution_grid(low_resolution, prior.geometry)
    if prior.geometry.same_orientation(low_resolution):
        return prior
    (progress or Progress()).log("The prior has another orientation than the series and is resampled to it.")
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


def adapt_prior(prior: Volume, low_resolution: Volume, progress: Progress | None = None) -> AdaptedPrior:
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

    Raises
    ------
    InputError
        If the two do not overlap, or the prior has the lower resolution.
    """
    progress = progress or Progress()
    prior = match_prior(prior, low_resolution.geometry, progress)
    match = match_contrast(prior, low_resolution)
    if match is None or match.way == "same":
        return AdaptedPrior(prior)
    how = "a curve" if match.way == "curve" else "a line for every region"
    progress.log(
        f"The prior explains only {100 * match.by_line:.0f}% of the series, as a scan of another sequence would; "
        f"its intensities are replaced by way of {how}, which explains {100 * match.explained:.0f}%."
    )
    return AdaptedPrior(match.prior, 1.0 if match.way == "curve" else MOST_OF_THE_WAY)


def kept_size(prior: Geometry, low_resolution: Geometry) -> tuple[int, int]:
    """Rows and columns of the prior's k-space that reach the resolution of the series.

    Raises
    ------
    InputError
        If the prior's voxels are larger than those of the series.
    """
    height = round(prior.shape[1] * prior.spacing[1] / low_resolution.spacing[1])
    width = round(prior.shape[2] * prior.spacing[0] / low_resolution.spacing[0])
    if height > prior.shape[1] or width > prior.shape[2]:
        message = (
            f"The prior has lower resolution ({prior.spacing[0]:.2f} x {prior.spacing[1]:.2f} mm) than the series "
            f"({low_resolution.spacing[0]:.2f} x {low_resolution.spacing[1]:.2f} mm); give a sharper planning scan."
        )
        raise InputError(message)
    return height, width


def kept_by_fraction(prior: Geometry, fraction: float) -> tuple[int, int]:
    """Rows and columns of the prior's k-space for a fraction; see `kspace.low_resolution_size`."""
    return low_resolution_size((prior.shape[1], prior.shape[2]), fraction)


def fine_tune(
    prior: Volume,
    base: Model,
    kept: tuple[int, int],
    budget: Budget,
    *,
    seed: int = 0,
    device: torch.device | None = None,
    progress: Progress | None = None,
    state_file: Path | None = None,
    resume: bool = False,
    perceptual_network: Path | None = None,
    strength: float = 1.0,
    precision: Precision | None = None,
) -> Model:
    """Fine-tune a model on one prior.

    Parameters
    ----------
    prior
        High-resolution planning scan ``(D, H, W)``.
    base
        The model to begin with; it is not changed.
    kept
        Rows and columns of the prior's k-space to keep: the resolution of the series.
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

    Returns
    -------
        A new model whose metadata names its parent.
    """
    device = device or torch.device("cpu")
    progress = progress or Progress()
    precision = precision or default_precision(budget, device)
    recipe, schedule, batches = _plan(prior, base, kept, budget, seed)
    network = type(base.network)(base.info.features)
    network.load_state_dict(base.network.state_dict())
    share = kept[0] * kept[1] / (prior.shape[1] * prior.shape[2])
    progress.stage("Fine-tuning")
    record = optimise(
        network,
        batches,
        loss_named(recipe.loss, device, perceptual_network),
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
            "kept": f"{kept[0]}x{kept[1]}",
            "budget": budget.name,
            "seed": str(seed),
            "precision": precision,
        },
        precision=precision,
    )
    if strength != 1:
        start = base.network.state_dict()
        network.load_state_dict({name: start[name].lerp(w, strength) for name, w in network.state_dict().items()})
    info = replace(
        base.info,
        fractions=(share,),
        loss=recipe.loss,
        training_data="fine-tuned on one prior",
        seed=seed,
        precision=precision,
        steps=schedule.steps,
        version=__version__,
        created=datetime.date.today().isoformat(),
        metrics={"training loss": record.loss},
        parent=base.sha256,
        prior_spacing=prior.geometry.spacing,
    )
    return Model(network, info)


def _plan(
    prior: Volume, base: Model, kept: tuple[int, int], budget: Budget, seed: int
) -> tuple[Recipe, Schedule, Batches]:
    """Recipe, length and batches of a fine-tuning."""
    pair = make_pair(prior.data, kept, base.info.interpolation, base.info.normalisation)
    if budget.steps is not None:
        recipe = DEFAULT
        image = with_needles(prior.data, prior.geometry.spacing, np.random.default_rng([seed, 5]))
        with_some = make_pair(image, kept, base.info.interpolation, base.info.normalisation)
        without, with_some = (fit_to_patch(one, recipe.patch) for one in (pair, with_some))

        def random(step: int) -> tuple[Tensor, Tensor]:
            rng = np.random.default_rng([seed, 4, step])
            chosen = [with_some if rng.random() < NEEDLES else without for _ in range(recipe.batch)]
            return as_tensors([random_patch(one, recipe.patch, rng) for one in chosen])

        return recipe, Schedule(budget.steps, recipe.fine_tuning_learning_rate), random
    recipe = PAPER
    pairs = [fit_to_patch(pair, recipe.patch)]
    stride = recipe.fine_tuning_stride or recipe.patch
    positions = patch_positions(shape_of(pairs[0].target), recipe.patch, stride)
    order = np.random.default_rng([seed, 4]).permutation(len(positions))

    def ordered(step: int) -> tuple[Tensor, Tensor]:
        chosen = order[step * recipe.batch : (step + 1) * recipe.batch]
        return batch_at(pairs, [(0, positions[n]) for n in chosen], recipe.patch)

    steps = math.ceil(len(positions) / recipe.batch)
    return recipe, Schedule(steps, recipe.fine_tuning_learning_rate, decay=False), ordered
