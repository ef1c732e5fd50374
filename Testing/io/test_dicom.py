"""DICOM folders: slices find their place and their time whatever their file names say."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from helpers.command_line import Command
from helpers.dicom import ORIGIN, SHAPE, SPACING, Tags, recode, trigger_times, write_dicom
from helpers.patient import Patient
from helpers.sidecars import warnings_beside
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    MediaStorageDirectoryStorage,
    SecondaryCaptureImageStorage,
)
from scipy.spatial.transform import Rotation

from SRDynamicMRILib.errors import InputError
from SRDynamicMRILib.io.files import read_series, read_volume


def edit(path: Path, change: Callable[[pydicom.Dataset], object]) -> None:
    """Change a file by pydicom, explicit or implicit as it was."""
    image = pydicom.dcmread(path)
    change(image)
    image.save_as(path)


def set_values(image: pydicom.Dataset, values: dict[str, str]) -> None:
    """Give some tags ``gggg|eeee`` a value; those of empty ones go."""
    for key, value in values.items():
        tag = int(key.replace("|", ""), 16)
        if value:
            image.add_new(tag, pydicom.datadict.dictionary_VR(tag), value)
        elif tag in image:
            del image[tag]


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
        (lambda t, z: {"0018|1060": str(50 * t), "0020|0100": str(t + 1)}, [0, 0.05, 0.1]),
        (lambda t, z: {"0018|1060": str(51 * t + 3 * z), "0008|0032": f"10{7 * z:02d}12.5"}, [0.0045, 0.0555, 0.1065]),
        (
            lambda t, z: {"0018|1060": str(9 * t), "0008|0032": f"10{7 * z:02d}12", "0020|0100": str(1 + t)},
            [0, 0.009, 0.018],
        ),
        (lambda t, z: {"0020|0100": str(1 + t), "0008|0033": f"1010{40 - 9 * t:02d}"}, [0, 1, 2]),
        (lambda t, z: {"0008|0032": f"1010{20 * t:02d}", "0020|0013": str(99 - 4 * t - z)}, [0, 20, 40]),
        (lambda t, z: {"0020|0100": str(1 + t + 3 * z)}, [0, 1, 2]),
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
        "temporal position and trigger time",
        "gated cine, minutes between slices",
        "gated cine with temporal position",
        "content time is when images were computed",
        "instance numbers backwards",
        "temporal positions that count on from slice to slice",
    ],
)
def test_what_puts_time_points_in_order(tmp_path: Path, tags: Tags, times: list[float]) -> None:
    voxels = write_dicom(tmp_path, tags)
    series = read_series(tmp_path)
    assert series.times == pytest.approx(times)
    assert series.warnings == ()
    assert all(np.array_equal(volume.data, truth) for volume, truth in zip(series, voxels, strict=True))


JITTER = [107, 103, 109, 101, 105, 102]
"""Delays after six heart beats, in ms."""


@pytest.mark.parametrize(
    ("tags", "times", "odd", "used"),
    [
        (
            lambda t, z: {"0018|1060": str(JITTER[t]), "0008|0032": f"1010{2 * t:02d}"},
            [0, 2, 4, 6, 8, 10],
            "trigger times",
            "acquisition times",
        ),
        (
            lambda t, z: {"0018|1060": str((60 * t + 130 * z) % 360 + z), "0020|0100": str(t + 1)},
            [0, 1, 2, 3, 4, 5],
            "trigger times",
            "temporal positions",
        ),
        (
            lambda t, z: {"0018|1060": str(10 + 51 * (t % 3) + t), "0008|0032": f"10101{t // 3}.{2 * (t % 3)}{z}"},
            [0, 0.2, 0.4, 1, 1.2, 1.4],
            "trigger times",
            "acquisition times",
        ),
        (
            lambda t, z: {"0018|1060": str(9 + 51 * (t % 3) + t), "0008|0032": f"10101{t // 3}", "0020|0013": str(t)},
            [0, 1, 2, 3, 4, 5],
            "trigger times",
            "instance numbers",
        ),
        (
            lambda t, z: {"0018|1060": str(50 * t), "0020|0100": str(t + 1), "0008|0032": f"10101{(t + 2) % 6}"},
            [0, 0.05, 0.1, 0.15, 0.2, 0.25],
            "acquisition times",
            "temporal positions",
        ),
        (
            lambda t, z: {
                "0018|1060": str(50 * t),
                "0008|0032": f"1010{z}0",
                "0008|0033": f"1020{60 - JITTER[t] // 2}",
            },
            [0, 0.05, 0.1, 0.15, 0.2, 0.25],
            "content times",
            "trigger times",
        ),
    ],
    ids=[
        "jittered delays",
        "delays that differ by slice",
        "two heart beats",
        "two heart beats, clock of whole seconds",
        "two against a clock",
        "gated cine whose images were computed in another order",
    ],
)
def test_orders_that_disagree(tmp_path: Path, tags: Tags, times: list[float], odd: str, used: str) -> None:
    voxels = write_dicom(tmp_path, tags, time_points=6)
    series = read_series(tmp_path)
    assert series.times == pytest.approx(times)
    assert all(np.array_equal(volume.data, truth) for volume, truth in zip(series, voxels, strict=True))
    sentence = f"The {odd} in {tmp_path} give another order in time than the {used}, which are used."
    assert series.warnings == ((sentence,) if odd else ())
    assert series.select([1, 2]).warnings == series.warnings
    assert series.map(lambda volume: volume, series.geometry).warnings == series.warnings


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        (
            lambda t, z: {"0020|0100": str(9 - t), "0008|0032": f"1010{20 * t:02d}"},
            "The acquisition times and the temporal positions in {} contradict each other, so its images cannot be put",
        ),
        (
            lambda t, z: {"0018|1060": str(JITTER[t]), "0008|0032": f"10101{t // 3}"},
            "The trigger times and the acquisition times in {} contradict each other",
        ),
        (
            lambda t, z: {"0020|0100": str(t + 1 + (z == 2 and t > 3))},
            "Slice 3 of 4 in {} lacks temporal position 5, which slice 1 has; a file is missing.",
        ),
        (
            lambda t, z: {"0008|0032": f"1010{2 * t + 2 * (z == 2 and t > 3):02d}.{z}", "0018|1060": str(50 * t)},
            "By their acquisition times, some slices of time point 4 in {} were acquired after time point 5 had begun",
        ),
    ],
    ids=["clock and temporal position", "clock and trigger time", "missing temporal position", "overlapping volumes"],
)
def test_no_volume_is_made_of_slices_whose_times_contradict_each_other(tmp_path: Path, tags: Tags, reason: str) -> None:
    write_dicom(tmp_path, tags, time_points=6)
    assert reason.format(tmp_path) in refusal(tmp_path)


MIDNIGHT = ["235956", "235958", "000000.5", "000002"]


@pytest.mark.parametrize(
    "tags",
    [
        lambda t, z: {"0008|0032": MIDNIGHT[t], "0008|0022": "20260831" if t < 2 else "20260901"},
        lambda t, z: {"0008|0032": MIDNIGHT[t]},
        lambda t, z: {"0008|0032": MIDNIGHT[t], "0008|0022": "19000101"},
        lambda t, z: {"0008|0032": MIDNIGHT[t], "0008|0022": "anonymous"},
        lambda t, z: {"0008|0033": MIDNIGHT[t], "0008|0023": "20261231" if t < 2 else "20270101"},
        lambda t, z: {"0008|002a": ("20261231" if t < 2 else "20270101") + MIDNIGHT[t] + "-0430"},
        lambda t, z: {"0008|0032": MIDNIGHT[t], "0020|0100": str(t + 1), "0018|1060": str(JITTER[t])},
    ],
    ids=["date", "no date", "one date", "no date that is one", "content date", "date and time in one", "position"],
)
def test_a_series_across_midnight(tmp_path: Path, tags: Tags) -> None:
    voxels = write_dicom(tmp_path, tags, time_points=4)
    series = read_series(tmp_path)
    assert series.times == pytest.approx([0, 2, 4.5, 6])
    assert all(np.array_equal(volume.data, truth) for volume, truth in zip(series, voxels, strict=True))


def test_warnings_reach_the_user(command: Command, patient: Patient, tmp_path: Path) -> None:
    folder, out, lower = tmp_path / "cine", tmp_path / "o.nii.gz", tmp_path / "low.nii.gz"
    jittered: Tags = lambda t, z: {"0018|1060": str(JITTER[t]), "0008|0032": f"1010{2 * t:02d}"}  # noqa: E731
    write_dicom(folder, jittered, time_points=2, shape=(4, 24, 32))
    sentence = f"The trigger times in {folder} give another order in time than the acquisition times"
    outcome = command("superresolve", folder, out, "--model", patient.model, "--progress", "none")
    assert outcome.code == 0
    assert f"Warning: {sentence}" in outcome.err
    assert sum(sentence in warning for warning in warnings_beside(out)) == 1
    outcome = command("downsample", folder, lower, "--fraction", "0.25", "--progress", "none")
    assert (outcome.code, sentence in outcome.err) == (0, True)


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


@pytest.mark.parametrize(
    ("tags", "thickness"),
    [
        ({"0018|0050": "8", "0018|0088": "9"}, 8),
        ({"0018|0050": "", "0018|0088": "9"}, 9),
        ({"0018|0050": "0", "0018|0088": ""}, 1),
    ],
    ids=["thickness", "distance", "neither"],
)
def test_one_slice_again_and_again(tmp_path: Path, tags: dict[str, str], thickness: float) -> None:
    voxels = write_dicom(tmp_path, trigger_times, 5, shape=(1, 6, 8))
    for file in tmp_path.iterdir():
        edit(file, lambda image: set_values(image, tags))
    series = read_series(tmp_path)
    assert np.array_equal([volume.data for volume in series], voxels)
    assert series.geometry.shape == (1, 6, 8)
    assert series.geometry.spacing == pytest.approx((*SPACING[:2], thickness))
    assert series.geometry.origin == pytest.approx(ORIGIN)
    assert len(series.times) == 5


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
    assert "is an enhanced multi-frame DICOM file; convert it to NIfTI" in refusal(tmp_path / "enhanced.dcm")


def test_colour(tmp_path: Path) -> None:
    image = sitk.GetImageFromArray(np.arange(144, dtype=np.uint8).reshape(1, 6, 8, 3), isVector=True)
    sitk.WriteImage(image, str(tmp_path / "colour.dcm"))
    assert "is a colour image" in refusal(tmp_path)


def test_cut_short(tmp_path: Path) -> None:
    write_dicom(tmp_path, trigger_times)
    file = tmp_path / "IM0003.dcm"
    file.write_bytes(file.read_bytes()[:-40])
    assert "IM0003.dcm is damaged or cut short" in refusal(tmp_path)


SYNTAXES = [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda syntax: syntax.name)
def test_pixels_that_are_fewer_than_rows_and_columns(tmp_path: Path, syntax: str) -> None:
    """GDCM would fill the image with what the process has had in its memory."""
    voxels = write_dicom(tmp_path, trigger_times)
    for file in tmp_path.iterdir():
        recode(file, syntax)
    assert np.array_equal([volume.data for volume in read_series(tmp_path)], voxels)
    recode(tmp_path / "IM0003.dcm", syntax, pixels=40)
    assert "IM0003.dcm is damaged or cut short" in refusal(tmp_path)


@pytest.mark.parametrize("bits", [12, 32])
def test_pixels_that_are_fewer_than_bits(tmp_path: Path, bits: int) -> None:
    write_dicom(tmp_path, trigger_times)

    def claim(image: pydicom.Dataset) -> None:
        image.BitsAllocated, image.BitsStored, image.HighBit = bits, bits, bits - 1
        image.PixelData = image.PixelData[: 6 * 8 * bits // 8 - 2] if bits == 12 else image.PixelData

    edit(tmp_path / "IM0003.dcm", claim)
    assert "IM0003.dcm is damaged or cut short" in refusal(tmp_path)


def test_a_file_of_its_own_whose_pixels_are_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "slice.dcm"
    sitk.WriteImage(sitk.GetImageFromArray(np.arange(480, dtype=np.uint16).reshape(1, 20, 24)), str(path))
    assert read_series(path).geometry.shape == (1, 20, 24)
    recode(path, ExplicitVRLittleEndian, pixels=400)
    assert "slice.dcm is damaged or cut short" in refusal(path)


def test_compressed_pixels_of_another_size(tmp_path: Path) -> None:
    """They say their size themselves, and GDCM believes them."""
    write_dicom(tmp_path / "a", trigger_times)
    other = sitk.GetImageFromArray(np.zeros((1, 9, 9), np.uint16))
    sitk.WriteImage(other, str(tmp_path / "b.dcm"), useCompression=True, compressor="JPEG")
    compressed = pydicom.dcmread(tmp_path / "b.dcm")
    assert compressed.file_meta.TransferSyntaxUID.is_compressed
    image = pydicom.dcmread(tmp_path / "a" / "IM0003.dcm")
    image.file_meta.TransferSyntaxUID = compressed.file_meta.TransferSyntaxUID
    image["PixelData"] = compressed["PixelData"]
    pydicom.dcmwrite(tmp_path / "a" / "IM0003.dcm", image, implicit_vr=False, little_endian=True, force_encoding=True)
    assert "differ in size: IM0003.dcm has 9x9 pixels" in refusal(tmp_path / "a")


@pytest.mark.parametrize("described", [True, False])
def test_files_without_preamble(tmp_path: Path, described: bool) -> None:
    voxels = write_dicom(tmp_path, trigger_times)
    for file in tmp_path.iterdir():
        content = file.read_bytes()
        start = 132 if described else 144 + int.from_bytes(content[140:144], "little")
        file.write_bytes(content[start:])
    assert np.array_equal([volume.data for volume in read_series(tmp_path)], voxels)


def test_a_directory_with_icons_is_passed_over(tmp_path: Path) -> None:
    voxels = write_dicom(tmp_path, trigger_times)
    icon = pydicom.dcmread(tmp_path / "IM0003.dcm")
    icon.file_meta.MediaStorageSOPClassUID = MediaStorageDirectoryStorage
    icon.save_as(tmp_path / "DICOMDIR")
    series = read_series(tmp_path)
    assert np.array_equal([volume.data for volume in series], voxels)
    assert series.warnings == ()


@pytest.mark.parametrize("kind", ["grey", "RGB", "YBR_FULL_422"])
def test_screen_saves_beside_the_series(tmp_path: Path, kind: str) -> None:
    voxels = write_dicom(tmp_path, trigger_times)
    shape = (1, 40, 60) if kind == "grey" else (1, 40, 60, 3)
    picture = sitk.GetImageFromArray(np.zeros(shape, np.uint8), isVector=len(shape) == 4)
    sitk.WriteImage(picture, str(tmp_path / "S1.dcm"))

    def store(image: pydicom.Dataset) -> None:
        image.SOPClassUID = SecondaryCaptureImageStorage
        if kind == "YBR_FULL_422":
            image.PhotometricInterpretation, image.PixelData = kind, image.PixelData[: 40 * 60 * 2]

    edit(tmp_path / "S1.dcm", store)
    series = read_series(tmp_path)
    assert np.array_equal([volume.data for volume in series], voxels)
    assert series.warnings == (f"Screenshots and other pictures in {tmp_path} were left out: S1.dcm.",)


def test_series_that_were_converted_to_secondary_captures(tmp_path: Path) -> None:
    voxels = write_dicom(tmp_path, trigger_times)
    for file in tmp_path.iterdir():
        edit(file, lambda image: setattr(image, "SOPClassUID", SecondaryCaptureImageStorage))
    assert np.array_equal([volume.data for volume in read_series(tmp_path)], voxels)


def test_a_file_that_is_there_twice(tmp_path: Path) -> None:
    voxels = write_dicom(tmp_path, trigger_times)
    shutil.copy(tmp_path / "IM0003.dcm", tmp_path / "IM0003 copy.dcm")
    series = read_series(tmp_path)
    assert np.array_equal([volume.data for volume in series], voxels)
    assert len(series.warnings) == 1
    assert "IM0003.dcm" in series.warnings[0] and "Duplicates in" in series.warnings[0]
    edit(tmp_path / "IM0003 copy.dcm", lambda image: setattr(image, "PatientName", "Anybody"))
    assert "are two versions of one image" in refusal(tmp_path)


def test_mosaic(tmp_path: Path) -> None:
    write_dicom(tmp_path, lambda t, z: {**trigger_times(t, z), "0008|0008": r"ORIGINAL\PRIMARY\M\ND\MOSAIC"})
    assert "is a Siemens mosaic, which shows all slices of a time point in one picture" in refusal(tmp_path)


# Kinds of images


def private(image: pydicom.Dataset, group: int, creator: str, element: int, kind: str, value: object) -> None:
    image.private_block(group, creator, create=True).add_new(element, kind, value)


def siemens(image: pydicom.Dataset, b: int) -> None:
    private(image, 0x19, "SIEMENS MR HEADER", 0x0C, "IS", str(b))


def ge(image: pydicom.Dataset, b: int) -> None:
    private(image, 0x43, "GEMS_PARM_01", 0x39, "IS", [str(10**9 + b), "8", "0", "0"])


def philips(image: pydicom.Dataset, b: int) -> None:
    private(image, 0x2001, "Philips Imaging DD 001", 0x03, "FL", float(b))


def standard(image: pydicom.Dataset, b: int) -> None:
    image.DiffusionBValue = float(b)


def ge_component(image: pydicom.Dataset, component: int) -> None:
    private(image, 0x43, "GEMS_PARM_01", 0x2F, "SS", component)


def image_type(*words: str) -> Callable[[pydicom.Dataset, int], None]:
    return lambda image, number: setattr(image, "ImageType", ["ORIGINAL", "PRIMARY", words[number], "ND"])


def echo_time(*times: float) -> Callable[[pydicom.Dataset, int], None]:
    return lambda image, number: setattr(image, "EchoTime", times[number])


def echo_number(image: pydicom.Dataset, number: int) -> None:
    image.EchoNumbers = number + 1


def complex_component(image: pydicom.Dataset, number: int) -> None:
    image.ComplexImageComponent = ["MAGNITUDE", "IMAGINARY"][number]


@pytest.mark.parametrize(
    ("change", "values", "found"),
    [
        (image_type("M", "P"), (0, 1), r"magnitude (ORIGINAL\PRIMARY\M\ND) (12 files); phase (ORIGINAL\PRIMARY\P\ND)"),
        (image_type("R_FFE", "I_FFE"), (0, 1), r"imaginary (ORIGINAL\PRIMARY\I_FFE\ND) (12 files); real"),
        (image_type("ADC", "DIFFUSION"), (0, 1), r"ORIGINAL\PRIMARY\ADC\ND (12 files)"),
        (complex_component, (0, 1), "imaginary (12 files); magnitude (12 files)"),
        (ge_component, (0, 1), "magnitude (12 files); phase (12 files)"),
        (echo_time(4.92, 9.84), (0, 1), "echo time 4.92 ms (12 files); echo time 9.84 ms (12 files)"),
        (echo_number, (0, 1), "echo 1 (12 files); echo 2 (12 files)"),
        (standard, (0, 800), "b = 0 s/mm^2 (12 files); b = 800 s/mm^2 (12 files)"),
        (siemens, (0, 800), "b = 0 s/mm^2 (12 files); b = 800 s/mm^2 (12 files)"),
        (ge, (0, 800), "b = 0 s/mm^2 (12 files); b = 800 s/mm^2 (12 files)"),
        (philips, (0, 800), "b = 0 s/mm^2 (12 files); b = 800 s/mm^2 (12 files)"),
    ],
    ids=["M and P", "R and I", "types", "complex", "GE", "echo times", "echoes", "b", "Siemens", "GE's b", "Philips"],
)
def test_kinds_of_images_are_no_time_points(
    tmp_path: Path, change: Callable[[pydicom.Dataset, int], None], values: tuple[int, int], found: str
) -> None:
    write_dicom(tmp_path, lambda t, z: {"0008|0032": f"1010{t:02d}"}, time_points=6)
    for file in tmp_path.iterdir():
        edit(file, lambda image: change(image, values[float(image.AcquisitionTime) >= 101003]))
    message = refusal(tmp_path)
    assert f"{tmp_path} holds 2 kinds of images in one series: " in message
    assert found in message
    assert message.endswith("into a folder of their own.")
    assert ("Put the magnitude images" in message) == ("magnitude" in found or "real" in found)


def test_echo_times_that_differ_a_little_are_one_echo(tmp_path: Path) -> None:
    write_dicom(tmp_path, lambda t, z: {**trigger_times(t, z), "0018|0081": f"{2.3 + 0.05 * t}"})
    assert len(read_series(tmp_path)) == 3


def test_volumes_beside_dicom(tmp_path: Path) -> None:
    write_dicom(tmp_path, trigger_times)
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((3, 4, 5), np.int16)), str(tmp_path / "v.nii"))
    assert "holds DICOM files and volumes" in refusal(tmp_path)
