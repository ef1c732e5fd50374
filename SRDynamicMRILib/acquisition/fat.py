"""The phase of fat: in-phase with water, or turned against it by the echo time, so that both cancel in a voxel."""

from __future__ import annotations

from typing import Literal

FatPhase = Literal["unknown", "in-phase", "opposed"]
"""What is known of it."""
