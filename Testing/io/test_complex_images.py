"""Complex NIfTI files, and magnitudes together with their phases."""

from __future__ import annotations

import gzip
import math
import struct
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from helpers.operating_system import files_of_at_most

from SRDynamicMRILib.complex_series import ComplexSeries
from SRDynamicMRILib.errors import InputError
from SRDynamicMRILib.geometry import Geometry
from SRDynamicMRILib.io.complex_images import read_complex, write_complex
from SRDynamicMRILib.io.files import read_series, write_series, write_volume
from SRDynamicMRILib.volume import Series, Volume

RNG = np.random.default_rng(0)
SHAPE = (3, 6, 5)
TURNED = (0.8, -0.6, 0.0, 0.6, 0.8, 0.0, 0.0, 0.0, 1.0)
GEOMETRY = Geometry(SHAPE, (1.2, 1.5, 5.0), (10.0, 20.0, 30.0), TURNED)
DATATYPE, SLOPE = 70, 112


def voxels(count: int = 2) -> np.ndarray:
    return (RNG.normal(size=(count, *SHAPE)) + 1j * RNG.normal(size=(count, *SHAPE))).astype(np.complex64)


def images(values: np.ndarray, times: tuple[float, ...] | None = None) -> ComplexSeries:
    parts = ([Volume(part(v), GEOMETRY) for v in values] for part in (np.abs, np.angle))
    magnitude, phase = (Series.of(volumes, times) for volumes in parts)
    return ComplexSeries(magnitude, phase)


def refusal(path: Path, phase: Path | None = None) -> str:
    with pytest.raises(InputError) as caught:
        read_complex(path, phase)
    assert str(caught.value).count("\n") == 0 and str(caught.value).endswith(".")
    return str(caught.value)


@pytest.mark.parametrize("name", ["c.nii", "c.nii.gz"])
@pytest.mark.parametrize("count", [1, 3])
def test_what_is_written_is_read_again(name: str, count: int, tmp_path: Path) -> None:
    values = voxels(count)
    write_complex(images(values).with_facts(full_matrix=[12, 10]), tmp_path / name)
    read = read_complex(tmp_path / name)
    np.testing.assert_allclose(np.stack(list(read)), values, rtol=1e-5)
    np.testing.assert_allclose(read.phase[0].data, np.angle(values[0]), atol=1e-5)
    assert read.magnitude.geometry.same_grid(GEOMETRY) and read.phase.geometry.same_grid(GEOMETRY)
    assert read.magnitude.facts["full_matrix"] == [12, 10]


def test_a_complex_file_has_the_size_of_pairs_of_float32(tmp_path: Path) -> None:
    write_complex(images(voxels()), tmp_path / "c.nii")
    content = (tmp_path / "c.nii").read_bytes()
    assert struct.unpack_from("<2h", content, DATATYPE) == (32, 64)
    assert len(content) == 352 + 2 * 8 * math.prod(SHAPE)


def test_times_that_are_not_even_are_kept(tmp_path: Path) -> None:
    write_complex(images(voxels(3), (0.0, 1.0, 5.0)), tmp_path / "c.nii")
    assert read_complex(tmp_path / "c.nii").magnitude.times == (0.0, 1.0, 5.0)


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_files_of_other_software(dtype: type, tmp_path: Path) -> None:
    values = voxels(1)[0]
    sitk.WriteImage(sitk.GetImageFromArray(values.astype(np.complex64)), str(tmp_path / "c.nii"))
    if dtype is np.complex128:  # which SimpleITK writes as something else
        content = bytearray((tmp_path / "c.nii").read_bytes()[:352])
        struct.pack_into("<2h", content, DATATYPE, 1792, 128)
        (tmp_path / "c.nii").write_bytes(bytes(content) + values.astype("<c16").tobytes())
    np.testing.assert_allclose(read_complex(tmp_path / "c.nii")[0], values, rtol=1e-5)


def test_slope_and_intercept_hold_for_both_parts(tmp_path: Path) -> None:
    values = voxels(1)
    write_complex(images(values), tmp_path / "c.nii")
    content = bytearray((tmp_path / "c.nii").read_bytes())
    struct.pack_into("<2f", content, SLOPE, 2.0, 0.5)
    (tmp_path / "c.nii").write_bytes(content)
    np.testing.assert_allclose(read_complex(tmp_path / "c.nii")[0], 2 * values[0] + (0.5 + 0.5j), rtol=1e-4, atol=1e-5)


def test_read_series_refuses_a_complex_file_and_says_what_to_do(tmp_path: Path) -> None:
    write_complex(images(voxels()), tmp_path / "c.nii.gz")
    with pytest.raises(InputError, match="has complex voxels; give the magnitude image, which read_complex and"):
        read_series(tmp_path / "c.nii.gz")


def test_a_magnitude_and_its_phase(tmp_path: Path) -> None:
    values = voxels(3)
    pair = images(values)
    write_series(pair.magnitude, tmp_path / "m.nii.gz")
    write_series(pair.phase, tmp_path / "p.seq.nrrd")
    np.testing.assert_allclose(
        np.stack(list(read_complex(tmp_path / "m.nii.gz", tmp_path / "p.seq.nrrd"))), values, rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize(
    ("scale", "offset", "how"),
    [
        (4095 / math.pi, 0, "multiply it by pi/4096"),
        (2047 / math.pi, 2048, "subtract 2048 and multiply it by pi/2048"),
        (1000, 0, "divide it by 1000"),
        (180 / math.pi, 0, "scale it to -pi to pi"),
    ],
    ids=["-4096 to 4095", "0 to 4095", "milliradians", "degrees"],
)
def test_a_phase_that_is_not_in_radians(scale: float, offset: float, how: str, tmp_path: Path) -> None:
    pair = images(voxels(1))
    phase = np.clip(pair.phase[0].data, -math.pi, math.pi)
    phase.flat[0], phase.flat[1] = -math.pi, math.pi
    write_volume(pair.magnitude[0], tmp_path / "m.nii")
    write_volume(Volume(phase * scale + offset, GEOMETRY), tmp_path / "p.nii")
    told = refusal(tmp_path / "m.nii", tmp_path / "p.nii")
    assert "p.nii has values from" in told and "which are no radians" in told and how in told


def test_a_phase_whose_file_says_its_scale(tmp_path: Path) -> None:
    pair = images(voxels(1))
    write_volume(pair.magnitude[0], tmp_path / "m.nii")
    write_volume(Volume(pair.phase[0].data * 4096 / math.pi, GEOMETRY), tmp_path / "p.nii")
    content = bytearray((tmp_path / "p.nii").read_bytes())
    struct.pack_into("<2f", content, SLOPE, math.pi / 4096, 0.0)
    (tmp_path / "p.nii").write_bytes(content)
    read = read_complex(tmp_path / "m.nii", tmp_path / "p.nii")
    np.testing.assert_allclose(read.phase[0].data, pair.phase[0].data, atol=1e-4)


def test_a_later_time_point_in_other_units_is_refused_when_it_is_asked_for(tmp_path: Path) -> None:
    pair = images(voxels(2))
    write_series(pair.magnitude, tmp_path / "m.nii")
    wrong = Series.of([pair.phase[0], pair.phase[1].with_data(100 * pair.phase[1].data)])
    write_series(wrong, tmp_path / "p.nii")
    read = read_complex(tmp_path / "m.nii", tmp_path / "p.nii")
    with pytest.raises(InputError, match=r"Time point 1 of .*p\.nii has values from"):
        read[1]


def test_a_phase_that_does_not_belong_to_the_magnitude(tmp_path: Path) -> None:
    pair = images(voxels(3))
    write_series(pair.magnitude, tmp_path / "m.nii")
    write_series(pair.phase.select([0, 1]), tmp_path / "short.nii")
    moved = Geometry(SHAPE, GEOMETRY.spacing, (0.0, 0.0, 0.0), TURNED)
    write_series(Series.of([Volume(v.data, moved) for v in pair.phase]), tmp_path / "moved.nii")
    assert "has 2 time points but the magnitude has 3" in refusal(tmp_path / "m.nii", tmp_path / "short.nii")
    assert "is not on the grid of the magnitude" in refusal(tmp_path / "m.nii", tmp_path / "moved.nii")


def test_what_is_not_complex(tmp_path: Path) -> None:
    write_volume(Volume(np.abs(voxels(1)[0]), GEOMETRY), tmp_path / "m.nii")
    write_volume(Volume(np.abs(voxels(1)[0]), GEOMETRY), tmp_path / "m.nrrd")
    for name in ("m.nii", "m.nrrd"):
        assert "is not a complex NIfTI file; give one, or a magnitude" in refusal(tmp_path / name)
    assert "is a folder" in refusal(tmp_path)
    assert "no file or folder" in refusal(tmp_path / "none.nii")


def test_values_that_are_not_finite(tmp_path: Path) -> None:
    values = voxels(1)
    values[0, 1, 2, 3] = complex(1, math.nan)
    content = complex_file(tmp_path, values)
    assert "1 voxels that are not finite" in refusal(content)


@pytest.mark.parametrize("name", ["c.nii", "c.nii.gz"])
def test_a_file_that_is_cut_short(name: str, tmp_path: Path) -> None:
    write_complex(images(voxels()), tmp_path / name)
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: len(content) * 3 // 4])
    assert "is damaged or cut short" in refusal(tmp_path / name)


@pytest.mark.parametrize("datatype", [(32, 64), (1792, 128)])
@pytest.mark.parametrize("compressed", [False, True])
def test_a_header_that_claims_too_much_takes_no_memory(
    datatype: tuple[int, int], compressed: bool, tmp_path: Path
) -> None:
    path = complex_file(tmp_path, voxels(1))
    content = bytearray(path.read_bytes())
    struct.pack_into("<4h", content, 40, 3, 300, 300, 120)  # 41 MiB of float32, which would be read
    struct.pack_into("<2h", content, DATATYPE, *datatype)
    if compressed:
        path = tmp_path / "c.nii.gz"
        path.write_bytes(gzip.compress(bytes(content)))
    else:
        path.write_bytes(content)
    assert "claims to hold" in (told := refusal(path)) and "it is damaged, so export it again" in told


@pytest.mark.parametrize("name", ["c.nrrd", "c.mha", "folder"])
def test_complex_images_are_written_as_nifti(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"end it in \.nii or \.nii\.gz"):
        write_complex(images(voxels()), tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_full_disk_leaves_the_earlier_file(tmp_path: Path) -> None:
    path = tmp_path / "c.nii"
    write_complex(images(voxels()), path)
    before = path.read_bytes()
    with files_of_at_most(400), pytest.raises(InputError, match="could not be written"):
        write_complex(images(voxels(3)), path)
    assert path.read_bytes() == before and [f.name for f in tmp_path.iterdir()] == ["c.nii"]


def complex_file(folder: Path, values: np.ndarray) -> Path:
    """A complex NIfTI file of these voxels as they are."""
    path = folder / "c.nii"
    write_complex(images(voxels(len(values))), path)
    path.write_bytes(path.read_bytes()[:352] + values.astype("<c8").tobytes())
    return path
