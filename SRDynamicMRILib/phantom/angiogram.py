"""Synthetic angiograms with the vessels known: what the perceptual network learns to segment.

Trees branch as arteries do: at a bifurcation the cubes of the radii add up (Murray 1926) and the angles are those of
the least work (Murray 1926; Zamir 1978); the length between bifurcations is proportional to the radius.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..geometry import FloatArray, Geometry, Shape
from ..volume import Volume

_Vector = NDArray[np.floating]

_ROOT_RADIUS = (0.9, 2.6)  # mm: from a segmental branch to the internal carotid artery
_THINNEST = 0.3  # mm: branches below are left out
_LENGTH = (6.0, 16.0)  # length between bifurcations, in radii
_STEP = 1.0  # mm between bends
_WANDER = 0.12  # radians of a bend
_LONGEST_TREE = 6000  # segments


@dataclass(frozen=True)
class Angiogram:
    """An image and where its vessels are.

    Parameters
    ----------
    image
        Magnitude image; the brightest vessels are near 1.
    vessels
        Boolean ``(D, H, W)``: voxels at least half within a vessel; one thinner than a voxel counts as a voxel wide.
    """

    image: Volume
    vessels: NDArray[np.bool_]


@dataclass(frozen=True)
class _Segment:
    """A short straight piece of a vessel; positions ``(z, y, x)`` in mm."""

    start: _Vector
    end: _Vector
    radius: float
    brightness: float


def angiogram(rng: np.random.Generator, shape: Shape, spacing: float | None = None) -> Angiogram:
    """Make one angiogram.

    Parameters
    ----------
    rng
        Source of chance: trees, tissue, contrast, bias field and noise.
    shape
        Voxels ``(D, H, W)``.
    spacing
        Size of the isotropic voxels in mm; drawn from 0.4 to 1 mm if not given.
    """
    spacing = float(rng.uniform(0.4, 1.0)) if spacing is None else spacing
    extent = np.array(shape) * spacing
    segments: list[_Segment] = []
    for _ in range(int(rng.integers(2, 7))):
        segments += _tree(rng, extent)
    tissue = _tissue(rng, shape, spacing)
    cover, brightness = _draw(segments, shape, spacing)
    contrast = rng.uniform(0.25, 0.8)
    vessels = float(tissue.max()) * (1 - contrast) + contrast * brightness
    image = tissue + cover * np.maximum(vessels - tissue, 0)
    image = image * _bias(rng, shape)
    sigma = rng.uniform(0.005, 0.06)
    noise = sigma * rng.standard_normal((2, *shape))
    image = np.hypot(image + noise[0], noise[1]).astype(np.float32)
    return Angiogram(Volume(image, Geometry(shape, (spacing,) * 3)), cover >= 0.5)


def _tree(rng: np.random.Generator, extent: _Vector) -> list[_Segment]:
    """A tree that enters the box ``(z, y, x)`` in mm through one of its faces."""
    axis, side = int(rng.integers(3)), int(rng.integers(2))
    root = rng.uniform(0.1, 0.9, 3) * extent
    root[axis] = side * extent[axis]
    heading = rng.normal(0, 0.4, 3)
    heading[axis] = 1 - 2 * side
    brightness = float(rng.uniform(0.75, 1.0))
    segments: list[_Segment] = []
    growing: list[tuple[_Vector, _Vector, float]] = [(root, _unit(heading), float(rng.uniform(*_ROOT_RADIUS)))]
    while growing and len(segments) < _LONGEST_TREE:
        position, direction, radius = growing.pop()
        for _ in range(max(1, round(radius * rng.uniform(*_LENGTH) / _STEP))):
            direction = _unit(direction + rng.normal(0, _WANDER, 3))
            end = position + _STEP * direction
            # slow flow in thin vessels gives less signal
            segments.append(_Segment(position, end, radius, brightness * min(1.0, 0.6 + 0.3 * radius)))
            position = end
        if np.all(position > -5) and np.all(position < extent + 5):
            growing += [(position, *branch) for branch in _branches(rng, direction, radius)]
    return segments


def _branches(rng: np.random.Generator, heading: _Vector, radius: float) -> list[tuple[_Vector, float]]:
    """Heading and radius of the two branches of a bifurcation, without those that are too thin."""
    ratio = rng.uniform(0.45, 1.0)
    wide = radius / (1 + ratio**3) ** (1 / 3)
    narrow = ratio * wide
    across = _unit(np.cross(heading, rng.normal(size=3)))
    found = []
    for own, other, side in ((wide, narrow, 1.0), (narrow, wide, -1.0)):
        if own < _THINNEST:
            continue
        cosine = (radius**4 + own**4 - other**4) / (2 * radius**2 * own**2)
        angle = np.arccos(np.clip(cosine, -0.2, 1.0))
        found.append((_unit(np.cos(angle) * heading + side * np.sin(angle) * across), own))
    return found


def _unit(vector: _Vector) -> _Vector:
    unit: _Vector = vector / np.linalg.norm(vector)
    return unit


def _draw(segments: list[_Segment], shape: Shape, spacing: float) -> tuple[FloatArray, FloatArray]:
    """Share of every voxel within a vessel, and the brightness of that vessel, both ``(D, H, W)``."""
    cover, brightness = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    for segment in segments:
        reach = segment.radius + spacing
        low = np.floor((np.minimum(segment.start, segment.end) - reach) / spacing).astype(int)
        high = np.ceil((np.maximum(segment.start, segment.end) + reach) / spacing).astype(int) + 1
        low, high = np.clip(low, 0, shape), np.clip(high, 0, shape)
        if np.any(high <= low):
            continue
        box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        grid = np.stack(np.meshgrid(*(np.arange(a, b) for a, b in zip(low, high, strict=True)), indexing="ij"), axis=-1)
        away = grid * spacing - segment.start
        course = segment.end - segment.start
        along = np.clip(away @ course / (course @ course), 0, 1)
        distance = np.linalg.norm(away - along[..., None] * course, axis=-1)
        # a vessel thinner than a voxel covers the voxel on its axis only in part, but is there all the same
        share = np.clip(0.5 + (max(segment.radius, 0.5 * spacing) - distance) / spacing, 0, 1).astype(np.float32)
        nearer = share > cover[box]
        cover[box][nearer] = share[nearer]
        brightness[box][nearer] = segment.brightness
    return cover, brightness


def _tissue(rng: np.random.Generator, shape: Shape, spacing: float) -> FloatArray:
    """Background of some tissues with soft texture, bright spots and sheets that are no vessels."""
    image = np.full(shape, rng.uniform(0.0, 0.15), np.float32)
    for _ in range(int(rng.integers(2, 6))):
        field = _smooth(rng, shape, rng.uniform(3, 12) / spacing)
        level = rng.uniform(-0.5, 1.0)
        inside = np.clip((field - level) * 4 + 0.5, 0, 1)
        image += inside * (np.float32(rng.uniform(0.05, 0.4)) - image)
    image *= 1 + np.float32(0.1) * _smooth(rng, shape, 1.0 / spacing)
    if rng.random() < 0.5:  # a bright sheet, such as skin or dura
        field = _smooth(rng, shape, 8 / spacing)
        image += np.exp(-((field / 0.08) ** 2)) * np.float32(rng.uniform(0.1, 0.5))
    if rng.random() < 0.5:  # bright spots, such as fat or haemorrhage
        field = _smooth(rng, shape, 2 / spacing)
        image += np.clip(field - 2.2, 0, 1) * np.float32(rng.uniform(0.2, 0.8))
    return np.maximum(image, 0).astype(np.float32)


def _smooth(rng: np.random.Generator, shape: Shape, sigma: float) -> FloatArray:
    """Gaussian field of unit variance with a correlation length of some `sigma` voxels."""
    step = max(1, int(sigma // 3))  # as smooth a field is drawn on a coarser grid
    coarse = tuple(-(-size // step) + 2 for size in shape)
    field = ndimage.gaussian_filter(rng.standard_normal(coarse, dtype=np.float32), sigma / step, mode="wrap")
    if step > 1:
        field = ndimage.zoom(field, step, order=1)[tuple(slice(0, size) for size in shape)]
    field = field[tuple(slice(0, size) for size in shape)]
    return np.asarray((field - field.mean()) / max(float(field.std()), 1e-6), dtype=np.float32)


def _bias(rng: np.random.Generator, shape: Shape) -> FloatArray:
    """Smooth coil sensitivity around 1."""
    bias = np.ones(shape, np.float32)
    for axis, size in enumerate(shape):
        u = np.linspace(-1, 1, size).reshape([size if a == axis else 1 for a in range(3)])
        bias = bias * np.exp(rng.normal(0, 0.15) * u - abs(rng.normal(0, 0.15)) * u**2)
    return bias.astype(np.float32)
