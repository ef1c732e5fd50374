"""Validation during main training: the network super-resolves images that it is not trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice

import numpy as np
import torch

from ..evaluation.metrics import compare
from ..geometry import FloatArray
from ..inference.super_resolution import super_resolve
from ..models.checkpoints import Model
from ..models.model_info import ModelInfo
from ..models.recipes import DEFAULT, RECIPES
from ..networks.network import SuperResolutionNetwork
from ..process.distributed import mean_over_ranks, ranks, share
from ..volume import Volume
from .acquisitions import ACQUISITIONS
from .datasets import some_slices, synthetic_image
from .subjects import TrainingSubject

IMAGES = 4
"""Images of one validation: a compromise, as whole series would take longer than the training between."""

_DRAWS = 20
_DRAWS_OF_ACQUISITIONS = 10
"""Stream of random numbers that draws them: the same images in every validation."""

_SLICES = 8
_PLANE = 160


def validation_images(subjects: Sequence[TrainingSubject], synthetic: Sequence[int], seed: int) -> list[FloatArray]:
    """Images ``(D, H, W)`` for validation, of real subjects where there are any.

    Parameters
    ----------
    subjects
        Subjects that are not trained on.
    synthetic
        Numbers of synthetic abdomens that are not trained on.
    seed
        That of the training.
    """
    if not subjects:
        return [_middle(synthetic_image(number, seed)) for number in synthetic[:IMAGES]]
    images: list[FloatArray] = []
    for number in range(IMAGES):
        rng = np.random.default_rng([seed, 9, number])
        subject = subjects[number % len(subjects)]
        drawn = (_drawn(subject, rng) for _ in range(_DRAWS))
        images += islice((image for image in drawn if image.max() > 0), 1)  # an empty one tells nothing
    return images


def _drawn(subject: TrainingSubject, rng: np.random.Generator) -> FloatArray:
    """The middle of some slices of any scan and time point of a subject."""
    series = subject.series[int(rng.integers(len(subject.series)))]
    return _middle(some_slices(series[int(rng.integers(len(series)))], rng, _SLICES))


def _middle(image: FloatArray) -> FloatArray:
    """The middle of an image."""
    middle = tuple(
        slice(max(0, (size - wanted) // 2), max(0, (size - wanted) // 2) + wanted)
        for size, wanted in zip(image.shape, (_SLICES, _PLANE, _PLANE), strict=True)
    )
    return image[middle]


def validation_score(
    network: SuperResolutionNetwork, info: ModelInfo, images: Sequence[FloatArray], device: torch.device
) -> Mapping[str, float]:
    """Mean SSIM and PSNR of a network over images and fractions, shared among all processes.

    Parameters
    ----------
    network
        The network; ends in evaluation mode.
    info
        How it is to be used, and for which fractions.
    images
        High-resolution images ``(D, H, W)``.
    device
        Where to compute.
    """
    model = Model(network, info)
    acquire = ACQUISITIONS[RECIPES.get(info.recipe, DEFAULT).acquisitions]
    jobs = [(number, image, fraction) for number, image in enumerate(images) for fraction in info.fractions]
    sums = torch.zeros(2, dtype=torch.float64)
    for number, image, fraction in share(jobs):
        truth = Volume(image)
        stored = acquire(image, (fraction,), np.random.default_rng([number, _DRAWS_OF_ACQUISITIONS]))
        low = Volume(stored.data, stored.acquisition.low_resolution_geometry(truth.geometry))
        result = super_resolve(low, model, truth.geometry, acquisition=stored.acquisition, device=device)
        metrics = compare(result.data, truth.data)[0]
        sums += torch.tensor([metrics.ssim, metrics.psnr], dtype=torch.float64)
    ssim, psnr = (mean_over_ranks(sums) * ranks() / len(jobs)).tolist()
    return {"validation ssim": ssim, "validation psnr": psnr}
