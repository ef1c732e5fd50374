"""Recipes: the choices that make a model, under one name each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from ..errors import look_up

FRACTIONS = (0.25, 0.10, 0.0625)
"""Shares of in-plane k-space that the paper studies (section 2.1)."""


@dataclass(frozen=True)
class Recipe:
    """How a model is trained, fine-tuned and used.

    Parameters
    ----------
    name
        What the command line calls it.
    features
        Feature maps of the network's first level.
    interpolation
        What the network is fed with, and what a residual is added to: one of `interpolation.INPUTS`.
    normalisation
        ``maximum``: input and target are each divided by their own maximum, as in the paper. ``percentile``: both by
        the 99.9th percentile of the low-resolution image, so that their intensities stay comparable.
    residual
        Whether the network's output is added to the interpolated image.
    data_consistency
        Whether the acquired k-space is put back into the result.
    loss
        Name of the loss; see `losses.registry`.
    patch
        Patch size ``(D, H, W)`` of the network's input, in training and in inference by patches.
    stride
        Step ``(D, H, W)`` between patches of main training; None draws patches at random.
    batch
        Patches per optimisation step.
    learning_rate
        Of Adam, in main training.
    fine_tuning_learning_rate
        Of Adam, in fine-tuning.
    fine_tuning_stride
        Step between patches of fine-tuning; None draws patches at random.
    whole_volume
        Whether inference takes whole volumes (in tiles where memory is short) rather than overlapping patches.
    network
        Name of the network; see `networks.registry`.
    thin_patches
        Whether patches of fine-tuning get as thin as a planning scan of less than half their slices.
    shifted
        Share of the patches of fine-tuning from the planning scan as it would look had the patient lain a little
        differently; see `augmentation.ShiftAndMirror`.
    acquisitions
        What makes low-resolution images in main training: ``linear`` cuts k-space and keeps the sign, ``scanner`` draws
        an acquisition of a scanner for each, ``unfiltered`` one without a window; see `training.acquisitions`.
    """

    name: str
    features: int
    interpolation: str
    normalisation: Literal["maximum", "percentile"]
    residual: bool
    data_consistency: bool
    loss: str
    patch: tuple[int, int, int]
    stride: tuple[int, int, int] | None
    batch: int
    learning_rate: float
    fine_tuning_learning_rate: float
    fine_tuning_stride: tuple[int, int, int] | None
    whole_volume: bool
    network: str = "UNet3D"
    thin_patches: bool = False
    shifted: float = 0.0
    acquisitions: Literal["linear", "scanner", "unfiltered"] = "linear"


PAPER = Recipe(
    name="paper",
    features=64,
    interpolation="trilinear_index",
    normalisation="maximum",
    residual=False,
    data_consistency=False,
    loss="perceptual",
    patch=(24, 24, 24),
    stride=(6, 12, 12),
    batch=16,
    learning_rate=1e-4,
    fine_tuning_learning_rate=1e-6,
    fine_tuning_stride=(1, 1, 1),
    whole_volume=False,
)
"""The paper's way, sections 2.2 and 2.3."""

DEFAULT = Recipe(
    name="default",
    features=32,
    interpolation="non_negative",
    normalisation="percentile",
    residual=True,
    data_consistency=True,
    loss="charbonnier",
    patch=(12, 48, 48),
    stride=None,
    batch=2,
    learning_rate=1.5e-3,
    fine_tuning_learning_rate=1.5e-3,
    fine_tuning_stride=None,
    whole_volume=True,
)
"""What has given the best images at a speed that a laptop allows."""

FAST = replace(
    DEFAULT,
    name="fast",
    features=48,
    interpolation="zero_filled",
    patch=(12, 24, 24),
    network="SubPixelNetwork",
    thin_patches=True,  # the network is used on a single slice with nothing around it, so this is how it has to learn
    shifted=0.5,  # the U-Net gains nothing by it (Studies/README.md)
)
"""For speed: a fifth of the time of the default at 6.25% of k-space, for images that are almost as good.

Fine-tuning begins with it too: on real scans it then gives the better images (README, Results).
"""

SCANNER = replace(
    FAST,
    name="scanner",
    interpolation="sinc",
    network="ConditionedSubPixelNetwork",
    data_consistency=False,  # noise and the phase that is lost are no data to be put back
    shifted=0.75,  # each with noise of its own
    acquisitions="scanner",
)
"""For images as scanners store them: of any acquisition that is known or recognised."""

MAGNITUDE = replace(
    SCANNER,
    name="magnitude",
    data_consistency=True,  # of a magnitude, the centre of k-space alone; see `Acquisition.consistency_weights`
    acquisitions="unfiltered",
)
"""For magnitude images without a window: trained on these alone, it keeps more detail than `SCANNER` does."""

RECIPES = {recipe.name: recipe for recipe in (DEFAULT, PAPER, FAST, SCANNER, MAGNITUDE)}


def recipe_named(name: str) -> Recipe:
    """Return the recipe of that name.

    Raises
    ------
    InputError
        If there is none.
    """
    return look_up(name, RECIPES, "recipe")


def fine_tuning_recipe(network: str) -> Recipe:
    """Recipe for fine-tuning a network of that name on random patches: the first of its own, else the default one."""
    return next(
        (recipe for recipe in RECIPES.values() if recipe.network == network and recipe.fine_tuning_stride is None),
        RECIPES[DEFAULT.name],
    )
