"""Solids by their signed depth in mm, and what they are composed of: ellipsoids, tubes, half-spaces, trees."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..geometry import FloatArray

Vector = NDArray[np.float64]
Point = tuple[float, float, float]
Segment = tuple[Vector, Vector, float]


@dataclass(frozen=True)
class Points:
    """Positions in the body, with what many solids ask about them; all float32 of one shape ``(d, h, w)``."""

    x: FloatArray
    y: FloatArray
    z: FloatArray
    skin: FloatArray  # mm below the skin
    wall: FloatArray  # mm below the subcutaneous fat
    inner: FloatArray  # mm within the abdominal wall
    dome: FloatArray  # mm below the diaphragm
    wobble: FloatArray  # random fields of unit variance: shapes (about 40 mm),
    web: FloatArray  # septa, where it crosses zero (10 mm),
    fine: FloatArray  # and texture (3 mm)

    def __getitem__(self, box: tuple[slice, ...]) -> Points:
        return Points(*(getattr(self, name)[box] for name in self.__dataclass_fields__))


Depth = Callable[[Points], FloatArray]


def float32(values: ArrayLike) -> FloatArray:
    """Values in single precision, in which solids are evaluated."""
    return np.asarray(values, dtype=np.float32)


@dataclass(frozen=True)
class Solid:
    """A region by its signed depth in mm, with a bounding box in mm, ``(x, y, z)``."""

    depth: Depth
    low: Vector = field(default_factory=lambda: np.full(3, -np.inf))
    high: Vector = field(default_factory=lambda: np.full(3, np.inf))

    def __and__(self, other: Solid) -> Solid:
        return Solid(
            lambda p: np.minimum(self.depth(p), other.depth(p)),
            np.maximum(self.low, other.low),
            np.minimum(self.high, other.high),
        )

    def __or__(self, other: Solid) -> Solid:
        return Solid(
            lambda p: np.maximum(self.depth(p), other.depth(p)),
            np.minimum(self.low, other.low),
            np.maximum(self.high, other.high),
        )

    def __sub__(self, other: Solid) -> Solid:
        return replace(self, depth=lambda p: np.minimum(self.depth(p), -other.depth(p)))

    def offset(self, by: float | Depth) -> Solid:
        """Solid grown by `by` mm, or by a function of position of up to about 4 mm."""
        grown = by if callable(by) else lambda p: np.float32(by)
        reach = 4.0 if callable(by) else max(by, 0.0)
        return Solid(lambda p: self.depth(p) + grown(p), self.low - reach, self.high + reach)


def ellipsoid(centre: ArrayLike, radii: ArrayLike, turn: float = 0.0, tilt: float = 0.0) -> Solid:
    """Ellipsoid turned about z and then tilted about y (rad)."""
    middle, r = np.asarray(centre, float), np.asarray(radii, float)
    c, s, ct, st = np.cos(turn), np.sin(turn), np.cos(tilt), np.sin(tilt)
    axes = np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]]) @ np.array([[ct, 0, -st], [0, 1, 0], [st, 0, ct]])

    def depth(p: Points) -> FloatArray:
        dx, dy, dz = (v - np.float32(m) for v, m in zip((p.x, p.y, p.z), middle, strict=True))
        first = second = np.float32(1e-6)
        for (u, v, w), radius in zip(axes.astype(np.float32), r.astype(np.float32), strict=True):
            along = (u * dx + v * dy + w * dz) / radius
            first = first + along**2
            second = second + (along / radius) ** 2
        distance = np.sqrt(first)
        return float32(distance * (1 - distance) / np.sqrt(second))

    reach = np.sqrt(((axes * r[:, None]) ** 2).sum(axis=0))
    return Solid(depth, middle - reach, middle + reach)


def unit(vector: ArrayLike) -> Vector:
    """Vector of length 1 in the same direction."""
    direction: Vector = np.asarray(vector, float) / np.linalg.norm(vector)
    return direction


def along_segment(p: Points, start: Vector, end: Vector) -> tuple[FloatArray, FloatArray]:
    """Distance to a segment and position along it, both in mm."""
    length = float(np.linalg.norm(end - start))
    ux, uy, uz = ((end - start) / length).astype(np.float32)
    x, y, z = (v - np.float32(s) for v, s in zip((p.x, p.y, p.z), start, strict=True))
    s = np.clip(ux * x + uy * y + uz * z, 0, np.float32(length))
    return np.sqrt((x - s * ux) ** 2 + (y - s * uy) ** 2 + (z - s * uz) ** 2), s


def tube(course: Sequence[ArrayLike], radius: float, taper: float = 1.0, haustra: float = 0.0) -> Solid:
    """Tube round a polyline, thinned to `taper`, bulging every `haustra` mm along the way unless it is 0."""
    line = [np.asarray(point, float) for point in course]
    radii = np.linspace(radius, radius * taper, len(line))
    bulge = 2.6 if haustra else 0.0

    def depth(p: Points) -> FloatArray:
        deepest, travelled = np.full_like(p.x, -1e3), 0.0
        for (start, end), r in zip(pairwise(line), radii, strict=False):
            distance, s = along_segment(p, start, end)
            inside = float(r) - distance
            if haustra:
                inside += bulge * np.cos(2 * np.pi / haustra * (s + travelled))
            np.maximum(deepest, inside, out=deepest)
            travelled += float(np.linalg.norm(end - start))
        return deepest

    return Solid(depth, np.min(line, axis=0) - radius - bulge, np.max(line, axis=0) + radius + bulge)


def half_space(point: ArrayLike, normal: ArrayLike) -> Solid:
    """Side of a plane that its normal points to."""
    direction = unit(normal)
    level = np.float32(direction @ np.asarray(point, float))
    u, v, w = direction.astype(np.float32)
    return Solid(lambda p: u * p.x + v * p.y + w * p.z - level)


def tree(
    rng: np.random.Generator,
    root: ArrayLike,
    direction: ArrayLike,
    length: float,
    radius: float,
    generations: int,
) -> list[Segment]:
    """Segments (start, end, radius) of a tree whose branches bend, part and thin out."""
    start, heading = np.asarray(root, float), np.asarray(direction, float)
    segments = []
    bends = 2 if generations > 1 else 1
    for _ in range(bends):
        heading = unit(unit(heading) + rng.normal(0, 0.18, 3))
        end = start + heading * length / bends
        segments.append((start, end, radius))
        start = end
    if generations:
        across = rng.uniform(0.5, 0.85) * unit(np.cross(heading, rng.normal(0, 1, 3)))
        for side in (across, -across):
            longer, wider = length * rng.uniform(0.7, 0.95), radius * rng.uniform(0.64, 0.88)
            segments += tree(rng, start, heading + side, longer, wider, generations - 1)
    return segments


def continued(solid: Solid) -> Depth:
    """Depth of a solid whose shape at z = 0 is continued to every height."""
    return lambda p: solid.depth(replace(p, z=np.zeros_like(p.z)))
