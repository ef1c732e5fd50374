"""Numbers that networks compute with."""

from __future__ import annotations

from typing import Literal

Precision = Literal["float32", "bfloat16"]
"""Numbers that a network is trained with; weights, loss and optimiser are float32 with both."""

PRECISIONS: tuple[Precision, ...] = ("float32", "bfloat16")
