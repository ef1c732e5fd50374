"""The model, the grid and the way to apply the one on the other, that a command line asks for."""

from __future__ import annotations

import math
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from ..acquisition.full_matrix import recorded_matrix
from ..acquisition.kspace import check_fraction
from ..errors import InputError
from ..io.files import read_series
from ..io.sidecar import is_about_another
from ..models.checkpoints import Model, load_model
from ..models.pretrained import FRACTION_TOLERANCE, base_model, fast_model
from ..models.recipes import DEFAULT, PAPER, RECIPES
from ..process.precision import Precision
from ..progress import Progress
from ..volume import Geometry, Series
from .super_resolution import target_grid
from .tiling import SHIFTS, Inference

PAPER_STRIDE = (3, 3, 3)
"""Step between patches where the recipe wants patches and none is given: the paper's 1 takes 27 times as long."""


def model_and_grid(
    arguments: Namespace, series: Series, stored: Geometry, progress: Progress
) -> tuple[Model, Geometry]:
    """The model to use and the grid of its results, which is said with the reason for it.

    Parameters
    ----------
    arguments
        Of the command line.
    series
        The series at its acquired matrix.
    stored
        Its geometry in the file, which its sidecar describes.
    progress
        Told what was chosen.
    """
    model = load_model(arguments.model or base_model())
    grid, reason = _result_grid(arguments, series, stored, model, progress)
    progress.log(
        f"The result gets {grid.shape[1]}x{grid.shape[2]} voxels of {grid.spacing[0]:.4g} x {grid.spacing[1]:.4g} mm, "
        f"{reason}."
    )
    if arguments.model is None:  # the grid tells the fraction, and that the model
        model = load_model(_shipped_model(kept_share(series.geometry.shape[1:], grid), arguments.fast))
    return model, grid


def _result_grid(
    arguments: Namespace, series: Series, stored: Geometry, model: Model, progress: Progress
) -> tuple[Geometry, str]:
    """Grid of a super-resolved series, from the arguments or from what is known about the input, and the reason."""
    if arguments.fraction is not None:
        check_fraction(arguments.fraction)
    like = None
    if arguments.like is not None:
        like = read_series(arguments.like).geometry
        if not like.overlaps(series.geometry):
            raise InputError(
                "The prior and the series do not overlap in space; "
                "check that both are of the same patient and body region."
            )
        reason = "the voxel size of the planning scan"
        if not like.same_orientation(series.geometry):
            progress.log("The prior has another orientation than the series: only its voxel size is taken over.")
    elif arguments.fraction is not None:
        reason = f"as {100 * arguments.fraction:.4g}% of k-space were acquired"
    elif model.info.prior_spacing:
        reason = "the voxel size of the planning scan that the model was fine-tuned on"
    else:
        full = recorded_matrix(arguments.input, stored)
        if full is not None and all(f >= a for f, a in zip(full, series.geometry.shape[1:], strict=True)):
            return series.geometry.with_matrix(
                full
            ), "the matrix that its sidecar says it had before it was downsampled"
        reason = (
            f"as if {100 * min(model.info.fractions, default=1):.4g}% of k-space were acquired: nothing else is known"
        )
        if is_about_another(arguments.input, stored):
            reason += " (the sidecar beside the series describes another image)"
    return target_grid(series.geometry, like, model, arguments.fraction), reason


def _shipped_model(fraction: float, fast: bool) -> Path:
    """The model that comes with this software for a fraction of k-space.

    Raises
    ------
    InputError
        If the fast one is wanted and there is none near that fraction.
    """
    if not fast:
        return base_model(fraction)
    path = fast_model(fraction)
    if path is None:
        message = f"There is no fast model for {100 * fraction:.3g}% of k-space; leave out --fast."
        raise InputError(message)
    return path


def kept_share(kept: tuple[int, int], full: Geometry) -> float:
    """Share of in-plane k-space that so many rows and columns are."""
    return kept[0] * kept[1] / (full.shape[1] * full.shape[2])


def other_fraction(model: Model, share: float) -> list[str]:
    """Return what to say if a model was trained for other shares of k-space than this."""
    known = model.info.fractions
    if not known or min(abs(math.log(share / fraction)) for fraction in known) <= FRACTION_TOLERANCE:
        return []
    names = ", ".join(f"{100 * fraction:.4g}%" for fraction in known)
    return [f"The model was trained for {names} of k-space, but this is {100 * share:.4g}%."]


def inference_of(
    model: Model, stride: Sequence[int] | None, precision: Precision | None = None, shifts: int = 1
) -> Inference:
    """How to apply a model: as its recipe does, or by patches with a stride."""
    recipe = RECIPES.get(model.info.recipe, DEFAULT)
    if not 1 <= shifts <= len(SHIFTS):
        raise InputError(f"The number of shifts must be from 1 to {len(SHIFTS)}; give another one.")
    if stride is None and recipe.whole_volume:
        return Inference(precision=precision, shifts=shifts)
    if not model.network.by_patches:
        raise InputError("The fast network takes whole volumes only; leave out --stride.")
    step = stride or PAPER_STRIDE
    if min(step) < 1:
        raise InputError("The stride between patches must be at least 1 on every axis; give larger numbers.")
    return Inference(patch=PAPER.patch, stride=(step[0], step[1], step[2]), precision=precision, shifts=shifts)
