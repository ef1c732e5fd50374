"""A scan: where the body lies on its grid, the coil's shading, and noise."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..errors import InputError
from ..volume import FloatArray, Geometry, Shape
from .solids import Vector, float32

Spacing = tuple[float, float, float]


@dataclass(frozen=True)
class Pose:
    """Where the body lies: its origin in mm LPS and its axes as the columns of a 3x3 matrix (may mirror)."""

    origin: Vector
    axes: Vector = field(default_factory=lambda: np.eye(3))

    def body(self, geometry: Geometry) -> list[FloatArray]:
        """Body coordinates x, y, z in mm of every voxel, each ``(D, H, W)``."""
        depth, height, width = geometry.shape
        steps = (self.axes.T @ geometry.axes).astype(np.float32)
        start = (self.axes.T @ (np.asarray(geometry.origin) - self.origin)).astype(np.float32)
        k, j, i = np.ogrid[:depth, :height, :width]
        return [
            steps[n, 0] * i.astype(np.float32)
            + steps[n, 1] * j.astype(np.float32)
            + steps[n, 2] * k.astype(np.float32)
            + start[n]
            for n in range(3)
        ]


def shade(image: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Image ``(D, H, W)`` seen through a smooth coil sensitivity of mean 1, brighter to one side and the surface."""
    slope, curvature = np.clip(rng.normal(0, 0.12, 3), -0.22, 0.22), rng.uniform(0, 0.16, 3)
    sensitivity = np.ones((1, 1, 1), dtype=np.float32)
    for axis, size in enumerate(image.shape):
        u = np.linspace(-1, 1, size)
        profile = np.exp(slope[axis] * u + curvature[axis] * u**2)
        shape = [size if a == axis else 1 for a in range(3)]
        sensitivity = sensitivity * (profile / profile.mean()).astype(np.float32).reshape(shape)
    return image * sensitivity


def add_noise(image: FloatArray, rng: np.random.Generator, sigma: float) -> FloatArray:
    """Magnitude of an image of any shape with complex Gaussian noise of SD `sigma` in either channel."""
    real, imaginary = (np.float32(sigma) * rng.standard_normal(image.shape, dtype=np.float32) for _ in range(2))
    return float32(np.hypot(image + real, imaginary))


def check_shape(shape: Shape) -> None:
    """Raise InputError unless the shape has three axes of at least 4 voxels."""
    if len(shape) != 3 or min(shape) < 4:
        message = f"A phantom needs at least 4 voxels along each of its 3 axes, but the shape is {tuple(shape)}."
        raise InputError(message)


def axial_grid(shape: Shape, spacing: Spacing, centre: Vector) -> Geometry:
    """Axial grid whose middle is at `centre` in mm LPS."""
    half = (np.array(shape[::-1]) - 1) / 2 * np.array(spacing)
    x, y, z = (float(v) for v in centre - half)
    return Geometry((shape[0], shape[1], shape[2]), (spacing[0], spacing[1], spacing[2]), (x, y, z))
