"""What a body is filled with: parts in the order in which they are painted, fitted to its build."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from .body import Body
from .solids import Depth, Point, Solid, Vector, half_space, tree, tube


@dataclass(frozen=True)
class Part:
    """What one solid is made of."""

    tissue: str
    solid: Solid
    gain: float = 1.0  # intensity relative to the tissue's


CAVITY = Solid(lambda p: p.inner)
ABDOMEN = CAVITY & Solid(lambda p: p.dome - 2)


class Anatomy:
    """A body and its parts.

    Organs are described for an average build, in mm; `at`, `course` and `size` fit them to this one and let them
    vary. `rng` is what everything random is drawn from.
    """

    def __init__(self, body: Body, rng: np.random.Generator) -> None:
        self.body, self.rng = body, rng
        self.parts: list[Part] = []

    def at(self, x: float, y: float, z: float, wander: float = 3.0) -> Vector:
        """Place (mm, body coordinates) of what an average build has at ``(x, y, z)``."""
        place: Vector = np.array([x, y, z]) * self.body.scale + self.rng.normal(0, wander, 3)
        return place

    def course(self, *places: Point, wander: float = 3.0) -> list[Vector]:
        """Places of the points of a line."""
        return [self.at(*place, wander) for place in places]

    def size(self, *radii: float) -> Vector:
        """Radii in mm of what has these radii in an average build."""
        size: Vector = np.array(radii) * self.body.scale * self.rng.normal(1, 0.06)
        return size

    def add(self, tissue: str, solid: Solid, gain: float = 1.0) -> None:
        """Paint a solid over all that is there."""
        self.parts.append(Part(tissue, solid, gain))

    def add_tree(
        self,
        tissue: str,
        within: Solid,
        root: ArrayLike,
        heading: ArrayLike,
        length: float,
        radius: float,
        generations: int,
    ) -> None:
        """Paint a tree of vessels, of which only what lies within a solid is seen."""
        for start, end, r in tree(self.rng, root, heading, length, radius, generations):
            self.add(tissue, tube((start, end), r) & within)

    def add_hollow(self, solid: Solid, wall: float, folds: Depth, gas: float | None) -> None:
        """Paint wall, content, and gas in front of the level `gas` (mm, y): the patient lies on the back."""
        lumen = solid.offset(-wall).offset(folds)
        self.add("bowel_wall", solid)
        self.add("bowel_content", lumen, self.rng.uniform(0.6, 1.35))
        if gas is not None:
            self.add("gas", lumen & half_space((0, gas, 0), (0, -1, 0)))
