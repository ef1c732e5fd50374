"""Stomach, small bowel, colon and mesentery."""

from __future__ import annotations

import numpy as np

from .anatomy import ABDOMEN, Anatomy
from .solids import Depth, ellipsoid, float32, tube, unit


def add_mesentery(anatomy: Anatomy) -> None:
    """Vessels between the loops of the bowel."""
    for _ in range(9):
        root = anatomy.at(anatomy.rng.uniform(-25, 40), 5, anatomy.rng.uniform(-60, 10))
        anatomy.add_tree("vein", ABDOMEN, root, anatomy.rng.normal((0, -0.7, -0.4), 0.7), 24, 2.0, 4)


def add_colon(anatomy: Anatomy) -> None:
    """Colon with its haustra: ascending, transverse, descending."""
    rng = anatomy.rng
    ascending = ((-104, 15, -95), (-102, 18, -45), (-98, 10, -12))
    transverse = ((-98, 10, -12), (-70, -45, -22), (-15, -64, -34), (45, -60, -18), (88, -25, 14))
    descending = ((88, -25, 14), (104, 18, 5), (104, 30, -50), (98, 25, -95))
    for places, radius in ((ascending, 20), (transverse, 17), (descending, 14)):
        course = anatomy.course(*places)
        gas = course[1][1] + rng.uniform(-12, 6) if rng.random() < 0.75 else None
        colon = tube(course, radius * rng.uniform(0.85, 1.1), haustra=rng.uniform(24, 32))
        anatomy.add_hollow(colon & ABDOMEN, 2.2, lambda p: 2 * p.fine, gas)


def add_bowel(anatomy: Anatomy) -> None:
    """Loops of the small bowel, some with gas."""
    rng = anatomy.rng
    for _ in range(38):
        point = anatomy.at(rng.uniform(-75, 98), rng.uniform(-68, 14), rng.uniform(-75, 28), 0)
        heading, course = rng.normal(0, 1, 3) * (1, 0.8, 0.5), [point]
        for _ in range(rng.integers(2, 5)):
            heading = unit(unit(heading) + rng.normal(0, 0.55, 3) * (1, 1, 0.5))
            course.append(course[-1] + heading * rng.uniform(12, 20))
        gas = point[1] - rng.uniform(0, 8) if rng.random() < 0.25 else None
        loop = tube(course, rng.uniform(8, 13)) & ABDOMEN
        anatomy.add_hollow(loop, rng.uniform(1.6, 2.4), circular_folds(anatomy), gas)


def circular_folds(anatomy: Anatomy) -> Depth:
    """Change of the lumen's depth in mm by the folds of the small bowel."""
    height, turn = anatomy.rng.uniform(0.2, 1.6), anatomy.rng.uniform(0, np.pi)
    frequency = 2 * np.pi / anatomy.rng.uniform(4.5, 7.5)
    kx, ky = frequency * float(np.cos(turn)), frequency * float(np.sin(turn))
    return lambda p: float32(height * (np.cos(kx * p.x + ky * p.y + 2 * p.web) - 1))


def add_stomach(anatomy: Anatomy) -> None:
    """Stomach: body and antrum, with its rugae."""
    rng = anatomy.rng
    body = ellipsoid(anatomy.at(56, -18, 40), anatomy.size(36, 34, 36), rng.normal(0.4, 0.15))
    antrum = tube(anatomy.course((50, -32, 24), (15, -44, 10), (-18, -30, 10)), rng.uniform(14, 18), taper=0.7)
    stomach = (body | antrum).offset(lambda p: 3 * p.wobble) & ABDOMEN
    gas = anatomy.at(0, -34, 0)[1] if rng.random() < 0.8 else None
    anatomy.add_hollow(stomach, 3.0, lambda p: 1.4 * np.cos(3 * p.web + 0.5 * p.z + 0.45 * p.x) - 1, gas)
