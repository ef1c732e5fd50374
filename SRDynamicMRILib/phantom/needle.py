"""A needle that advances into the liver: its path, and the signal void that it leaves."""

from __future__ import annotations

import numpy as np

from ..volume import FloatArray, Geometry
from .body import Body
from .scan import Pose
from .solids import Points, Vector, along_segment, float32


def needle_path(body: Body, pose: Pose, geometry: Geometry) -> tuple[Vector, Vector]:
    """Entry at the skin and target in the liver, mm LPS, in the plane of one slice."""
    target = pose.origin + np.array([-58.0, 4.0, 22.0]) * body.scale
    slices = geometry.origin[2] + geometry.spacing[2] * np.arange(geometry.shape[0])
    target[2] = slices[np.abs(slices - target[2]).argmin()]
    heading = np.array([-0.62, -0.78, 0.0])
    reach = np.linspace(0, 250, 2501, dtype=np.float32)
    x, y, _ = ((target - pose.origin)[n] + heading[n] * reach for n in range(3))
    skin, _ = body.wall_depths(x.astype(np.float32), y.astype(np.float32))
    return target + heading * float(reach[np.argmax(skin <= 0)]), target


def insert_needle(image: FloatArray, geometry: Geometry, entry: Vector, tip: Vector) -> FloatArray:
    """Image ``(D, H, W)`` with the void of a needle from `entry` to `tip` (mm LPS), 2 voxels wide with a bright rim."""
    x, y, z = Pose(np.zeros(3)).body(geometry)
    outside = entry + (entry - tip) / np.linalg.norm(entry - tip) * 15  # the skin moves, the shaft is longer
    pixel = np.float32(max(geometry.spacing[:2]))
    zero = np.zeros_like(x)
    flattened = z * (1.6 * pixel / np.float32(geometry.spacing[2]))  # one slice thick
    scale = np.array([1, 1, 1.6 * pixel / geometry.spacing[2]])
    distance, _ = along_segment(Points(x, y, flattened, *(zero,) * 7), outside * scale, tip * scale)
    void = np.clip(0.5 + (pixel - distance) / pixel, 0, 1)
    rim = np.exp(-(((distance - 2 * pixel) / (0.5 * pixel)) ** 2))
    return float32(image * (1 - 0.94 * void) * (1 + 0.15 * rim))
