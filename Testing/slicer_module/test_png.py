"""Pictures as PNG files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from SRDynamicMRISlicer.png import png_of


@pytest.mark.parametrize("size", [(1, 1), (7, 5), (120, 160)])
def test_a_picture_is_read_back_by_others(tmp_path: Path, size: tuple[int, int]) -> None:
    colours = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    file = tmp_path / "picture.png"
    file.write_bytes(png_of(colours))
    assert np.array_equal(sitk.GetArrayFromImage(sitk.ReadImage(file)), colours)


def test_even_areas_take_little_space() -> None:
    assert len(png_of(np.full((500, 500, 3), 200, np.uint8))) < 2000
