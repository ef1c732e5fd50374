"""A NIfTI file whose two statements of where it lies disagree, or that does not say how large its voxels are."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from helpers.command_line import Command
from helpers.sidecars import warnings_beside

from SRDynamicMRILib.errors import InputError
from SRDynamicMRILib.geometry import Geometry
from SRDynamicMRILib.io.files import read_series, write_volume
from SRDynamicMRILib.volume import Volume

VOXELS = np.random.default_rng(0).random((4, 20, 24), dtype=np.float32)
TURNED = (0.8, -0.6, 0.0, 0.6, 0.8, 0.0, 0.0, 0.0, 1.0)
GEOMETRY = Geometry(VOXELS.shape, (1.2, 1.5, 5.0), (10.0, 20.0, 30.0), TURNED)

PIXDIM, CODES, SFORM = 76, 252, 280


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """A file whose qform and sform agree."""
    path = tmp_path / "v.nii"
    write_volume(Volume(VOXELS, GEOMETRY), path)
    return path


def change(path: Path, place: int, form: str, *values: float) -> None:
    content = bytearray(path.read_bytes())
    struct.pack_into(form, content, place, *values)
    path.write_bytes(content)


def sform_of(path: Path) -> np.ndarray:
    return np.array(struct.unpack_from("<12f", path.read_bytes(), SFORM)).reshape(3, 4)


def test_two_that_agree_need_no_word(image: Path) -> None:
    series = read_series(image)
    assert series.warnings == () and series.geometry.same_grid(GEOMETRY)


@pytest.mark.parametrize(("codes", "taken", "moved"), [((1, 1), "sform", 30), ((1, 2), "qform", 0), ((1, 0), "", 0)])
def test_the_one_that_is_taken_is_named(codes: tuple[int, int], taken: str, moved: float, image: Path) -> None:
    sform = sform_of(image)
    sform[2, 3] += 30
    change(image, SFORM, "<12f", *sform.ravel())
    change(image, CODES, "<2h", *codes)
    series = read_series(image)
    assert series.geometry.origin[2] == pytest.approx(30 + moved)
    assert bool(series.warnings) == bool(taken)
    if taken:
        assert "disagree by up to 30 mm" in series.warnings[0] and f"the {taken} is used" in series.warnings[0]


@pytest.mark.parametrize(("codes", "scale"), [((1, 1), 1.1), ((0, 1), 1.1), ((1, 2), 1.0)])
def test_voxels_have_the_size_of_the_one_that_is_taken(codes: tuple[int, int], scale: float, image: Path) -> None:
    sform = sform_of(image)
    sform[:, :3] *= 1.1
    change(image, SFORM, "<12f", *sform.ravel())
    change(image, CODES, "<2h", *codes)
    series = read_series(image)
    np.testing.assert_allclose(series.geometry.spacing, np.array(GEOMETRY.spacing) * scale, rtol=1e-5)
    (warning,) = series.warnings
    assert "1.32 x 1.65 x 5.5" in warning and "1.2 x 1.5 x 5" in warning


@pytest.mark.parametrize("size", [0.0, np.nan, np.inf])
@pytest.mark.parametrize("axis", [0, 2])
def test_a_missing_voxel_size_is_the_sforms(size: float, axis: int, image: Path) -> None:
    change(image, PIXDIM + 4 * (axis + 1), "<f", size)
    series = read_series(image)
    assert series.geometry.same_grid(GEOMETRY)
    assert f"pixdim[{axis + 1}]" in series.warnings[0] and "sform" in series.warnings[0]


@pytest.mark.parametrize("size", [0.0, np.nan])
def test_a_voxel_size_that_nothing_tells_is_refused(size: float, image: Path) -> None:
    change(image, PIXDIM + 12, "<f", size)
    change(image, CODES, "<2h", 1, 0)
    with pytest.raises(InputError, match=r"does not say how large its voxels are \(pixdim\[3\]"):
        read_series(image)
    change(image, CODES, "<2h", 1, 1)
    sform = sform_of(image)
    sform[:, 2] = 0
    change(image, SFORM, "<12f", *sform.ravel())
    with pytest.raises(InputError):
        read_series(image)


def test_commands_warn_and_keep_the_warning(command: Command, image: Path, tmp_path: Path) -> None:
    sform = sform_of(image)
    sform[0, 3] += 30
    change(image, SFORM, "<12f", *sform.ravel())
    out = tmp_path / "low.nii.gz"
    outcome = command("downsample", image, out, "--fraction", "0.25")
    assert outcome.code == 0 and "Warning: The qform and the sform" in outcome.err
    assert "30 mm" in warnings_beside(out)[0]
