"""All organs, from the skin inwards: a later one covers what an earlier one painted."""

from __future__ import annotations

import numpy as np

from . import digestive, organs, trunk
from .anatomy import Anatomy
from .body import Body

PAINTING_ORDER = (
    trunk.add_wall,
    organs.add_lungs,
    digestive.add_mesentery,
    digestive.add_colon,
    digestive.add_bowel,
    trunk.add_muscles,
    digestive.add_stomach,
    organs.add_spleen,
    organs.add_liver,
    organs.add_kidneys,
    organs.add_great_vessels,
    organs.add_pancreas,
    trunk.add_spine,
    trunk.add_ribs,
)


def random_anatomy(rng: np.random.Generator) -> Anatomy:
    """Anatomy of one subject. Everything random is drawn here: rendering is a function of position alone."""
    anatomy = Anatomy(Body(rng), rng)
    for add in PAINTING_ORDER:
        add(anatomy)
    return anatomy
