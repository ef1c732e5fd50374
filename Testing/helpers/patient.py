"""A tiny patient as files, and what is done to scans of patients."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from SRDynamicMRILib.volume import Volume

SHAPE = (8, 48, 64)
SPACING = (5.0, 5.2, 9.0)
TIME_POINTS = 3
FRACTION = 0.25
LOW_SHAPE = (8, 24, 32)


@dataclass(frozen=True)
class Patient:
    """Files of a synthetic patient; tests read them and write elsewhere."""

    static: Path
    dynamic: Path
    low: Path
    low_with_matrix: Path
    low_volume: Path
    model: Path


@dataclass(frozen=True)
class Place:
    """A patient and a folder to put bad files and outputs in."""

    patient: Patient
    folder: Path

    @property
    def model(self) -> tuple[str, Path]:
        return "--model", self.patient.model

    def out(self, name: str = "out.nii.gz") -> Path:
        return self.folder / name


def inverted(volume: Volume) -> Volume:
    """Bright tissue dark and the other way round; air stays dark."""
    peak = np.percentile(volume.data, 99.9)
    return volume.with_data(np.interp(volume.data / peak, [0, 0.05, 0.12, 1, 2], [0, 0.03, 1, 0.1, 0.1]) * peak)
