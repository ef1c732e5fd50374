"""Images with what is known about them in a sidecar, written together."""

from __future__ import annotations

from pathlib import Path

from ..volume import Series
from .files import write_series, write_volume
from .sidecar import description, image_facts


def write_images(series: Series, path: Path, facts: dict[str, object]) -> None:
    """Write a series, or a volume if it has one time point and does not go to a folder, with facts in a sidecar."""
    facts = description(**facts, **image_facts(series.geometry))
    if len(series) == 1 and path.suffix:
        write_volume(series[0], path, facts)
    else:
        write_series(series, path, facts)
