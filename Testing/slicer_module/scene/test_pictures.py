"""Pictures as PNG files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from SRDynamicMRISlicer.scene.outputs import saving_picture
from SRDynamicMRISlicer.step_queue import at_once


@pytest.mark.parametrize("size", [(1, 1), (7, 5), (120, 160)])
def test_a_picture_is_read_back_by_others(tmp_path: Path, size: tuple[int, int]) -> None:
    colours = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    file = tmp_path / "picture.png"
    at_once(saving_picture(colours, file))
    assert np.array_equal(sitk.GetArrayFromImage(sitk.ReadImage(file)), colours)


def test_even_areas_take_little_space(tmp_path: Path) -> None:
    file = tmp_path / "picture.png"
    at_once(saving_picture(np.full((500, 500, 3), 200, np.uint8), file))
    assert len(file.read_bytes()) < 2000


def test_a_place_that_cannot_be_written_to_is_an_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="the disk may be full"):
        at_once(saving_picture(np.zeros((2, 2, 3), np.uint8), tmp_path / "gone" / "picture.png"))
