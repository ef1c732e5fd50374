"""What holds the organs: abdominal wall, muscles, spine and ribs."""

from __future__ import annotations

import numpy as np

from ..geometry import FloatArray
from .anatomy import CAVITY, Anatomy
from .solids import Points, Solid, continued, ellipsoid, float32, half_space, tube


def add_wall(anatomy: Anatomy) -> None:
    """Skin, fat and the muscles of the abdominal wall in their sheaths."""
    rectus = 0.42 * anatomy.body.half_width

    def plane(p: Points, middle: float) -> FloatArray:  # between the oblique muscles, beside the rectus
        thickness = 0.45 + 0.35 * p.web - np.maximum(rectus - np.abs(p.x), 0) / 6
        return float32(thickness - np.abs(p.wall - middle + 0.7 * p.wobble))

    def line(p: Points, place: float, lean: float) -> FloatArray:
        across = np.abs(np.abs(p.x) - place - lean * p.wall)
        return float32(np.minimum(np.minimum(1 - across, -p.y - 20), p.wall))

    anatomy.add("skin", Solid(lambda p: p.skin))
    anatomy.add("fat", Solid(lambda p: p.skin - 2))
    anatomy.add("muscle", Solid(lambda p: p.wall))
    anatomy.add("fat", Solid(lambda p: plane(p, 0.36 * anatomy.body.muscle)))
    anatomy.add("fat", Solid(lambda p: plane(p, 0.68 * anatomy.body.muscle)))
    anatomy.add("fat", Solid(lambda p: line(p, 0, 0)))  # linea alba
    anatomy.add("fat", Solid(lambda p: line(p, rectus, 0.9)))  # semilunar lines
    anatomy.add("fat", CAVITY)


def add_muscles(anatomy: Anatomy) -> None:
    """Muscles beside the spine: erector, psoas and crura of the diaphragm."""
    for side in (-1, 1):
        erector = ellipsoid(anatomy.at(side * 38, 70, -20, 1), anatomy.size(34, 24, 400))
        psoas = tube(anatomy.course((side * 26, 40, 25), (side * 44, 36, -110), wander=1), 8)
        psoas |= ellipsoid(anatomy.at(side * 40, 38, -80, 1), anatomy.size(19, 20, 75))
        crus = tube(anatomy.course((side * 10, 18, 70), (side * 15, 24, -10), wander=1), 5)
        for muscle in (erector, psoas, crus):
            anatomy.add("muscle", muscle & CAVITY.offset(2))


def add_spine(anatomy: Anatomy) -> None:
    """Vertebrae and discs, spinal canal and cord."""
    rng, (sx, sy, _) = anatomy.rng, anatomy.body.scale
    pitch, phase = rng.uniform(32, 37), rng.uniform(0, 35)
    front = 42 * sy
    canal = front + 17 * sy + 9

    def level(p: Points) -> FloatArray:  # 1 in the discs, -1 half-way between them
        return float32(np.cos(2 * np.pi / pitch * (p.z - phase)))

    def column(x: float, y: float, rx: float, ry: float) -> Solid:
        return ellipsoid((x, y, 0), (rx, ry, 1e4))

    below_skin = Solid(lambda p: p.skin - 8)
    spinous = [(0, canal + 6, 0), (0, canal + 32 * sy, 0)]
    for course in (
        spinous,
        *([(0, canal + 12, 0), (s * 20, canal + 2, 0), (s * 36, canal + 6, 0)] for s in (-1, 1)),
    ):
        bone = Solid(continued(tube(course, 4.6))) & Solid(lambda p: 6 * (0.62 - level(p))) & below_skin
        anatomy.add("cortical_bone", bone)
        anatomy.add("marrow", bone.offset(-1.5))
    body = column(0, front, 24 * sx, 17 * sy).offset(lambda p: 1.5 * level(p) - 1)
    anatomy.add("cortical_bone", body)
    anatomy.add("marrow", body.offset(-1.3))
    anatomy.add("disc", body.offset(0.5) & Solid(lambda p: 6 * (level(p) - 0.68)))
    anatomy.add("vein", column(0, front + 10, 1.6, 12) & Solid(lambda p: -5 * level(p) - 4))  # basivertebral
    anatomy.add("fat", column(0, canal, 11, 10))
    anatomy.add("cerebrospinal_fluid", column(0, canal - 1, 9, 7.5))
    anatomy.add("spinal_cord", column(0, canal, 4.5, 3.6) & half_space((0, 0, 5), (0, 0, 1)))
    for angle in np.arange(8) * 0.7 + 0.3:  # nerve roots
        anatomy.add("spinal_cord", column(5.5 * np.cos(angle), canal + 4 * np.sin(angle), 0.9, 0.9))


def add_ribs(anatomy: Anatomy) -> None:
    """Ribs within the wall, down to the costal arch."""
    rng = anatomy.rng
    pitch, phase, slope = rng.uniform(24, 28), rng.uniform(0, 26), rng.uniform(0.35, 0.55)

    def rib(p: Points) -> FloatArray:
        along = 0.53 * pitch / np.pi * np.sin(np.pi / pitch * (p.z - slope * p.y - phase))
        return float32(4.2 - np.hypot(along, p.wall - 0.45 * anatomy.body.muscle))

    def behind_arch(p: Points) -> FloatArray:  # the costal arch rises to the sternum
        return float32(np.minimum(p.z + 0.75 * p.y + 0.4 * np.abs(p.x) - 5, np.abs(p.x) - 26))

    bone = Solid(rib) & Solid(behind_arch)
    anatomy.add("cortical_bone", bone)
    anatomy.add("marrow", bone.offset(-1.5))
