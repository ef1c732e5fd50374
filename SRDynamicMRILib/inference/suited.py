"""What suits a series: the grid of its result, the pretrained model, and how that is applied."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..acquisition.acquisition import Acquisition
from ..acquisition.full_matrix import recorded_matrix
from ..acquisition.matrices import check_fraction
from ..errors import InputError
from ..geometry import Geometry
from ..models.budgets import TrainingBudget
from ..models.checkpoints import Model
from ..models.model_info import ModelInfo
from ..models.pretrained import FRACTION_TOLERANCE, base_model, fast_model, scanner_model, start_model
from ..models.recipes import DEFAULT, PAPER, RECIPES
from ..models.trained_acquisition import TrainedAcquisition
from ..process.precision import Precision
from ..progress import Progress
from .super_resolution import target_grid
from .tiling import Inference

PAPER_STRIDE = (3, 3, 3)
"""Step between patches where the recipe wants patches and none is given: the paper's 1 takes 27 times as long."""


def result_grid(
    series: Geometry,
    stored: Geometry,
    facts: Mapping[str, Any],
    info: ModelInfo,
    like: Geometry | None,
    fraction: float | None,
    progress: Progress,
) -> Geometry:
    """Grid of a super-resolved series, which is said with the reason for it.

    Parameters
    ----------
    series
        Geometry of the series at its acquired matrix.
    stored
        Geometry of the series in its file.
    facts
        What came with that file.
    info
        Of the model that is to be used.
    like
        Geometry of a volume that has the voxel size wanted.
    fraction
        Share of in-plane k-space that the series holds.
    progress
        Told what was chosen.

    Raises
    ------
    InputError
        If `like` does not overlap the series or has the lower resolution, or nothing tells the voxel size.
    """
    if fraction is not None:
        check_fraction(fraction)
    grid: Geometry | None = None
    if like is not None:
        if not like.overlaps(series):
            raise InputError(
                "The planning scan and the series do not overlap in space; "
                "check that both are of the same patient and body region."
            )
        reason = "the voxel size of the planning scan"
        if not like.same_orientation(series):
            progress.log("The planning scan has another orientation than the series; only its voxel size is used.")
    elif fraction is not None:
        reason = f"because {100 * fraction:.4g}% of k-space was acquired"
    elif info.prior_spacing:
        reason = "the voxel size of the planning scan that the model was fine-tuned on"
    else:
        full = recorded_matrix(facts, stored)
        if full is not None and all(f >= a for f, a in zip(full, series.shape[1:], strict=True)):
            grid = series.with_matrix(full)
            reason = "the matrix before downsampling, according to its sidecar"
        else:
            share = min(info.fractions, default=1)
            reason = f"assuming that {100 * share:.4g}% of k-space was acquired, as nothing else is known"
    grid = grid or target_grid(series, like, info, fraction)
    progress.log(
        f"The result gets {grid.shape[1]}x{grid.shape[2]} voxels of {grid.spacing[0]:.4g} x {grid.spacing[1]:.4g} mm, "
        f"{reason}."
    )
    return grid


def pretrained_model(acquisition: Acquisition, fast: bool) -> Path:
    """The pretrained model to use without fine-tuning for an acquisition.

    That for scanners' images is fast, too.

    Raises
    ------
    InputError
        If the fast one is wanted and there is none near that fraction.
    """
    path = scanner_model(acquisition) or (
        fast_model(acquisition.fraction) if fast else base_model(acquisition.fraction)
    )
    if path is None:
        message = f"There is no fast model for {100 * acquisition.fraction:.3g}% of k-space; leave out --fast."
        raise InputError(message)
    return path


def start_of_fine_tuning(acquisition: Acquisition, budget: TrainingBudget) -> Path:
    """The pretrained model to begin fine-tuning with for an acquisition.

    The paper's budget is for the network after main training.

    Raises
    ------
    InputError
        If it is missing from the installation, or was changed after the release.
    """
    if budget.steps is None:
        return base_model(acquisition.fraction)
    return scanner_model(acquisition) or start_model(acquisition.fraction)


def known_to(model: Model, acquisition: Acquisition) -> Acquisition:
    """As much of an acquisition as a model takes into account, for its training and its use alike.

    One that puts the acquired k-space back has to know whether the sign was kept; the paper's way knows nothing.
    """
    if model.network.knows_acquisition:
        return acquisition
    return replace(acquisition.cut, magnitude=acquisition.magnitude and model.info.data_consistency)


def keeps_acquired(model: Model, acquisition: Acquisition | None) -> bool:
    """Whether results hold the acquired k-space: they cannot of a magnitude image, whose phase is lost."""
    return model.info.data_consistency and (acquisition is None or not acquisition.magnitude)


def other_fraction(model: Model, share: float) -> list[str]:
    """Return what to say if a model was trained for other shares of k-space than this."""
    known = model.info.fractions
    if not known or min(abs(math.log(share / fraction)) for fraction in known) <= FRACTION_TOLERANCE:
        return []
    names = ", ".join(f"{100 * fraction:.4g}%" for fraction in known)
    return [f"The model was trained for {names} of k-space, but the series has {100 * share:.4g}%."]


def other_acquisition(model: Model, acquisition: Acquisition, signal: float) -> list[str]:
    """Return what to say if a model was fine-tuned for an acquisition that clearly differs from that of a series.

    Parameters
    ----------
    model
        The model.
    acquisition
        How the series was acquired.
    signal
        Mean intensity of the body in the series.
    """
    if model.info.acquisition is None:
        return []
    differences = model.info.acquisition.differences(TrainedAcquisition.of(acquisition, signal))
    if not differences:
        return []
    known, found = (" and ".join(words) for words in zip(*differences, strict=True))
    return [f"The model was fine-tuned for {known}, but the series has {found}; fine-tune one for this series."]


def check_takes_complex(model: Model) -> None:
    """Raise `InputError` unless a model can be applied to the magnitude of complex images.

    Those that do not know how an image was acquired take it for one with a sign; on kidneys with their own phase that
    is worse than zero-filling.
    """
    if not model.network.knows_acquisition:
        raise InputError(
            "Complex images need a model for images of scanners, which knows how they were acquired, but this one does "
            "not; give another with --model, or the magnitude alone."
        )


def suited_inference(model: Model, stride: Sequence[int] | None, precision: Precision | None = None) -> Inference:
    """How to apply a model: as its recipe does, or by patches with a stride.

    Raises
    ------
    InputError
        If the model cannot be applied so.
    """
    recipe = RECIPES.get(model.info.recipe, DEFAULT)
    if stride is None and recipe.whole_volume:
        return Inference(precision=precision)
    if not model.network.by_patches:
        raise InputError("The fast network takes whole volumes only; leave out --stride.")
    step = stride or PAPER_STRIDE
    if min(step) < 1:
        raise InputError("The stride between patches must be at least 1 on every axis; give larger numbers.")
    return Inference(patch=PAPER.patch, stride=(step[0], step[1], step[2]), precision=precision)
