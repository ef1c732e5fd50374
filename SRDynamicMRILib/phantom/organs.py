"""Lungs and heart, spleen, liver, kidneys, pancreas and great vessels."""

from __future__ import annotations

import numpy as np

from ..geometry import FloatArray
from .anatomy import ABDOMEN, CAVITY, Anatomy
from .solids import Points, Solid, Vector, ellipsoid, float32, half_space, tube


def add_lungs(anatomy: Anatomy) -> None:
    """Diaphragm, lungs with their vessels, and heart."""
    diaphragm = CAVITY & Solid(lambda p: 2.5 - p.dome)
    lung = diaphragm.offset(-2.5)
    anatomy.add("muscle", diaphragm)
    anatomy.add("lung", lung)
    for side in (-1, 1):
        anatomy.add_tree("vessel", lung, anatomy.at(side * 45, 15, 118), (side * 0.5, 0.2, -1), 28, 3.0, 5)
    centre, size = anatomy.at(20, -34, 92), anatomy.size(56, 40, 40)
    anatomy.add("fat", ellipsoid(centre, size + 4) & CAVITY)
    anatomy.add("heart", ellipsoid(centre, size) & CAVITY)
    anatomy.add("vein", ellipsoid(centre + (12, 0, 4), size * 0.62) & CAVITY)


def add_spleen(anatomy: Anatomy) -> None:
    """Spleen with its vessels."""
    centre = anatomy.at(94, 36, 34)
    hilum = ellipsoid(centre - (34, 14, 0), (26, 30, 40))
    spleen = ellipsoid(centre, anatomy.size(30, 40, 44), -0.35, 0.1) - hilum
    spleen = spleen.offset(lambda p: 2 * p.wobble) & ABDOMEN
    anatomy.add("spleen", spleen)
    for lift in (-12, 6):
        anatomy.add_tree("vessel", spleen, centre + (-16, -6, lift), (1, 0.4, lift / 20), 16, 2.2, 4)


def add_liver(anatomy: Anatomy) -> None:
    """Liver with its vessels, cysts, gallbladder and bile duct."""
    rng, at = anatomy.rng, anatomy.at
    right = ellipsoid(at(-64, 2, 18), anatomy.size(68, 78, 72), 0.1, rng.normal(0.1, 0.05))
    left = ellipsoid(at(-8, -40, 40), anatomy.size(rng.uniform(52, 78), 34, 36), -0.15, 0.2)
    above = half_space(at(-20, 16, 12), rng.normal((-0.75, -0.45, 0.55), 0.06))
    fissure = ellipsoid(at(-18, -40, 12), (2.2, 24, 26), 0.15)
    liver = ((right | left) & above) - fissure
    liver = liver.offset(lambda p: 2.5 * p.wobble) & ABDOMEN & CAVITY.offset(-1)
    anatomy.add("fat", fissure.offset(6) & ABDOMEN)
    anatomy.add("liver", liver)
    portal, hepatic = at(-30, -2, 26, 1), at(-22, 4, 62, 1)
    for root, heading, radius in (
        (portal, (-1, 0.15, 0), 5.0), (portal, (-0.8, -0.7, 0.3), 4.0), (portal, (0.25, -1, 0.35), 3.6),
        (portal, (-0.8, 0.6, -0.5), 4.2), (hepatic, (-1, 0.1, -0.5), 4.6),
        (hepatic, (-0.7, -0.9, -0.4), 4.2), (hepatic, (0.4, -1, -0.3), 3.6),
    ):  # fmt: skip
        anatomy.add_tree("vessel", liver.offset(-1), root, heading, 32, radius, 6)
    for _ in range(24):  # the periphery, which the trees from the hilum leave thin
        root = at(*rng.uniform((-120, -60, -40), (30, 55, 68)))
        anatomy.add_tree("vessel", liver.offset(-2), root, rng.normal(0, 1, 3), 17, 2.1, 3)
    for _ in range(rng.integers(0, 3)):
        cyst = ellipsoid(at(*rng.uniform((-110, -40, -10), (-30, 40, 60))), [rng.uniform(2, 8)] * 3)
        anatomy.add("bile", cyst & liver)
    gallbladder = ellipsoid(at(-46, -40, -6), anatomy.size(13, 17, 27), 0.4, 0.2) & ABDOMEN
    anatomy.add("bowel_wall", gallbladder)
    anatomy.add("bile", gallbladder.offset(-1.6))
    anatomy.add("bile", tube(anatomy.course((-32, -8, 26), (-26, 0, -12), wander=1), 2.4) & ABDOMEN)


def add_kidneys(anatomy: Anatomy) -> None:
    """Both kidneys and adrenal glands."""
    for side, height in ((-1, -14), (1, -4)):
        add_kidney(anatomy, side, anatomy.at(side * 62, 36, height))
        adrenal = tube(anatomy.course((side * 34, 30, 34), (side * 44, 38, 22)), 2.6)
        anatomy.add("muscle", adrenal & ABDOMEN)


def add_kidney(anatomy: Anatomy, side: int, centre: Vector) -> None:
    """Kidney in its fat: cortex, pyramids, sinus, calyces and vessels. `side` is 1 on the left, -1 on the right."""
    rng, size = anatomy.rng, anatomy.size(26, 29, 52)
    kidney = ellipsoid(centre, size, side * 0.5, side * -0.15).offset(lambda p: 0.8 * p.wobble)
    hilum = centre - (side * 15, 7, 0)
    sinus = ellipsoid(hilum, size * (0.58, 0.42, 0.5), side * 0.5)
    cx, cy, cz = (float(c) for c in centre)
    rings, count = 2 * np.pi / rng.uniform(17, 22), int(rng.integers(6, 9))

    def pyramids(p: Points) -> FloatArray:
        angle = np.arctan2(p.y - cy, p.x - cx) + 0.25 * p.wobble
        return float32(3 * (np.cos(count * angle) + np.cos(rings * (p.z - cz)) + 0.6))

    anatomy.add("fat", kidney.offset(rng.uniform(2, 6)).offset(lambda p: 2.5 * p.wobble) & ABDOMEN)
    anatomy.add("kidney_cortex", kidney)
    anatomy.add("kidney_medulla", (kidney.offset(-6.5) - kidney.offset(-17)) & Solid(pyramids))
    anatomy.add("fat", sinus & (kidney.offset(2) | half_space(centre, (-side, 0, 0))))
    anatomy.add("urine", ellipsoid(hilum, (8, 6, 13)))
    for lift in (-0.8, 0.0, 0.8):
        anatomy.add_tree("urine", kidney.offset(-9), hilum + (0, 0, 10 * lift), (side, 0.4, lift), 14, 2.4, 1)
        anatomy.add_tree("vessel", kidney.offset(-2), hilum + (0, -4, 9 * lift), (side, 0.2, lift), 13, 2.0, 3)
    renal_vein = anatomy.course((side * 26, 16, cz + 4), (-18, 12, cz + 6), wander=1)
    anatomy.add("vein", tube([hilum, *renal_vein], 4.2))
    anatomy.add("artery", tube([hilum + (0, 6, 5), anatomy.at(6, 14, cz + 12, 1)], 2.6))


def add_great_vessels(anatomy: Anatomy) -> None:
    """Aorta and vena cava, mesenteric and coeliac artery."""
    levels, course = (140, 60, 0, -60, -120), anatomy.course
    aorta = course(*((7, 13, z) for z in levels), wander=1.5)
    cava = course(*((-20, 2 if z > 50 else 13, z) for z in levels), wander=1)
    for tissue, line, radius in (("artery", aorta, 10.0), ("vein", cava, 11.0)):
        radius *= anatomy.rng.uniform(0.85, 1.15)
        anatomy.add("muscle", tube(line, radius + 1.3))
        anatomy.add(tissue, tube(line, radius))
    mesenteric = course((7, 13, 12), (4, 0, 12), (4, -12, -60), wander=1)
    coeliac = course((7, 13, 26), (2, -6, 28), (-24, -8, 22), wander=1)
    for line in (mesenteric, coeliac):
        anatomy.add("artery", tube(line, 3.5, taper=0.6) & ABDOMEN)


def add_pancreas(anatomy: Anatomy) -> None:
    """Pancreas with its duct, splenic and portal vein."""
    line = anatomy.course((-30, -4, -8), (-14, -14, 6), (18, -16, 14), (46, 4, 22), (72, 22, 30))
    pancreas = tube(line, anatomy.rng.uniform(10, 13), taper=0.65) & ABDOMEN
    pancreas = pancreas.offset(lambda p: 1.3 * p.fine + 1.5 * p.web)
    splenic = [point + (0, 9, 2) for point in line[1:]]
    portal = [anatomy.at(-6, -10, -90), splenic[0], anatomy.at(-28, -4, 24, 1)]
    anatomy.add("pancreas", pancreas)
    anatomy.add("urine", tube(line, 1.1, taper=0.7) & pancreas)
    anatomy.add("vein", tube(splenic, 4.0) & ABDOMEN)
    anatomy.add("vein", tube(portal, 5.5) & ABDOMEN)
