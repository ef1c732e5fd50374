"""A trunk without its organs: outline, random fields, and how it breathes."""

from __future__ import annotations

import numpy as np
from scipy import ndimage, special

from ..geometry import FloatArray
from .solids import Points, float32


class Body:
    """One build: the outline of the trunk, random fields within it, and how it breathes.

    Lengths are in mm. Positions ``x, y, z`` are body coordinates, float32 arrays of one shape, as is what is returned.
    Everything random is drawn at the start, so that what follows is a function of position alone.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self.half_width, self.half_height = rng.uniform(143, 163), rng.uniform(96, 116)
        self.exponent = rng.uniform(2.2, 2.7)
        self.fat = rng.uniform(6, 22)
        self.muscle = rng.uniform(8, 12)
        self.fat_shape = rng.uniform((-0.2, 0.1, -0.1), (0.3, 0.6, 0.4))
        self.dome = rng.normal((72, 62), 5).astype(np.float32)
        self.fields = [random_field(rng, n, sigma) for n, sigma in ((48, 2.5), (64, 1.9), (96, 0.75))]
        shell = self.fat + self.muscle
        self.scale = np.array(
            [(self.half_width - shell) / 130, (self.half_height - shell) / 80, rng.uniform(0.92, 1.08)]
        )

    def points(self, x: FloatArray, y: FloatArray, z: FloatArray) -> Points:
        """Positions (mm, body coordinates) with their depths and random fields."""
        skin, fat = self.wall_depths(x, y)
        stacked = np.stack((z, y, x))
        pitches = (5.0, 2.6, 1.5)
        wobble, web, fine = (
            ndimage.map_coordinates(texture, stacked / np.float32(pitch), order=1, mode="grid-wrap", output=np.float32)
            for texture, pitch in zip(self.fields, pitches, strict=True)
        )
        wall = skin - fat * (1 + np.float32(0.08) * wobble)
        inner, dome = wall - np.float32(self.muscle), self._below_dome(x, y, z, wobble)
        return Points(x, y, z, skin, wall, inner, dome, wobble, web, fine)

    def wall_depths(self, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Depth below the skin and thickness of the subcutaneous fat in mm at ``(x, y)``."""
        n = np.float32(self.exponent)
        a, b = self.half_width, float32(np.where(y < 0, self.half_height, 0.92 * self.half_height))
        u, v = np.abs(x) / a, np.abs(y) / b
        steep_u, steep_v = u ** (n - 1), v ** (n - 1)
        radius = (steep_u * u + steep_v * v + np.float32(1e-6)) ** (1 / n)
        slope = np.hypot(steep_u / a, steep_v / b) + np.float32(1e-6)
        depth = (1 - radius) * radius ** (n - 1) / slope
        groove = np.exp(-((x / 14) ** 2)) * np.clip(y / b, 0, 1) ** 2
        front, side, back = self.fat_shape.astype(np.float32)
        ratio = y / b
        fat = 0.8 + front * np.clip(-ratio, 0, 1) ** 2 + side * u**2 * np.clip(ratio + 0.5, 0, 1)
        fat += back * np.clip(ratio, 0, 1) ** 2
        return float32(depth - 5 * groove), float32(fat * np.float32(self.fat))

    def displacement(self, x: FloatArray, y: FloatArray, z: FloatArray, breath: float) -> tuple[FloatArray, FloatArray]:
        """Displacement ``(dy, dz)`` in mm at positions of the body when the diaphragm is `breath` mm down."""
        skin, fat = self.wall_depths(x, y)
        ratio = y / np.float32(self.half_height)
        free = np.clip((skin - fat - np.float32(self.muscle)) / 18, 0, 1)  # organs slide along the wall
        before_spine = 1 - np.exp(-((x / 42) ** 4)) * special.expit((ratio - 0.17) / 0.04)
        before_back = special.expit((0.6 - ratio) / 0.06)
        upper = 0.3 + 0.7 * special.expit((z - 5) / 25)
        down = free * free * (3 - 2 * free) * before_spine * before_back * upper
        forward = np.clip((0.15 - ratio) / 1.1, 0, 1) ** 1.5
        return float32(-0.35 * breath * forward), float32(-breath * down)

    def _below_dome(self, x: FloatArray, y: FloatArray, z: FloatArray, wobble: FloatArray) -> FloatArray:
        """Depth in mm below the diaphragm."""
        sx, sy, sz = self.scale.astype(np.float32)
        right = self.dome[0] - 42 * (((x / sx + 66) / 70) ** 2 + ((y / sy + 8) / 88) ** 2)
        left = self.dome[1] - 42 * (((x / sx - 64) / 68) ** 2 + ((y / sy + 2) / 88) ** 2)
        middle = self.dome.mean() - 14 - 42 * ((x / sx / 95) ** 2 + ((y / sy + 25) / 100) ** 2)
        height = np.maximum(np.maximum(np.maximum(right, left), middle) * sz, -60) + 2.5 * wobble
        return float32(0.75 * (height - z))


def random_field(rng: np.random.Generator, size: int, sigma: float) -> FloatArray:
    """Periodic band-limited Gaussian field of unit variance, ``(size, size, size)``."""
    smooth = ndimage.gaussian_filter(rng.standard_normal((size,) * 3, dtype=np.float32), sigma, mode="wrap")
    return float32(smooth / smooth.std())
