"""Tissues: their labels, intensities under several contrasts, and texture."""

from __future__ import annotations

from typing import Literal

import numpy as np

from ..geometry import FloatArray
from .solids import float32

Contrast = Literal["t1_flash", "random"]

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
TEXTURE = np.array([row[-1] for row in _TISSUES.values()], dtype=np.float32)
FAT = ("fat", "marrow")
"""Tissues whose signal is mostly that of fat."""

# Tissue that runs in thin sheets through another, and how much of it.
SEPTA = {"fat": ("muscle", 0.55), "muscle": ("fat", 0.4), "pancreas": ("fat", 0.7), "lung": ("vessel", 0.25)}


def intensities_of(contrast: Contrast, rng: np.random.Generator) -> FloatArray:
    """Intensity of every tissue ``(tissues,)``, 0 to 1000, in the order of `LABELS`."""
    if contrast == "t1_flash":
        return _INTENSITIES[:, 0] * np.exp(rng.normal(0, 0.03, len(LABELS))).astype(np.float32)
    row = _INTENSITIES[:, rng.integers(_INTENSITIES.shape[1])] * np.exp(rng.normal(0, 0.2, len(LABELS)))
    if rng.random() < 0.25:  # an order that no sequence gives: the network should not rely on one
        row = np.where(row > 20, rng.uniform(30, 1000, len(LABELS)), row)
    return float32(np.minimum(row, 1000))
