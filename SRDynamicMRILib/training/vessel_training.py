"""Training of the perceptual network: a 3D U-Net that segments vessels (paper, section 2.3.1)."""

from __future__ import annotations

import datetime
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from .. import __version__
from ..errors import InputError
from ..geometry import FloatArray
from ..losses.perceptual import LEVELS
from ..models.checkpoints import save_tensors
from ..networks.vessel_unet import VesselEncoder, VesselUNet
from ..phantom.angiogram import Angiogram, angiogram
from ..progress import Progress
from .optimisation import Schedule, optimise

PATCH = (24, 24, 24)
BATCH = 2
LEARNING_RATE = 1e-3
WARM_UP = 50

_VOLUME = (64, 64, 64)
_POOL = 8
_STEPS_PER_VOLUME = 8
_UNSEEN = 5
_WITH_VESSELS = 0.8
"""Share of patches whose middle lies in a vessel: most of the others hold hardly any."""


@dataclass(frozen=True)
class VesselTraining:
    """How the perceptual network is trained.

    Parameters
    ----------
    steps
        Optimisation steps.
    seed
        Seeds weights and angiograms.
    features
        Feature maps of the first level; 64 in the paper.
    """

    steps: int = 600
    seed: int = 0
    features: int = 64


def train_vessel_network(
    task: VesselTraining,
    device: torch.device,
    progress: Progress | None = None,
    state_file: Path | None = None,
    resume: bool = False,
) -> VesselUNet:
    """Train the whole network.

    Parameters
    ----------
    task
        For how long, and with which seed.
    device
        Where to compute.
    progress
        Told about every step.
    state_file
        Where to keep the state of an unfinished training; it stays until the caller has made sure of the result.
    resume
        Whether to go on from the state file, if there is one.

    Raises
    ------
    InputError
        If there is nothing to do, or the state belongs to another training.
    """
    progress = progress or Progress()
    if task.steps < 1 or task.features < 1:
        raise InputError("Training needs at least one step and one feature map; give larger numbers.")
    torch.manual_seed(task.seed)
    network = VesselUNet(task.features)
    pool: dict[int, Angiogram] = {}

    def volume(number: int) -> Angiogram:
        return angiogram(np.random.default_rng([task.seed, 5, number]), _VOLUME)

    def batches(step: int) -> tuple[Tensor, Tensor]:
        nonlocal pool
        first = step // _STEPS_PER_VOLUME
        pool = {n: pool[n] if n in pool else volume(n) for n in range(first, first + _POOL)}
        rng = np.random.default_rng([task.seed, 6, step])
        patches = [_patch(pool[first + int(rng.integers(_POOL))], rng) for _ in range(BATCH)]
        images, vessels = (np.stack(some)[:, None] for some in zip(*patches, strict=True))
        return torch.from_numpy(images), torch.from_numpy(vessels)

    progress.stage("Training the perceptual network")
    optimise(
        network,
        batches,
        deep_supervision_loss,
        Schedule(task.steps, LEARNING_RATE, warm_up=WARM_UP),
        residual=False,
        device=device,
        progress=progress,
        state_file=state_file,
        resume=resume,
        identity={"vessel training": repr(task)},
    )
    return network


def _patch(volume: Angiogram, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Image and vessels ``PATCH`` at a random place, with random contrast, mirrored and turned."""
    room = np.array(_VOLUME) - np.array(PATCH)
    corner = rng.integers(room + 1)
    if rng.random() < _WITH_VESSELS:
        places = np.argwhere(volume.vessels)
        if len(places):
            corner = np.clip(places[rng.integers(len(places))] - np.array(PATCH) // 2, 0, room)
    box = tuple(slice(int(a), int(a) + n) for a, n in zip(corner, PATCH, strict=True))
    axes, flips = rng.permutation(3), tuple(int(axis) for axis in np.flatnonzero(rng.random(3) < 0.5))
    image, vessels = (
        np.flip(np.transpose(whole[box], axes), flips).astype(np.float32)
        for whole in (volume.image.data * rng.uniform(0.6, 1.2), volume.vessels)
    )
    return image, vessels


def deep_supervision_loss(logits: Sequence[Tensor], vessels: Tensor) -> Tensor:
    """Cross-entropy and Dice loss of every level, each level counting half as much as the finer one.

    Parameters
    ----------
    logits
        ``(B, 1, D, H, W)`` of every level, the finest first.
    vessels
        1 within vessels, else 0, ``(B, 1, D, H, W)``.
    """
    total = vessels.new_zeros(())
    for level, found in enumerate(logits):
        share = torch.sigmoid(found)
        overlap = 2 * (share * vessels).sum() + 1
        dice = 1 - overlap / (share.sum() + vessels.sum() + 1)
        total = total + 0.5**level * (F.binary_cross_entropy_with_logits(found, vessels) + dice)
    return total


def unseen_dice(network: VesselUNet, seed: int = 0, count: int = _UNSEEN) -> list[float]:
    """Dice coefficients of the network on angiograms that no training has seen.

    Parameters
    ----------
    network
        In evaluation mode.
    seed
        That of the training.
    count
        Number of angiograms of 64^3 voxels.
    """
    found = []
    for number in range(count):
        unseen = angiogram(np.random.default_rng([seed, 7, number]), _VOLUME)
        with torch.inference_mode():
            logits = network(torch.from_numpy(unseen.image.data)[None, None])[0][0, 0].numpy()
        segmented = logits > 0
        overlap = np.count_nonzero(segmented & unseen.vessels)
        found.append(2 * overlap / max(1, np.count_nonzero(segmented) + np.count_nonzero(unseen.vessels)))
    return found


def save_encoder(network: VesselUNet, task: VesselTraining, dice: Sequence[float], path: Path) -> None:
    """Write the levels that the perceptual loss needs, convolutions in half precision.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    encoder = VesselEncoder(task.features, LEVELS)
    wanted = encoder.state_dict().keys()
    # batch statistics stay as they are: they are small, and a variance can be large
    tensors = {
        name: tensor.half() if tensor.ndim == 5 else tensor
        for name, tensor in network.encoder.state_dict().items()
        if name in wanted
    }
    facts = {
        **asdict(task),
        "dice": [round(value, 4) for value in dice],
        "version": __version__,
        "created": datetime.date.today().isoformat(),
    }
    save_tensors(tensors, {"SRDynamicMRI perceptual network": json.dumps(facts, sort_keys=True)}, path)
