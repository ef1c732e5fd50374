"""A synthetic abdomen that breathes: static planning scan, dynamic series and labels, from a seed.

The anatomy is a list of solids, each a signed depth in mm (positive inside) as a function of position. They
are painted one over the other on the voxels of a scan. Breathing displaces the positions before the anatomy
is evaluated there, so that a moved organ is as sharp as a resting one. Edges are partial-volume ramps about
one voxel wide, whatever the voxel's proportions, hence the object is roughly band-limited on its grid.

Body coordinates are LPS in mm: x to the patient's left, y to the back, z to the head; the origin is in the
middle of the trunk at the height of the kidneys.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage, special

from .errors import InputError
from .volume import FloatArray, Geometry, Series, Shape, Volume

Spacing = tuple[float, float, float]
Contrast = Literal["t1_flash", "random"]
Vector = NDArray[np.float64]
Point = tuple[float, float, float]
Segment = tuple[Vector, Vector, float]

# Intensity per contrast, 0..1000, and relative amplitude of the texture.
_TISSUES: dict[str, tuple[float, ...]] = {
    # name           T1w   T2w  fat-suppressed  bright-blood  dark-blood  CT  | texture
    "air": (0, 0, 0, 0, 0, 0, 0.0),
    "skin": (430, 260, 330, 400, 260, 540, 0.05),
    "fat": (760, 640, 110, 700, 610, 400, 0.05),
    "muscle": (300, 150, 310, 240, 250, 570, 0.07),
    "cortical_bone": (50, 30, 40, 50, 40, 950, 0.05),
    "marrow": (430, 330, 200, 350, 330, 680, 0.13),
    "disc": (270, 420, 250, 300, 310, 600, 0.08),
    "cerebrospinal_fluid": (110, 950, 120, 880, 800, 500, 0.02),
    "spinal_cord": (330, 380, 330, 350, 350, 560, 0.03),
    "lung": (45, 60, 50, 40, 50, 90, 0.2),
    "heart": (330, 230, 430, 300, 290, 640, 0.04),
    "liver": (440, 230, 520, 310, 370, 600, 0.04),
    "vessel": (240, 370, 760, 740, 70, 720, 0.02),
    "artery": (540, 120, 820, 860, 40, 790, 0.03),
    "vein": (330, 250, 700, 780, 70, 700, 0.03),
    "spleen": (290, 480, 560, 400, 450, 610, 0.04),
    "kidney_cortex": (370, 500, 700, 460, 450, 730, 0.06),
    "kidney_medulla": (250, 610, 480, 560, 520, 630, 0.06),
    "urine": (100, 980, 130, 900, 830, 490, 0.02),
    "pancreas": (460, 330, 560, 400, 390, 590, 0.10),
    "bowel_wall": (350, 330, 620, 390, 380, 640, 0.06),
    "bowel_content": (210, 720, 190, 680, 600, 510, 0.16),
    "gas": (8, 8, 8, 8, 8, 5, 0.0),
    "bile": (170, 960, 180, 870, 830, 500, 0.02),
}
LABELS: dict[str, int] = {name: number for number, name in enumerate(_TISSUES)}
_INTENSITIES = np.array([row[:-1] for row in _TISSUES.values()], dtype=np.float32)
_TEXTURE = np.array([row[-1] for row in _TISSUES.values()], dtype=np.float32)
# Tissue that runs in thin sheets through another, and how much of it.
_SEPTA = {"fat": ("muscle", 0.55), "muscle": ("fat", 0.4), "pancreas": ("fat", 0.7), "lung": ("vessel", 0.25)}

_EDGE_WIDTH = 1.2  # voxels over which a tissue gives way to the next
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
    needle_tip, needle_entry
        Position of the tip and of the entry at the skin in mm LPS, ``(time points, 3)``; None without
        a needle.
    """

    static: Volume
    dynamic: Series
    labels: NDArray[np.uint8]
    diaphragm: tuple[float, ...]
    needle_tip: NDArray[np.float64] | None = None
    needle_entry: NDArray[np.float64] | None = None


# ---------------------------------------------------------------------------------------------- positions


@dataclass(frozen=True)
class _Points:
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

    def __getitem__(self, box: tuple[slice, ...]) -> _Points:
        return _Points(*(getattr(self, name)[box] for name in self.__dataclass_fields__))


Depth = Callable[[_Points], FloatArray]


def _float(values: ArrayLike) -> FloatArray:
    return np.asarray(values, dtype=np.float32)


@dataclass(frozen=True)
class _Solid:
    """A region by its signed depth in mm, with a bounding box in mm, ``(x, y, z)``."""

    depth: Depth
    low: Vector = field(default_factory=lambda: np.full(3, -np.inf))
    high: Vector = field(default_factory=lambda: np.full(3, np.inf))

    def __and__(self, other: _Solid) -> _Solid:
        return _Solid(
            lambda p: np.minimum(self.depth(p), other.depth(p)),
            np.maximum(self.low, other.low),
            np.minimum(self.high, other.high),
        )

    def __or__(self, other: _Solid) -> _Solid:
        return _Solid(
            lambda p: np.maximum(self.depth(p), other.depth(p)),
            np.minimum(self.low, other.low),
            np.maximum(self.high, other.high),
        )

    def __sub__(self, other: _Solid) -> _Solid:
        return replace(self, depth=lambda p: np.minimum(self.depth(p), -other.depth(p)))

    def offset(self, by: float | Depth) -> _Solid:
        """Solid grown by `by` mm, or by a function of position of up to about 4 mm."""
        grown = by if callable(by) else lambda p: np.float32(by)
        reach = 4.0 if callable(by) else max(by, 0.0)
        return _Solid(lambda p: self.depth(p) + grown(p), self.low - reach, self.high + reach)


def _ellipsoid(centre: ArrayLike, radii: ArrayLike, turn: float = 0.0, tilt: float = 0.0) -> _Solid:
    """Ellipsoid turned about z and then tilted about y (rad)."""
    middle, r = np.asarray(centre, float), np.asarray(radii, float)
    c, s, ct, st = np.cos(turn), np.sin(turn), np.cos(tilt), np.sin(tilt)
    axes = np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]]) @ np.array([[ct, 0, -st], [0, 1, 0], [st, 0, ct]])

    def depth(p: _Points) -> FloatArray:
        dx, dy, dz = (v - np.float32(m) for v, m in zip((p.x, p.y, p.z), middle, strict=True))
        first = second = np.float32(1e-6)
        for (u, v, w), radius in zip(axes.astype(np.float32), r.astype(np.float32), strict=True):
            along = (u * dx + v * dy + w * dz) / radius
            first = first + along**2
            second = second + (along / radius) ** 2
        distance = np.sqrt(first)
        return _float(distance * (1 - distance) / np.sqrt(second))

    reach = np.sqrt(((axes * r[:, None]) ** 2).sum(axis=0))
    return _Solid(depth, middle - reach, middle + reach)


def _unit(vector: ArrayLike) -> Vector:
    unit: Vector = np.asarray(vector, float) / np.linalg.norm(vector)
    return unit


def _along(p: _Points, start: Vector, end: Vector) -> tuple[FloatArray, FloatArray]:
    """Distance to a segment and position along it, both in mm."""
    length = float(np.linalg.norm(end - start))
    ux, uy, uz = ((end - start) / length).astype(np.float32)
    x, y, z = (v - np.float32(s) for v, s in zip((p.x, p.y, p.z), start, strict=True))
    s = np.clip(ux * x + uy * y + uz * z, 0, np.float32(length))
    return np.sqrt((x - s * ux) ** 2 + (y - s * uy) ** 2 + (z - s * uz) ** 2), s


def _tube(course: Sequence[ArrayLike], radius: float, taper: float = 1.0, haustra: float = 0.0) -> _Solid:
    """Tube round a polyline, thinned to `taper`, bulging every `haustra` mm along the way unless it is 0."""
    line = [np.asarray(point, float) for point in course]
    radii = np.linspace(radius, radius * taper, len(line))
    bulge = 2.6 if haustra else 0.0

    def depth(p: _Points) -> FloatArray:
        deepest, travelled = np.full_like(p.x, -1e3), 0.0
        for (start, end), r in zip(pairwise(line), radii, strict=False):
            distance, s = _along(p, start, end)
            inside = float(r) - distance
            if haustra:
                inside += bulge * np.cos(2 * np.pi / haustra * (s + travelled))
            np.maximum(deepest, inside, out=deepest)
            travelled += float(np.linalg.norm(end - start))
        return deepest

    return _Solid(depth, np.min(line, axis=0) - radius - bulge, np.max(line, axis=0) + radius + bulge)


def _half_space(point: ArrayLike, normal: ArrayLike) -> _Solid:
    """Side of a plane that its normal points to."""
    unit = _unit(normal)
    level = np.float32(unit @ np.asarray(point, float))
    u, v, w = unit.astype(np.float32)
    return _Solid(lambda p: u * p.x + v * p.y + w * p.z - level)


def _tree(
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
        heading = _unit(_unit(heading) + rng.normal(0, 0.18, 3))
        end = start + heading * length / bends
        segments.append((start, end, radius))
        start = end
    if generations:
        across = rng.uniform(0.5, 0.85) * _unit(np.cross(heading, rng.normal(0, 1, 3)))
        for side in (across, -across):
            longer, wider = length * rng.uniform(0.7, 0.95), radius * rng.uniform(0.64, 0.88)
            segments += _tree(rng, start, heading + side, longer, wider, generations - 1)
    return segments


# ------------------------------------------------------------------------------------------------ anatomy


@dataclass(frozen=True)
class _Part:
    """What one solid is made of."""

    tissue: str
    solid: _Solid
    gain: float = 1.0  # intensity relative to the tissue's


class _Anatomy:
    """One subject: body outline, organs in painting order, random fields, and how the body breathes.

    Everything random is drawn here, so that rendering is a function of position alone.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self.half_width, self.half_height = rng.uniform(143, 163), rng.uniform(96, 116)
        self.exponent = rng.uniform(2.2, 2.7)
        self.fat = rng.uniform(6, 22)
        self.muscle = rng.uniform(8, 12)
        self.fat_shape = rng.uniform((-0.2, 0.1, -0.1), (0.3, 0.6, 0.4))
        self.dome = rng.normal((72, 62), 5).astype(np.float32)
        self.fields = [_random_field(rng, n, sigma) for n, sigma in ((48, 2.5), (64, 1.9), (96, 0.75))]
        shell = self.fat + self.muscle
        self.scale = np.array(
            [(self.half_width - shell) / 130, (self.half_height - shell) / 80, rng.uniform(0.92, 1.08)]
        )
        self.cavity = _Solid(lambda p: p.inner)
        self.abdomen = self.cavity & _Solid(lambda p: p.dome - 2)
        self.parts: list[_Part] = []
        self._rng = rng
        for organ in (
            self._add_wall, self._add_lungs, self._add_mesentery, self._add_colon, self._add_bowel,
            self._add_muscles, self._add_stomach, self._add_spleen, self._add_liver, self._add_kidneys,
            self._add_great_vessels, self._add_pancreas, self._add_spine, self._add_ribs,
        ):  # fmt: skip
            organ()

    def points(self, x: FloatArray, y: FloatArray, z: FloatArray) -> _Points:
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
        return _Points(x, y, z, skin, wall, inner, dome, wobble, web, fine)

    def wall_depths(self, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Depth below the skin and thickness of the subcutaneous fat in mm at ``(x, y)``."""
        n = np.float32(self.exponent)
        a, b = self.half_width, _float(np.where(y < 0, self.half_height, 0.92 * self.half_height))
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
        return _float(depth - 5 * groove), _float(fat * np.float32(self.fat))

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
        return _float(-0.35 * breath * forward), _float(-breath * down)

    def _below_dome(self, x: FloatArray, y: FloatArray, z: FloatArray, wobble: FloatArray) -> FloatArray:
        """Depth in mm below the diaphragm."""
        sx, sy, sz = self.scale.astype(np.float32)
        right = self.dome[0] - 42 * (((x / sx + 66) / 70) ** 2 + ((y / sy + 8) / 88) ** 2)
        left = self.dome[1] - 42 * (((x / sx - 64) / 68) ** 2 + ((y / sy + 2) / 88) ** 2)
        middle = self.dome.mean() - 14 - 42 * ((x / sx / 95) ** 2 + ((y / sy + 25) / 100) ** 2)
        height = np.maximum(np.maximum(np.maximum(right, left), middle) * sz, -60) + 2.5 * wobble
        return _float(0.75 * (height - z))

    # Organs. Positions and radii are those of an average build; `_at` and `_size` fit them to this one.

    def _at(self, x: float, y: float, z: float, wander: float = 3.0) -> Vector:
        place: Vector = np.array([x, y, z]) * self.scale + self._rng.normal(0, wander, 3)
        return place

    def _course(self, *places: Point, wander: float = 3.0) -> list[Vector]:
        return [self._at(*place, wander) for place in places]

    def _size(self, *radii: float) -> Vector:
        size: Vector = np.array(radii) * self.scale * self._rng.normal(1, 0.06)
        return size

    def _add(self, tissue: str, solid: _Solid, gain: float = 1.0) -> None:
        self.parts.append(_Part(tissue, solid, gain))

    def _add_tree(
        self,
        tissue: str,
        within: _Solid,
        root: ArrayLike,
        heading: ArrayLike,
        length: float,
        radius: float,
        depth: int,
    ) -> None:
        for start, end, r in _tree(self._rng, root, heading, length, radius, depth):
            self._add(tissue, _tube((start, end), r) & within)

    def _add_hollow(self, solid: _Solid, wall: float, folds: Depth, gas: float | None) -> None:
        """Wall, content, and gas in front of the level `gas` (mm, y): the patient lies on the back."""
        lumen = solid.offset(-wall).offset(folds)
        self._add("bowel_wall", solid)
        self._add("bowel_content", lumen, self._rng.uniform(0.6, 1.35))
        if gas is not None:
            self._add("gas", lumen & _half_space((0, gas, 0), (0, -1, 0)))

    def _add_wall(self) -> None:
        rectus = 0.42 * self.half_width

        def plane(p: _Points, middle: float) -> FloatArray:  # between the oblique muscles, beside the rectus
            thickness = 0.45 + 0.35 * p.web - np.maximum(rectus - np.abs(p.x), 0) / 6
            return _float(thickness - np.abs(p.wall - middle + 0.7 * p.wobble))

        def line(p: _Points, place: float, lean: float) -> FloatArray:
            across = np.abs(np.abs(p.x) - place - lean * p.wall)
            return _float(np.minimum(np.minimum(1 - across, -p.y - 20), p.wall))

        self._add("skin", _Solid(lambda p: p.skin))
        self._add("fat", _Solid(lambda p: p.skin - 2))
        self._add("muscle", _Solid(lambda p: p.wall))
        self._add("fat", _Solid(lambda p: plane(p, 0.36 * self.muscle)))
        self._add("fat", _Solid(lambda p: plane(p, 0.68 * self.muscle)))
        self._add("fat", _Solid(lambda p: line(p, 0, 0)))  # linea alba
        self._add("fat", _Solid(lambda p: line(p, rectus, 0.9)))  # semilunar lines
        self._add("fat", self.cavity)

    def _add_lungs(self) -> None:
        diaphragm = self.cavity & _Solid(lambda p: 2.5 - p.dome)
        lung = diaphragm.offset(-2.5)
        self._add("muscle", diaphragm)
        self._add("lung", lung)
        for side in (-1, 1):
            self._add_tree("vessel", lung, self._at(side * 45, 15, 118), (side * 0.5, 0.2, -1), 28, 3.0, 5)
        centre, size = self._at(20, -34, 92), self._size(56, 40, 40)
        self._add("fat", _ellipsoid(centre, size + 4) & self.cavity)
        self._add("heart", _ellipsoid(centre, size) & self.cavity)
        self._add("vein", _ellipsoid(centre + (12, 0, 4), size * 0.62) & self.cavity)

    def _add_mesentery(self) -> None:
        for _ in range(9):
            root = self._at(self._rng.uniform(-25, 40), 5, self._rng.uniform(-60, 10))
            self._add_tree("vein", self.abdomen, root, self._rng.normal((0, -0.7, -0.4), 0.7), 24, 2.0, 4)

    def _add_colon(self) -> None:
        rng = self._rng
        ascending = ((-104, 15, -95), (-102, 18, -45), (-98, 10, -12))
        transverse = ((-98, 10, -12), (-70, -45, -22), (-15, -64, -34), (45, -60, -18), (88, -25, 14))
        descending = ((88, -25, 14), (104, 18, 5), (104, 30, -50), (98, 25, -95))
        for places, radius in ((ascending, 20), (transverse, 17), (descending, 14)):
            course = self._course(*places)
            gas = course[1][1] + rng.uniform(-12, 6) if rng.random() < 0.75 else None
            colon = _tube(course, radius * rng.uniform(0.85, 1.1), haustra=rng.uniform(24, 32))
            self._add_hollow(colon & self.abdomen, 2.2, lambda p: 2 * p.fine, gas)

    def _add_bowel(self) -> None:
        rng = self._rng
        for _ in range(38):
            point = self._at(rng.uniform(-75, 98), rng.uniform(-68, 14), rng.uniform(-75, 28), 0)
            heading, course = rng.normal(0, 1, 3) * (1, 0.8, 0.5), [point]
            for _ in range(rng.integers(2, 5)):
                heading = _unit(_unit(heading) + rng.normal(0, 0.55, 3) * (1, 1, 0.5))
                course.append(course[-1] + heading * rng.uniform(12, 20))
            gas = point[1] - rng.uniform(0, 8) if rng.random() < 0.25 else None
            loop = _tube(course, rng.uniform(8, 13)) & self.abdomen
            self._add_hollow(loop, rng.uniform(1.6, 2.4), self._circular_folds(), gas)

    def _circular_folds(self) -> Depth:
        """Change of the lumen's depth in mm by the folds of the small bowel."""
        height, turn = self._rng.uniform(0.2, 1.6), self._rng.uniform(0, np.pi)
        frequency = 2 * np.pi / self._rng.uniform(4.5, 7.5)
        kx, ky = frequency * float(np.cos(turn)), frequency * float(np.sin(turn))
        return lambda p: _float(height * (np.cos(kx * p.x + ky * p.y + 2 * p.web) - 1))

    def _add_muscles(self) -> None:
        for side in (-1, 1):
            erector = _ellipsoid(self._at(side * 38, 70, -20, 1), self._size(34, 24, 400))
            psoas = _tube(self._course((side * 26, 40, 25), (side * 44, 36, -110), wander=1), 8)
            psoas |= _ellipsoid(self._at(side * 40, 38, -80, 1), self._size(19, 20, 75))
            crus = _tube(self._course((side * 10, 18, 70), (side * 15, 24, -10), wander=1), 5)
            for muscle in (erector, psoas, crus):
                self._add("muscle", muscle & self.cavity.offset(2))

    def _add_stomach(self) -> None:
        rng = self._rng
        body = _ellipsoid(self._at(56, -18, 40), self._size(36, 34, 36), rng.normal(0.4, 0.15))
        antrum = _tube(self._course((50, -32, 24), (15, -44, 10), (-18, -30, 10)), rng.uniform(14, 18), taper=0.7)
        stomach = (body | antrum).offset(lambda p: 3 * p.wobble) & self.abdomen
        gas = self._at(0, -34, 0)[1] if rng.random() < 0.8 else None
        self._add_hollow(stomach, 3.0, lambda p: 1.4 * np.cos(3 * p.web + 0.5 * p.z + 0.45 * p.x) - 1, gas)

    def _add_spleen(self) -> None:
        centre = self._at(94, 36, 34)
        hilum = _ellipsoid(centre - (34, 14, 0), (26, 30, 40))
        spleen = _ellipsoid(centre, self._size(30, 40, 44), -0.35, 0.1) - hilum
        spleen = spleen.offset(lambda p: 2 * p.wobble) & self.abdomen
        self._add("spleen", spleen)
        for lift in (-12, 6):
            self._add_tree("vessel", spleen, centre + (-16, -6, lift), (1, 0.4, lift / 20), 16, 2.2, 4)

    def _add_liver(self) -> None:
        rng, at = self._rng, self._at
        right = _ellipsoid(at(-64, 2, 18), self._size(68, 78, 72), 0.1, rng.normal(0.1, 0.05))
        left = _ellipsoid(at(-8, -40, 40), self._size(rng.uniform(52, 78), 34, 36), -0.15, 0.2)
        above = _half_space(at(-20, 16, 12), rng.normal((-0.75, -0.45, 0.55), 0.06))
        fissure = _ellipsoid(at(-18, -40, 12), (2.2, 24, 26), 0.15)
        liver = ((right | left) & above) - fissure
        liver = liver.offset(lambda p: 2.5 * p.wobble) & self.abdomen & self.cavity.offset(-1)
        self._add("fat", fissure.offset(6) & self.abdomen)
        self._add("liver", liver)
        portal, hepatic = at(-30, -2, 26, 1), at(-22, 4, 62, 1)
        for root, heading, radius in (
            (portal, (-1, 0.15, 0), 5.0), (portal, (-0.8, -0.7, 0.3), 4.0), (portal, (0.25, -1, 0.35), 3.6),
            (portal, (-0.8, 0.6, -0.5), 4.2), (hepatic, (-1, 0.1, -0.5), 4.6),
            (hepatic, (-0.7, -0.9, -0.4), 4.2), (hepatic, (0.4, -1, -0.3), 3.6),
        ):  # fmt: skip
            self._add_tree("vessel", liver.offset(-1), root, heading, 32, radius, 6)
        for _ in range(24):  # the periphery, which the trees from the hilum leave thin
            root = at(*rng.uniform((-120, -60, -40), (30, 55, 68)))
            self._add_tree("vessel", liver.offset(-2), root, rng.normal(0, 1, 3), 17, 2.1, 3)
        for _ in range(rng.integers(0, 3)):
            cyst = _ellipsoid(at(*rng.uniform((-110, -40, -10), (-30, 40, 60))), [rng.uniform(2, 8)] * 3)
            self._add("bile", cyst & liver)
        gallbladder = _ellipsoid(at(-46, -40, -6), self._size(13, 17, 27), 0.4, 0.2) & self.abdomen
        self._add("bowel_wall", gallbladder)
        self._add("bile", gallbladder.offset(-1.6))
        self._add("bile", _tube(self._course((-32, -8, 26), (-26, 0, -12), wander=1), 2.4) & self.abdomen)

    def _add_kidneys(self) -> None:
        for side, height in ((-1, -14), (1, -4)):
            self._add_kidney(side, self._at(side * 62, 36, height))
            adrenal = _tube(self._course((side * 34, 30, 34), (side * 44, 38, 22)), 2.6)
            self._add("muscle", adrenal & self.abdomen)

    def _add_kidney(self, side: int, centre: Vector) -> None:
        rng, size = self._rng, self._size(26, 29, 52)
        kidney = _ellipsoid(centre, size, side * 0.5, side * -0.15).offset(lambda p: 0.8 * p.wobble)
        hilum = centre - (side * 15, 7, 0)
        sinus = _ellipsoid(hilum, size * (0.58, 0.42, 0.5), side * 0.5)
        cx, cy, cz = (float(c) for c in centre)
        rings, count = 2 * np.pi / rng.uniform(17, 22), int(rng.integers(6, 9))

        def pyramids(p: _Points) -> FloatArray:
            angle = np.arctan2(p.y - cy, p.x - cx) + 0.25 * p.wobble
            return _float(3 * (np.cos(count * angle) + np.cos(rings * (p.z - cz)) + 0.6))

        self._add("fat", kidney.offset(rng.uniform(2, 6)).offset(lambda p: 2.5 * p.wobble) & self.abdomen)
        self._add("kidney_cortex", kidney)
        self._add("kidney_medulla", (kidney.offset(-6.5) - kidney.offset(-17)) & _Solid(pyramids))
        self._add("fat", sinus & (kidney.offset(2) | _half_space(centre, (-side, 0, 0))))
        self._add("urine", _ellipsoid(hilum, (8, 6, 13)))
        for lift in (-0.8, 0.0, 0.8):
            self._add_tree("urine", kidney.offset(-9), hilum + (0, 0, 10 * lift), (side, 0.4, lift), 14, 2.4, 1)
            self._add_tree("vessel", kidney.offset(-2), hilum + (0, -4, 9 * lift), (side, 0.2, lift), 13, 2.0, 3)
        renal_vein = self._course((side * 26, 16, cz + 4), (-18, 12, cz + 6), wander=1)
        self._add("vein", _tube([hilum, *renal_vein], 4.2))
        self._add("artery", _tube([hilum + (0, 6, 5), self._at(6, 14, cz + 12, 1)], 2.6))

    def _add_great_vessels(self) -> None:
        levels, course = (140, 60, 0, -60, -120), self._course
        aorta = course(*((7, 13, z) for z in levels), wander=1.5)
        cava = course(*((-20, 2 if z > 50 else 13, z) for z in levels), wander=1)
        for tissue, line, radius in (("artery", aorta, 10.0), ("vein", cava, 11.0)):
            radius *= self._rng.uniform(0.85, 1.15)
            self._add("muscle", _tube(line, radius + 1.3))
            self._add(tissue, _tube(line, radius))
        mesenteric = course((7, 13, 12), (4, 0, 12), (4, -12, -60), wander=1)
        coeliac = course((7, 13, 26), (2, -6, 28), (-24, -8, 22), wander=1)
        for line in (mesenteric, coeliac):
            self._add("artery", _tube(line, 3.5, taper=0.6) & self.abdomen)

    def _add_pancreas(self) -> None:
        line = self._course((-30, -4, -8), (-14, -14, 6), (18, -16, 14), (46, 4, 22), (72, 22, 30))
        pancreas = _tube(line, self._rng.uniform(10, 13), taper=0.65) & self.abdomen
        pancreas = pancreas.offset(lambda p: 1.3 * p.fine + 1.5 * p.web)
        splenic = [point + (0, 9, 2) for point in line[1:]]
        portal = [self._at(-6, -10, -90), splenic[0], self._at(-28, -4, 24, 1)]
        self._add("pancreas", pancreas)
        self._add("urine", _tube(line, 1.1, taper=0.7) & pancreas)
        self._add("vein", _tube(splenic, 4.0) & self.abdomen)
        self._add("vein", _tube(portal, 5.5) & self.abdomen)

    def _add_spine(self) -> None:
        rng, (sx, sy, _) = self._rng, self.scale
        pitch, phase = rng.uniform(32, 37), rng.uniform(0, 35)
        front = 42 * sy
        canal = front + 17 * sy + 9

        def level(p: _Points) -> FloatArray:  # 1 in the discs, -1 half-way between them
            return _float(np.cos(2 * np.pi / pitch * (p.z - phase)))

        def column(x: float, y: float, rx: float, ry: float) -> _Solid:
            return _ellipsoid((x, y, 0), (rx, ry, 1e4))

        below_skin = _Solid(lambda p: p.skin - 8)
        spinous = [(0, canal + 6, 0), (0, canal + 32 * sy, 0)]
        for course in (
            spinous,
            *([(0, canal + 12, 0), (s * 20, canal + 2, 0), (s * 36, canal + 6, 0)] for s in (-1, 1)),
        ):
            bone = _Solid(_flat(_tube(course, 4.6))) & _Solid(lambda p: 6 * (0.62 - level(p))) & below_skin
            self._add("cortical_bone", bone)
            self._add("marrow", bone.offset(-1.5))
        body = column(0, front, 24 * sx, 17 * sy).offset(lambda p: 1.5 * level(p) - 1)
        self._add("cortical_bone", body)
        self._add("marrow", body.offset(-1.3))
        self._add("disc", body.offset(0.5) & _Solid(lambda p: 6 * (level(p) - 0.68)))
        self._add("vein", column(0, front + 10, 1.6, 12) & _Solid(lambda p: -5 * level(p) - 4))  # basivertebral
        self._add("fat", column(0, canal, 11, 10))
        self._add("cerebrospinal_fluid", column(0, canal - 1, 9, 7.5))
        self._add("spinal_cord", column(0, canal, 4.5, 3.6) & _half_space((0, 0, 5), (0, 0, 1)))
        for angle in np.arange(8) * 0.7 + 0.3:  # nerve roots
            self._add("spinal_cord", column(5.5 * np.cos(angle), canal + 4 * np.sin(angle), 0.9, 0.9))

    def _add_ribs(self) -> None:
        rng = self._rng
        pitch, phase, slope = rng.uniform(24, 28), rng.uniform(0, 26), rng.uniform(0.35, 0.55)

        def rib(p: _Points) -> FloatArray:
            along = 0.53 * pitch / np.pi * np.sin(np.pi / pitch * (p.z - slope * p.y - phase))
            return _float(4.2 - np.hypot(along, p.wall - 0.45 * self.muscle))

        def behind_arch(p: _Points) -> FloatArray:  # the costal arch rises to the sternum
            return _float(np.minimum(p.z + 0.75 * p.y + 0.4 * np.abs(p.x) - 5, np.abs(p.x) - 26))

        bone = _Solid(rib) & _Solid(behind_arch)
        self._add("cortical_bone", bone)
        self._add("marrow", bone.offset(-1.5))


def _flat(solid: _Solid) -> Depth:
    """Depth of a solid whose shape at z = 0 is continued to every height."""
    return lambda p: solid.depth(replace(p, z=np.zeros_like(p.z)))


def _random_field(rng: np.random.Generator, size: int, sigma: float) -> FloatArray:
    """Periodic band-limited Gaussian field of unit variance, ``(size, size, size)``."""
    smooth = ndimage.gaussian_filter(rng.standard_normal((size,) * 3, dtype=np.float32), sigma, mode="wrap")
    return _float(smooth / smooth.std())


# ---------------------------------------------------------------------------------------------- rendering


def _coverage(depth: FloatArray, finest: float) -> FloatArray:
    """Share of each voxel within a solid: the depth measured in voxels along its own gradient."""
    slope = np.sqrt(sum(np.square(g) for g in np.gradient(depth)))
    return _float(np.clip(0.5 + depth / (np.float32(_EDGE_WIDTH) * np.maximum(slope, np.float32(finest))), 0, 1))


class _Boxes:
    """Finds the voxels that may lie in a bounding box, on a grid roughly along the axes."""

    def __init__(self, points: _Points) -> None:
        planes = ((points.z, (1, 2)), (points.y, (0, 2)), (points.x, (0, 1)))
        self._ranges = [(values.min(axis=axes), values.max(axis=axes)) for values, axes in planes]

    def find(self, solid: _Solid) -> tuple[slice, slice, slice] | None:
        """Slices ``(D, H, W)``, at least 2 voxels along each axis; None if there are none."""
        found = []
        for (least, most), low, high in zip(self._ranges, solid.low[::-1], solid.high[::-1], strict=True):
            hit = np.flatnonzero((most >= low) & (least <= high))
            if not hit.size:
                return None
            found.append(slice(max(int(hit[0]) - 1, 0), int(hit[-1]) + 2))
        return found[0], found[1], found[2]


def _render(
    anatomy: _Anatomy, points: _Points, intensities: FloatArray, finest: float
) -> tuple[FloatArray, NDArray[np.uint8]]:
    """Noise-free image and labels ``(D, H, W)`` of an anatomy at positions `finest` mm apart."""
    image, labels = np.zeros_like(points.x), np.zeros(points.x.shape, dtype=np.uint8)
    sheets = np.exp(-((points.web / 0.13) ** 2)) * np.clip(0.6 + 0.5 * points.wobble, 0.1, 1)
    boxes = _Boxes(points)
    for part in anatomy.parts:
        box = boxes.find(part.solid)
        if box is None:
            continue
        inside = points[box]
        cover = _coverage(part.solid.depth(inside), 0.8 * finest)
        number = LABELS[part.tissue]
        value = intensities[number] * np.float32(part.gain) * (1 + _TEXTURE[number] * inside.fine)
        if part.tissue in _SEPTA:
            other, share = _SEPTA[part.tissue]
            value += np.float32(share) * sheets[box] * (intensities[LABELS[other]] - value)
        image[box] += cover * (value - image[box])
        labels[box][cover > 0.5] = number
    return np.maximum(image, 0), labels


@dataclass(frozen=True)
class _Pose:
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


def _shade(image: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Image seen through a smooth coil sensitivity of mean 1, brighter towards one side and the surface."""
    slope, curvature = np.clip(rng.normal(0, 0.12, 3), -0.22, 0.22), rng.uniform(0, 0.16, 3)
    sensitivity = np.ones((1, 1, 1), dtype=np.float32)
    for axis, size in enumerate(image.shape):
        u = np.linspace(-1, 1, size)
        profile = np.exp(slope[axis] * u + curvature[axis] * u**2)
        shape = [size if a == axis else 1 for a in range(3)]
        sensitivity = sensitivity * (profile / profile.mean()).astype(np.float32).reshape(shape)
    return image * sensitivity


def _add_noise(image: FloatArray, rng: np.random.Generator, sigma: float) -> FloatArray:
    """Magnitude of the image with complex Gaussian noise of SD `sigma` in either channel."""
    real, imaginary = (np.float32(sigma) * rng.standard_normal(image.shape, dtype=np.float32) for _ in range(2))
    return _float(np.hypot(image + real, imaginary))


def _intensities(contrast: Contrast, rng: np.random.Generator) -> FloatArray:
    """Intensity of every tissue, in the order of `LABELS`."""
    if contrast == "t1_flash":
        return _INTENSITIES[:, 0] * np.exp(rng.normal(0, 0.03, len(LABELS))).astype(np.float32)
    row = _INTENSITIES[:, rng.integers(_INTENSITIES.shape[1])] * np.exp(rng.normal(0, 0.2, len(LABELS)))
    if rng.random() < 0.25:  # an order that no sequence gives: the network should not rely on one
        row = np.where(row > 20, rng.uniform(30, 1000, len(LABELS)), row)
    return _float(np.minimum(row, 1000))


def _check_shape(shape: Shape) -> None:
    if len(shape) != 3 or min(shape) < 4:
        message = f"A phantom needs at least 4 voxels along each of its 3 axes, but the shape is {tuple(shape)}."
        raise InputError(message)


def _geometry(shape: Shape, spacing: Spacing, centre: Vector) -> Geometry:
    """Axial grid whose middle is at `centre` in mm LPS."""
    half = (np.array(shape[::-1]) - 1) / 2 * np.array(spacing)
    x, y, z = (float(v) for v in centre - half)
    return Geometry((shape[0], shape[1], shape[2]), (spacing[0], spacing[1], spacing[2]), (x, y, z))


# ---------------------------------------------------------------------------------------------- the phantom


def _breaths(rng: np.random.Generator, times: Vector) -> Vector:
    """Displacement of the diaphragm in mm at `times` (s); free breathing, no two cycles of the same depth."""
    start, slow, slower = rng.uniform(0, 2 * np.pi, 3)
    phase = 2 * np.pi * times / _BREATH_PERIOD + start + 0.4 * np.sin(2 * np.pi * times / 13 + slower)
    depth = rng.uniform(12, 19) * (1 + 0.25 * np.sin(2 * np.pi * times / 9.1 + slow))
    drift = 0.6 * np.sin(2 * np.pi * times / 7.3 + slow)
    down: Vector = depth * (0.5 - 0.5 * np.cos(phase)) ** 1.3 + drift
    return down


def _needle_path(anatomy: _Anatomy, pose: _Pose, geometry: Geometry) -> tuple[Vector, Vector]:
    """Entry at the skin and target in the liver, mm LPS, in the plane of one slice."""
    target = pose.origin + np.array([-58.0, 4.0, 22.0]) * anatomy.scale
    slices = geometry.origin[2] + geometry.spacing[2] * np.arange(geometry.shape[0])
    target[2] = slices[np.abs(slices - target[2]).argmin()]
    heading = np.array([-0.62, -0.78, 0.0])
    reach = np.linspace(0, 250, 2501, dtype=np.float32)
    x, y, _ = ((target - pose.origin)[n] + heading[n] * reach for n in range(3))
    skin, _ = anatomy.wall_depths(x.astype(np.float32), y.astype(np.float32))
    return target + heading * float(reach[np.argmax(skin <= 0)]), target


def _insert_needle(image: FloatArray, geometry: Geometry, entry: Vector, tip: Vector) -> FloatArray:
    """Image with the signal void of a needle in it, about 2 voxels wide, and its slightly bright rim."""
    x, y, z = _Pose(np.zeros(3)).body(geometry)
    outside = entry + (entry - tip) / np.linalg.norm(entry - tip) * 15  # the skin moves, the shaft is longer
    pixel = np.float32(max(geometry.spacing[:2]))
    zero = np.zeros_like(x)
    flattened = z * (1.6 * pixel / np.float32(geometry.spacing[2]))  # one slice thick
    scale = np.array([1, 1, 1.6 * pixel / geometry.spacing[2]])
    distance, _ = _along(_Points(x, y, flattened, *(zero,) * 7), outside * scale, tip * scale)
    void = np.clip(0.5 + (pixel - distance) / pixel, 0, 1)
    rim = np.exp(-(((distance - 2 * pixel) / (0.5 * pixel)) ** 2))
    return _float(image * (1 - 0.94 * void) * (1 + 0.15 * rim))


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
    _check_shape(shape)
    if time_points < 1:
        message = f"A dynamic series needs at least 1 time point, but {time_points} were asked for."
        raise InputError(message)
    if contrast not in ("t1_flash", "random"):
        message = f"The contrast must be t1_flash or random, but it is {contrast}."
        raise InputError(message)
    anatomy = _Anatomy(np.random.default_rng([seed, 0]))
    rng = np.random.default_rng([seed, 1])
    intensities = _intensities(contrast, rng)
    rest = _Pose(rng.uniform((-15, -25, -60), (15, 5, 60)))
    geometry = _geometry(shape, spacing, rest.origin + np.array([0.0, 0.0, 8.0]))
    session = _Pose(rest.origin + rng.normal(0, 1.3, 3))
    times: Vector = _FRAME_INTERVAL * np.arange(time_points, dtype=np.float64)
    breaths = _breaths(rng, times)
    tips = entries = None
    if needle:
        entry, target = _needle_path(anatomy, session, geometry)
        entries = np.tile(entry, (time_points, 1))
        tips = entry + np.linspace(_NEEDLE_START, 1, time_points)[:, None] * (target - entry)

    def frame(number: int) -> FloatArray:
        x, y, z = session.body(geometry)
        dy, dz = anatomy.displacement(x, y, z, float(breaths[number]))
        image, _ = _render(anatomy, anatomy.points(x, y - dy, z - dz), intensities, min(spacing[:2]))
        if tips is not None and entries is not None:
            image = _insert_needle(image, geometry, entries[number], tips[number])
        shaded = _shade(image, np.random.default_rng([seed, 3]))  # the session's coil, the frame's noise
        return _add_noise(shaded, np.random.default_rng([seed, 4, number]), _DYNAMIC_NOISE)

    still, labels = _render(anatomy, anatomy.points(*rest.body(geometry)), intensities, min(spacing[:2]))
    rng = np.random.default_rng([seed, 2])
    static = Volume(_add_noise(_shade(still, rng), rng, _STATIC_NOISE), geometry)
    dynamic = Series(frame, times.tolist(), geometry)
    return Phantom(static, dynamic, labels, tuple(breaths.tolist()), tips, entries)


def random_abdomen(rng: np.random.Generator, shape: Shape, spacing: Spacing | None = None) -> Volume:
    """Return one static scan of random anatomy, contrast, field of view, resolution, noise and shading.

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
    _check_shape(shape)
    anatomy = _Anatomy(rng)
    intensities = _intensities("random", rng)
    if spacing is None:
        pixel = float(rng.uniform(0.8, 2.0))
        spacing = (pixel, pixel, float(rng.uniform(2, 8)))
    turn = rng.normal(0, 0.06, 3)
    axes = np.eye(3) + np.cross(np.eye(3), turn)
    axes = np.linalg.qr(axes)[0]
    axes = axes * np.sign(np.diag(axes)) * np.where(rng.random(3) < (0.3, 0.15, 0.1), -1, 1)
    field_of_view = np.array(spacing) * np.array(shape[::-1])
    room = np.maximum(np.array([anatomy.half_width, anatomy.half_height, 0]) - 0.42 * field_of_view, 8)
    room[2] = 35
    middle = axes @ (rng.uniform(-room, room) + (0, 0, 5))
    origin = rng.uniform(-60, 60, 3)
    geometry = _geometry(shape, spacing, origin + middle)
    points = anatomy.points(*_Pose(origin, axes).body(geometry))
    image, _ = _render(anatomy, points, intensities, min(spacing[:2]))
    if rng.random() < 0.4:
        image = ndimage.gaussian_filter(image, (0, *(rng.uniform(0.3, 0.7),) * 2))
    image = _shade(image * np.float32(rng.uniform(0.6, 1.2)), rng)
    return Volume(_add_noise(image, rng, float(np.exp(rng.uniform(np.log(2), np.log(28))))), geometry)
