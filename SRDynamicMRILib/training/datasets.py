"""High-resolution volumes to train on: real ones from a folder and synthetic ones made on the fly."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..files import read_series
from ..kspace import crop_kspace, low_resolution_size
from ..phantom import random_abdomen
from ..progress import Progress
from ..volume import FloatArray, Series, shape_of
from .pairs import Pair, make_pair

Source = Callable[[np.random.Generator], FloatArray]
"""Gives a high-resolution image ``(D, H, W)`` drawn with a source of chance."""

SLICES = 16
"""Slices taken from a volume at a time: enough for a patch, few enough to be quick."""

_ISOTROPIC = 1.5
_SMALLEST_PLANE = 64


def find_series(folders: Sequence[Path]) -> list[Series]:
    """Read every volume and series under some folders.

    Parameters
    ----------
    folders
        Folders of files that `files.read_series` reads; DICOM folders may lie below them.

    Raises
    ------
    InputError
        If a folder holds nothing readable.
    """
    found: list[Series] = []
    for folder in folders:
        if not folder.is_dir():
            message = f"There is no folder {folder} to train on; check the name."
            raise InputError(message)
        before = len(found)
        for path in sorted(p for p in folder.rglob("*") if p.is_file() and not _hidden(p.relative_to(folder))):
            if path.suffix.lower() in (".gz", ".nii", ".nrrd", ".mha", ".mhd"):
                found.append(read_series(path))
        for path in sorted({p.parent for p in folder.rglob("*.dcm") if not _hidden(p.relative_to(folder))}):
            found.append(read_series(path))
        if len(found) == before:
            message = f"{folder} holds no image (NIfTI, NRRD, MetaImage or DICOM); point to a folder that does."
            raise InputError(message)
    return found


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def real_source(series: Sequence[Series]) -> Source:
    """Draw from real volumes: any time point, some slices, thick slices made of thin ones."""

    def draw(rng: np.random.Generator) -> FloatArray:
        chosen = series[int(rng.integers(len(series)))]
        volume = chosen[int(rng.integers(len(chosen)))]
        image = volume.data
        in_plane = max(volume.geometry.spacing[:2])
        if volume.geometry.spacing[2] < _ISOTROPIC * in_plane:
            axes = [axis for axis in range(3) if min(np.delete(image.shape, axis)) >= _SMALLEST_PLANE]
            image = np.moveaxis(image, int(rng.choice(axes)) if axes else 0, 0)
            thickness = int(rng.integers(1, 8))
            start = int(rng.integers(max(1, image.shape[0] - SLICES * thickness)))
            image = image[start : start + SLICES * thickness]
            whole = image.shape[0] // thickness * thickness
            image = image[:whole].reshape(-1, thickness, *image.shape[1:]).mean(axis=1)
        start = int(rng.integers(max(1, image.shape[0] - SLICES + 1)))
        return np.ascontiguousarray(image[start : start + SLICES], dtype=np.float32)

    return draw


def synthetic_source(count: int, seed: int, progress: Progress) -> Source:
    """Draw from `count` synthetic abdomens of random anatomy and contrast, made once."""
    volumes = []
    for number in range(count):
        rng = np.random.default_rng([seed, 1, number])
        volumes.append(random_abdomen(rng, (SLICES, 192, 192)).data.astype(np.float16))
        progress.step(number + 1, count)

    def draw(rng: np.random.Generator) -> FloatArray:
        return volumes[int(rng.integers(count))].astype(np.float32)

    return draw


def augment(image: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Change resolution, contrast and orientation of an image ``(D, H, W)`` at random.

    Cutting off the outermost k-space makes the remaining image use all of its k-space, which scanners that interpolate
    do not give. A power law changes the contrast.
    """
    if rng.random() < 0.7:
        share = float(rng.uniform(0.35, 1.0))
        image = np.maximum(crop_kspace(image, low_resolution_size(shape_of(image)[1:], share)), 0)
    peak = float(np.percentile(image, 99.9))
    if rng.random() < 0.5 and peak > 0:
        image = (image / peak) ** np.float32(rng.uniform(0.6, 1.6)) * peak
    turned: FloatArray = np.rot90(image, int(rng.integers(4)), axes=(1, 2))
    return turned


class PairStream:
    """Endless, numbered pairs: the same seed and number always give the same pair.

    Parameters
    ----------
    sources
        Sources of volumes and the weight of each.
    fractions
        Shares of k-space, drawn with equal probability.
    interpolation, normalisation
        As the model wants them.
    seed
        Of the whole stream.
    """

    def __init__(
        self,
        sources: Sequence[tuple[Source, float]],
        fractions: Sequence[float],
        interpolation: str,
        normalisation: str,
        seed: int,
    ) -> None:
        weights = np.array([weight for _, weight in sources], dtype=float)
        self._sources = [source for source, _ in sources]
        self._probabilities = weights / weights.sum()
        self._fractions = tuple(fractions)
        self._interpolation = interpolation
        self._normalisation = normalisation
        self._seed = seed

    def pair(self, number: int) -> Pair:
        """Pair of that number."""
        rng = np.random.default_rng([self._seed, 2, number])
        source = self._sources[int(rng.choice(len(self._sources), p=self._probabilities))]
        image = augment(source(rng), rng)
        fraction = self._fractions[int(rng.integers(len(self._fractions)))]
        kept = low_resolution_size(shape_of(image)[1:], fraction)
        return make_pair(image, kept, self._interpolation, self._normalisation)
