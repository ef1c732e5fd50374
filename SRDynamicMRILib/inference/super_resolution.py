"""From a low-resolution volume to a high-resolution one with a trained model (paper, section 2.2)."""

from __future__ import annotations

import numpy as np
import torch

from ..acquisition.acquisition import Acquisition, data_consistency
from ..acquisition.interpolation import high_resolution_grid, non_negative, upsample
from ..acquisition.stored import StoredImage
from ..errors import InputError
from ..geometry import Geometry
from ..models.checkpoints import Model
from ..models.model_info import ModelInfo
from ..networks.normalisation import intensity_scale
from ..progress import Progress
from ..volume import Volume
from .tiling import Inference, apply_network

_RINGING = 0.35
"""Share of the maximum that ringing below zero can reach; what is darker is no magnitude image."""


def target_grid(
    low_resolution: Geometry, like: Geometry | None, model: Model | ModelInfo, fraction: float | None = None
) -> Geometry:
    """Grid of the result for a low-resolution volume.

    Its field of view is always that of the low-resolution volume. The voxel size comes, in this order, from `like`, the
    fraction, the prior the model was fine-tuned on, the lowest fraction the model knows.

    Parameters
    ----------
    low_resolution
        Geometry of the volume to super-resolve.
    like
        Geometry of a high-resolution volume, such as the planning scan.
    model
        The model to be used, or what is known about it.
    fraction
        Share of in-plane k-space that the volume holds.

    Raises
    ------
    InputError
        If `like` has the lower resolution, or nothing tells the voxel size.
    """
    info = model.info if isinstance(model, Model) else model
    if like is not None:
        return high_resolution_grid(low_resolution, like)
    if fraction is None and info.prior_spacing:
        x, y = info.prior_spacing[:2]
        width = max(low_resolution.shape[2], round(low_resolution.shape[2] * low_resolution.spacing[0] / x))
        height = max(low_resolution.shape[1], round(low_resolution.shape[1] * low_resolution.spacing[1] / y))
        return low_resolution.with_matrix((height, width))
    if fraction is None:
        if not info.fractions:
            message = "The model does not say for which fraction of k-space it is; give --like PRIOR or --fraction."
            raise InputError(message)
        fraction = min(info.fractions)
    acquired = (low_resolution.shape[1], low_resolution.shape[2])
    return low_resolution.with_matrix(Acquisition.from_fraction_of_acquired(acquired, fraction).full_matrix)


def super_resolve(
    volume: Volume,
    model: Model,
    grid: Geometry,
    *,
    acquisition: Acquisition | None = None,
    device: torch.device | None = None,
    inference: Inference | None = None,
    progress: Progress | None = None,
) -> Volume:
    """Super-resolve one volume.

    Parameters
    ----------
    volume
        Low-resolution volume ``(D, m, n)`` as stored.
    model
        The model; its network is moved to the device.
    grid
        Grid of the result ``(D, H, W)`` over the same field of view; see `target_grid`.
    acquisition
        How the volume was acquired, as an image of the grid's matrix; all that is stored, the sign kept, if not given.
    device
        Where to compute; the CPU if not given. Where a GPU's memory does not suffice, smaller tiles are tried, then
        the CPU, and the log says so.
    inference
        How to apply the network; the whole volume at once if not given.
    progress
        Told what did not go as asked.

    Returns
    -------
        The result, intensities in the unit of the input; of a magnitude image, none is negative.

    Raises
    ------
    InputError
        If the network gives something that is not finite, or memory does not suffice.
    """
    device = device or torch.device("cpu")
    inference = inference or Inference()
    progress = progress or Progress()
    info = model.info
    size = (grid.shape[1], grid.shape[2])
    stored = StoredImage(volume.data, acquisition or Acquisition((volume.shape[1], volume.shape[2]), size))
    acquired, network = stored.acquired, model.network
    interpolated = upsample(network.image_of(stored), size, info.interpolation)
    scale = np.float32(
        intensity_scale(interpolated if info.normalisation == "maximum" else acquired, info.normalisation)
    )
    output = apply_network(network, network.input_of(stored, interpolated, scale), device, inference, progress)
    output = network.on_grid(output, stored.acquisition.acquired_matrix, size)
    if info.residual:
        output = output + interpolated / scale
    if not np.isfinite(output).all():
        message = "The network gave values that are not finite, so there is no result; use another model."
        raise InputError(message)
    result = output * scale
    if info.data_consistency and not stored.acquisition.magnitude:
        if acquired.min() >= -_RINGING * acquired.max():
            result = non_negative(acquired, size, start=result)
        else:
            progress.log("The volume has strongly negative voxels, so results may be negative too.")
            result = data_consistency(result, acquired)
    elif stored.acquisition.magnitude:
        if info.data_consistency:
            result = stored.acquisition.project(result, stored.data)
        result = np.maximum(result, 0)
    return Volume(result, grid)
