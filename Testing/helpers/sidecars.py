"""What stands beside an image."""

from __future__ import annotations

from pathlib import Path

from SRDynamicMRILib.acquisition.consistency import Consistency, consistency_in
from SRDynamicMRILib.io.sidecar import recorded, warnings_in


def warnings_beside(image: Path) -> list[str]:
    return warnings_in(recorded(image))


def consistency_beside(image: Path) -> list[Consistency]:
    return consistency_in(recorded(image))
