"""Names of the methods that interpolate without learning; `interpolation` has the methods."""

from __future__ import annotations

from typing import Literal, get_args

Method = Literal["trilinear", "area", "zero_filled"]
METHODS: tuple[Method, ...] = get_args(Method)
