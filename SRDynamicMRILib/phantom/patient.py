"""A synthetic patient: planning scan, breathing series and labels; and single random scans to train on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..errors import InputError
from ..geometry import FloatArray, Shape
from ..volume import Series, Volume
from .needle import insert_needle, needle_path
from .painting_order import random_anatomy
from .phase import phase_of
from .rendering import render
from .scan import Pose, Spacing, add_noise, axial_grid, check_shape, shade
from .solids import Vector
from .tissues import Contrast, intensities_of

_FRAME_INTERVAL = 0.5  # s
_BREATH_PERIOD = 4.2  # s
_STATIC_NOISE, _DYNAMIC_NOISE = 10.0, 12.0  # SD in either channel; the brightest tissue has about 760
_NEEDLE_START = 0.35  # share of the path already travelled at the first time point


@dataclass(frozen=True)
class Phantom:
    """A synthetic patient: planning scan, dynamic series and what is known about them.

    Parameters
    ----------
    static
        Breath-hold scan at end-expiration ``(D, H, W)``.
    dynamic
        Free-breathing scans of another session: same grid, patient moved by about 2 mm. Time points are
        rendered when asked for and do not depend on the order of access.
    labels
        uint8 ``(D, H, W)``: tissue with the largest share of every voxel of `static`, numbered by `LABELS`.
    diaphragm
        Downward displacement of the diaphragm in mm at every time point; 0 is end-expiration.
    static_phase, dynamic_phase
        Their phases in radians, -pi to pi: smooth, with fat opposed to water. With them the scans are complex images.
    needle_tip, needle_entry
        Position of the tip and of the entry at the skin in mm LPS, ``(time points, 3)``; None without
        a needle.
    """

    static: Volume
    dynamic: Series
    labels: NDArray[np.uint8]
    diaphragm: tuple[float, ...]
    static_phase: Volume
    dynamic_phase: Series
    needle_tip: NDArray[np.float64] | None = None
    needle_entry: NDArray[np.float64] | None = None


def breaths_at(rng: np.random.Generator, times: Vector) -> Vector:
    """Displacement of the diaphragm in mm at `times` (s); free breathing, no two cycles of the same depth."""
    start, slow, slower = rng.uniform(0, 2 * np.pi, 3)
    phase = 2 * np.pi * times / _BREATH_PERIOD + start + 0.4 * np.sin(2 * np.pi * times / 13 + slower)
    depth = rng.uniform(12, 19) * (1 + 0.25 * np.sin(2 * np.pi * times / 9.1 + slow))
    drift = 0.6 * np.sin(2 * np.pi * times / 7.3 + slow)
    down: Vector = depth * (0.5 - 0.5 * np.cos(phase)) ** 1.3 + drift
    return down


def abdomen(
    seed: int = 0,
    shape: Shape = (24, 192, 256),
    spacing: Spacing = (1.36, 1.36, 4.0),
    time_points: int = 10,
    needle: bool = False,
    contrast: Contrast = "t1_flash",
) -> Phantom:
    """Return a synthetic patient in a breath-hold and breathing freely.

    Parameters
    ----------
    seed
        Same seed, same bytes.
    shape
        Number of voxels ``(D, H, W)``, at least 4 along each axis; axial slices.
    spacing
        Voxel size in mm, ``(x, y, z)``. The trunk measures about 320 x 220 mm in-plane; a needle outside
        the field of view is not seen.
    time_points
        Number of dynamic scans, 0.5 s apart.
    needle
        Whether a needle advances into the liver during the dynamic series.
    contrast
        "t1_flash", or "random" for another order of tissue intensities.

    Returns
    -------
        The scans: nonnegative magnitudes, mostly within 0..1000, noise of SD 10 (static) and 12 (dynamic).

    Raises
    ------
    InputError
        If the shape has an axis shorter than 4, or there is no time point, or the contrast is unknown.
    """
    check_shape(shape)
    if time_points < 1:
        message = f"A dynamic series needs at least 1 time point, but {time_points} were asked for."
        raise InputError(message)
    if contrast not in ("t1_flash", "random"):
        message = f"The contrast must be t1_flash or random, but it is {contrast}."
        raise InputError(message)
    anatomy = random_anatomy(np.random.default_rng([seed, 0]))
    rng = np.random.default_rng([seed, 1])
    intensities = intensities_of(contrast, rng)
    rest = Pose(rng.uniform((-15, -25, -60), (15, 5, 60)))
    geometry = axial_grid(shape, spacing, rest.origin + np.array([0.0, 0.0, 8.0]))
    session = Pose(rest.origin + rng.normal(0, 1.3, 3))
    times: Vector = _FRAME_INTERVAL * np.arange(time_points, dtype=np.float64)
    breaths = breaths_at(rng, times)
    tips = entries = None
    if needle:
        entry, target = needle_path(anatomy.body, session, geometry)
        entries = np.tile(entry, (time_points, 1))
        tips = entry + np.linspace(_NEEDLE_START, 1, time_points)[:, None] * (target - entry)

    def rendered(number: int) -> tuple[FloatArray, NDArray[np.uint8]]:
        x, y, z = session.body(geometry)
        dy, dz = anatomy.body.displacement(x, y, z, float(breaths[number]))
        return render(anatomy, anatomy.body.points(x, y - dy, z - dz), intensities, min(spacing[:2]))

    def frame(number: int) -> FloatArray:
        image, _ = rendered(number)
        if tips is not None and entries is not None:
            image = insert_needle(image, geometry, entries[number], tips[number])
        shaded = shade(image, np.random.default_rng([seed, 3]))  # the session's coil, the frame's noise
        return add_noise(shaded, np.random.default_rng([seed, 4, number]), _DYNAMIC_NOISE)

    def phase(number: int) -> FloatArray:
        _, moved = rendered(number)
        return phase_of(moved, np.random.default_rng([seed, 6]))  # the session's field

    still, labels = render(anatomy, anatomy.body.points(*rest.body(geometry)), intensities, min(spacing[:2]))
    rng = np.random.default_rng([seed, 2])
    static = Volume(add_noise(shade(still, rng), rng, _STATIC_NOISE), geometry)
    static_phase = Volume(phase_of(labels, np.random.default_rng([seed, 5])), geometry)
    dynamic, dynamic_phase = (Series(load, times.tolist(), geometry) for load in (frame, phase))
    return Phantom(static, dynamic, labels, tuple(breaths.tolist()), static_phase, dynamic_phase, tips, entries)


def random_abdomen(rng: np.random.Generator, shape: Shape, spacing: Spacing | None = None) -> Volume:
    """Return one planning scan of random anatomy, contrast, field of view, resolution, noise and shading.

    Parameters
    ----------
    rng
        Source of everything random.
    shape
        Number of voxels ``(D, H, W)``, at least 4 along each axis.
    spacing
        Voxel size in mm, ``(x, y, z)``; without it 0.8 to 2 mm in-plane and slices of 2 to 8 mm.

    Raises
    ------
    InputError
        If the shape has an axis shorter than 4.
    """
    check_shape(shape)
    anatomy = random_anatomy(rng)
    intensities = intensities_of("random", rng)
    if spacing is None:
        pixel = float(rng.uniform(0.8, 2.0))
        spacing = (pixel, pixel, float(rng.uniform(2, 8)))
    turn = rng.normal(0, 0.06, 3)
    axes = np.eye(3) + np.cross(np.eye(3), turn)
    axes = np.linalg.qr(axes)[0]
    axes = axes * np.sign(np.diag(axes)) * np.where(rng.random(3) < (0.3, 0.15, 0.1), -1, 1)
    field_of_view = np.array(spacing) * np.array(shape[::-1])
    room = np.maximum(np.array([anatomy.body.half_width, anatomy.body.half_height, 0]) - 0.42 * field_of_view, 8)
    room[2] = 35
    middle = axes @ (rng.uniform(-room, room) + (0, 0, 5))
    origin = rng.uniform(-60, 60, 3)
    geometry = axial_grid(shape, spacing, origin + middle)
    points = anatomy.body.points(*Pose(origin, axes).body(geometry))
    image, _ = render(anatomy, points, intensities, min(spacing[:2]))
    if rng.random() < 0.4:
        image = ndimage.gaussian_filter(image, (0, *(rng.uniform(0.3, 0.7),) * 2))
    image = shade(image * np.float32(rng.uniform(0.6, 1.2)), rng)
    return Volume(add_noise(image, rng, float(np.exp(rng.uniform(np.log(2), np.log(28))))), geometry)
