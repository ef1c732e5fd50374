"""DICOM folders: slices find their place and their time whatever their file names say."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from SRDynamicMRILib.errors import InputError
from SRDynamicMRILib.files import read_series, read_volume

SPACING = (1.5, 2.5, 7.0)
ORIGIN = np.array([12.0, -34.0, 56.0])
SHAPE = (4, 6, 8)

Tags = Callable[[int, int], dict[str, str]]


def trigger_times(time: int, slice_number: int) -> dict[str, str]:
    """Give each slice its own heart rate, about 51 ms a time point."""
    return {"0018|1060": f"{10 + time * (51 + slice_number - 1.5):.3f}"}


def write_dicom(
    folder: Path,
    tags: Tags,
    time_points: int = 3,
    direction: np.ndarray | None = None,
    shape: tuple[int, int, int] = SHAPE,
    seed: int = 0,
) -> np.ndarray:
    """Write a folder of slices with names in shuffled order; return the voxels ``(T, D, H, W)``."""
    folder.mkdir(exist_ok=True)
    direction = np.eye(3) if direction is None else direction
    voxels = np.random.default_rng(seed).integers(0, 2000, (time_points, *shape)).astype(np.int16)
    names = list(range(time_points * shape[0]))
    random.Random(seed).shuffle(names)
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    for number, name in enumerate(names):
        time, level = divmod(number, shape[0])
        image = sitk.GetImageFromArray(voxels[time, level][None])
        image.SetSpacing(SPACING)
        position = ORIGIN + direction[:, 2] * SPACING[2] * level
        values = {
            "0008|0016": "1.2.840.10008.5.1.4.1.1.4",  # MR Image Storage
            "0008|0060": "MR",
            "0008|0018": f"1.2.3.{seed}.{number}",
            "0020|000d": "1.2.3",
            "0020|000e": f"1.2.4.{seed}",
            "0008|103e": f"cine {seed}",
            "0020|0037": "\\".join(f"{v:.10f}" for v in direction[:, :2].T.ravel()),
            "0020|0032": "\\".join(f"{v:.10f}" for v in position),
            "0020|0013": "1",
            **tags(time, level),
        }
        for key, value in values.items():
            image.SetMetaData(key, value)
        writer.SetFileName(str(folder / f"IM{name:04d}.dcm"))
        writer.Execute(image)
    return voxels


def refusal(folder: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_series(folder)
    message = str(caught.value)
    assert message.endswith(".") and "\n" not in message
    return message


@given(angles=st.tuples(*[st.floats(-3.1, 3.1)] * 3), seed=st.integers(0, 99))
@settings(max_examples=15, deadline=None)
def test_4d_folder(tmp_path_factory: pytest.TempPathFactory, angles: tuple[float, float, float], seed: int) -> None:
    folder = tmp_path_factory.mktemp("cine")
    direction = Rotation.from_euler("xyz", angles).as_matrix()
    voxels = write_dicom(folder, trigger_times, direction=direction, seed=seed)
    series = read_series(folder)
    assert series.times == pytest.approx([0.010, 0.061, 0.112])
    assert all(np.array_equal(volume.data, truth) for volume, truth in zip(series, voxels, strict=True))
    assert series.geometry.shape == SHAPE
    assert series.geometry.spacing == pytest.approx(SPACING, abs=1e-6)
    assert series.geometry.origin == pytest.approx(ORIGIN, abs=1e-6)
    assert series.geometry.direction == pytest.approx(direction.ravel(), abs=1e-6)


@pytest.mark.parametrize(
    ("tags", "times"),
    [
        (lambda t, z: {"0020|0100": str(t + 1)}, [0, 1, 2]),
        (lambda t, z: {"0020|0100": str(t + 1), "0020|0110": "250"}, [0, 0.25, 0.5]),
        (lambda t, z: {"0020|0100": str(t + 1), "0008|0032": f"1010{5 * t + z:02d}.5"}, [0, 5, 10]),
        (lambda t, z: {"0008|0032": f"1010{20 * t:02d}.25"}, [0, 20, 40]),
        (lambda t, z: {"0008|0032": "101010", "0008|0033": f"23{t:02d}00"}, [0, 60, 120]),
        (lambda t, z: {"0020|0013": str(9 + 4 * t + z)}, [0, 1, 2]),
        (lambda t, z: {"0018|1060": "0", "0020|0100": str(3 * t)}, [0, 1, 2]),
        (lambda t, z: {"0018|1060": "0" if z else "", "0020|0013": str(t)}, [0, 1, 2]),
        (lambda t, z: {"0018|1060": str(50 * t), "0020|0100": str(9 - t)}, [0, 0.05, 0.1]),
    ],
    ids=[
        "temporal position",
        "temporal resolution",
        "acquisition time beside temporal position",
        "acquisition time",
        "content time",
        "instance number",
        "trigger time always 0",
        "trigger time missing",
        "trigger time first",
    ],
)
def test_what_puts_time_points_in_order(tmp_path: Path, tags: Tags, times: list[float]) -> None:
    voxels = write_dicom(tmp_path, tags)
    series = read_series(tmp_path)
    assert series.times == pytest.approx(times)
    assert all(np.array_equal(volume.data, truth) for volume, truth in zip(series, voxels, strict=True))


def test_one_time_point_is_a_volume(tmp_path: Path) -> None:
    voxels = write_dicom(tmp_path, lambda t, z: {}, time_points=1)
    (tmp_path / "DICOMDIR").write_bytes(bytes(128) + b"DICM, but no pixels")
    (tmp_path / "readme.txt").write_text("text")
    volume = read_volume(tmp_path)
    assert np.array_equal(volume.data, voxels[0])
    assert volume.geometry.spacing == pytest.approx(SPACING)


def test_rescale_slope_is_applied_slice_by_slice(tmp_path: Path) -> None:
    voxels = write_dicom(tmp_path, lambda t, z: {"0028|1053": "2", "0028|1052": "0"}, time_points=1)
    voxels = voxels[0] // 2  # What is stored, as SimpleITK divides by the slope.
    slopes = [2.0, 2.5, 3.0, 0.1]
    for level, slope in enumerate(slopes):
        # SimpleITK writes whole numbers only as slope, so a fraction is put in afterwards.
        (file,) = files_at(tmp_path, level)
        tag, written = b"\x28\x00\x53\x10", b"\x02\x00\x00\x002 "
        content = file.read_bytes()
        assert content.count(tag + written) == 1
        file.write_bytes(content.replace(tag + written, tag + b"\x04\x00\x00\x00" + f"{slope:.1f} ".encode()))
    assert np.allclose(read_volume(tmp_path).data, voxels * np.array(slopes)[:, None, None])


def test_several_series(tmp_path: Path) -> None:
    write_dicom(tmp_path / "a", trigger_times, seed=1)
    write_dicom(tmp_path / "b", trigger_times, seed=2, time_points=1)
    for file in (tmp_path / "b").iterdir():
        file.rename(tmp_path / "a" / f"other {file.name}")
    message = refusal(tmp_path / "a")
    assert "holds 2 DICOM series" in message and "point at a folder with one" in message
    assert "'cine 1' (12 files)" in message and "'cine 2' (4 files)" in message


def files_at(folder: Path, level: int) -> list[Path]:
    def height(path: Path) -> float:
        return float(sitk.ReadImage(str(path)).GetOrigin()[2])

    return [file for file in sorted(folder.iterdir()) if abs(height(file) - ORIGIN[2] - SPACING[2] * level) < 1]


def test_missing_file(tmp_path: Path) -> None:
    write_dicom(tmp_path, trigger_times)
    files_at(tmp_path, 2)[0].unlink()
    assert "Slice 3 of 4 in" in refusal(tmp_path)
    assert "has 2 time points where others have 3; a file is missing" in refusal(tmp_path)


def test_missing_slice(tmp_path: Path) -> None:
    write_dicom(tmp_path, trigger_times)
    for file in files_at(tmp_path, 1):
        file.unlink()
    assert "are 14 mm apart where the others are 7 mm apart; a slice may be missing" in refusal(tmp_path)


def test_single_slice(tmp_path: Path) -> None:
    write_dicom(tmp_path, trigger_times, shape=(1, 6, 8))
    assert "holds a single slice" in refusal(tmp_path)
    assert "give the folder" in refusal(next(tmp_path.iterdir()))


def test_copies_cannot_be_put_in_order(tmp_path: Path) -> None:
    write_dicom(tmp_path, lambda t, z: {})
    assert "cannot be put in order" in refusal(tmp_path)


def combined(tmp_path: Path, **changes: object) -> Path:
    """Make one series of two stacks that differ in `changes`."""
    write_dicom(tmp_path / "a", trigger_times, time_points=1)
    write_dicom(tmp_path / "b", trigger_times, time_points=1, **changes)  # type: ignore[arg-type]
    for file in (tmp_path / "b").iterdir():
        file.rename(tmp_path / "a" / f"other {file.name}")
    return tmp_path / "a"


def test_slices_that_are_not_parallel(tmp_path: Path) -> None:
    turned = Rotation.from_euler("x", 0.3).as_matrix()
    assert "are not parallel" in refusal(combined(tmp_path, direction=turned))


def test_slices_of_different_size(tmp_path: Path) -> None:
    assert "differ in size" in refusal(combined(tmp_path, shape=(4, 6, 10)))


def test_slices_shifted_in_their_plane(tmp_path: Path) -> None:
    def shifted(time: int, level: int) -> dict[str, str]:
        return {"0020|0032": f"{12 + 3 * level}\\-34\\{56 + 7 * level}"}

    write_dicom(tmp_path, shifted, time_points=1)
    assert "are shifted against each other by 9 mm" in refusal(tmp_path)


def test_enhanced_multi_frame(tmp_path: Path) -> None:
    image = sitk.GetImageFromArray(np.arange(480, dtype=np.int16).reshape(10, 6, 8))
    image.SetMetaData("0008|0060", "MR")
    sitk.WriteImage(image, str(tmp_path / "enhanced.dcm"))
    assert "is an enhanced multi-frame DICOM file; convert it to NIfTI" in refusal(tmp_path)


def test_colour(tmp_path: Path) -> None:
    image = sitk.GetImageFromArray(np.arange(144, dtype=np.uint8).reshape(1, 6, 8, 3), isVector=True)
    sitk.WriteImage(image, str(tmp_path / "colour.dcm"))
    assert "is a colour image" in refusal(tmp_path)


def test_cut_short(tmp_path: Path) -> None:
    write_dicom(tmp_path, trigger_times)
    file = tmp_path / "IM0003.dcm"
    file.write_bytes(file.read_bytes()[:-40])
    assert "IM0003.dcm is damaged or cut short" in refusal(tmp_path)


def test_volumes_beside_dicom(tmp_path: Path) -> None:
    write_dicom(tmp_path, trigger_times)
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((3, 4, 5), np.int16)), str(tmp_path / "v.nii"))
    assert "holds DICOM files and volumes" in refusal(tmp_path)
