"""Files of volumes and series: voxels, places and times come back, and bad files are named in a sentence."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from helpers.dicom import trigger_times, write_dicom
from helpers.nifti import nifti2
from helpers.operating_system import needs_posix
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from SRDynamicMRILib.errors import InputError
from SRDynamicMRILib.geometry import Geometry
from SRDynamicMRILib.io import room
from SRDynamicMRILib.io.files import (
    check_voxels,
    read_series,
    read_volume,
    write_series,
    write_volume,
)
from SRDynamicMRILib.io.image_files import set_geometry
from SRDynamicMRILib.io.paths import LARGEST_TEXT
from SRDynamicMRILib.io.sidecar import description
from SRDynamicMRILib.io.times import sidecar_of
from SRDynamicMRILib.volume import Series, Volume

VOLUME_TYPES = (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd", ".seq.nrrd")
SERIES_TYPES = (*VOLUME_TYPES, "")


def noise(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(100, 30, shape).astype(np.float32)


def series_of(shape: tuple[int, int, int], times: Sequence[float], geometry: Geometry | None = None) -> Series:
    return Series.of([Volume(noise(shape, i), geometry) for i in range(len(times))], times)


@st.composite
def geometries(draw: st.DrawFn) -> Geometry:
    """Oblique grids of odd and even sizes, left-handed ones among them."""
    direction = Rotation.from_euler("xyz", draw(st.tuples(*[st.floats(-3.1, 3.1)] * 3))).as_matrix()
    if draw(st.booleans()):
        direction[:, draw(st.integers(0, 2))] *= -1
    return Geometry(
        draw(st.tuples(*[st.integers(2, 7)] * 3)),
        draw(st.tuples(*[st.floats(0.3, 9)] * 3)),
        draw(st.tuples(*[st.floats(-500, 500)] * 3)),
        tuple(direction.ravel().tolist()),
    )


def assert_same_place(read: Geometry, written: Geometry, ending: str) -> None:
    """Check that corresponding corners coincide: to float32 in NIfTI, else to rounding."""
    assert read.shape == written.shape
    tolerance = 1e-4 if ending in (".nii", ".nii.gz", "") else 1e-9
    depth, height, width = written.shape
    for corner in np.ndindex(2, 2, 2):
        index = np.array(corner) * (width - 1, height - 1, depth - 1)
        assert np.linalg.norm(read.position(index) - written.position(index)) < tolerance * 5
    np.testing.assert_allclose(read.spacing, written.spacing, rtol=1e-5)
    assert np.linalg.det(read.axes) * np.linalg.det(written.axes) > 0


# Nothing is lost


@pytest.mark.parametrize("ending", VOLUME_TYPES)
@given(geometry=geometries())
@settings(max_examples=25, deadline=None)
def test_volume_comes_back(ending: str, geometry: Geometry) -> None:
    volume = Volume(noise(geometry.shape), geometry)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"volume{ending}"
        write_volume(volume, path)
        again = read_volume(path)
    assert np.array_equal(again.data, volume.data)
    assert_same_place(again.geometry, geometry, ending)


@pytest.mark.parametrize("ending", SERIES_TYPES)
@given(geometry=geometries(), gaps=st.lists(st.floats(0.002, 3), max_size=4), start=st.floats(0, 50))
@settings(max_examples=15, deadline=None)
def test_series_comes_back(ending: str, geometry: Geometry, gaps: list[float], start: float) -> None:
    times = np.cumsum([start, *gaps])
    series = series_of(geometry.shape, times, geometry)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"series{ending}"
        write_series(series, path)
        again = read_series(path)
        assert len(again) == len(series)
        for one, other in zip(again, series, strict=True):
            assert np.array_equal(one.data, other.data)
    if ending != "" or len(times) > 1:  # A folder of one volume has no time.
        np.testing.assert_allclose(again.times, times, rtol=1e-6, atol=1e-6)
    assert_same_place(again.geometry, geometry, ending)


@pytest.mark.parametrize("ending", SERIES_TYPES)
@pytest.mark.parametrize("times", [[0, 0.051, 0.102], [1.5, 1.75, 2.0], [0, 0.1, 0.7], [3, 4]])
def test_times_are_kept_to_the_digit(tmp_path: Path, ending: str, times: list[float]) -> None:
    write_series(series_of((3, 4, 5), times), tmp_path / f"s{ending}")
    assert read_series(tmp_path / f"s{ending}").times == pytest.approx(times, abs=1e-12)
    sidecar = tmp_path / "s.json"
    assert sidecar.exists() == (times == [0, 0.1, 0.7] and ending not in (".seq.nrrd", ".nrrd", ""))
    if sidecar.exists():
        assert json.loads(sidecar.read_text())["VolumeTiming"] == times


def test_an_earlier_sidecar_never_belies_a_new_series(tmp_path: Path) -> None:
    path = tmp_path / "s.nii.gz"
    (tmp_path / "s.json").write_text('{"Manufacturer": "GE", "VolumeTiming": [0, 5, 6]}')
    write_series(series_of((3, 4, 5), [0, 1, 2]), path)
    assert read_series(path).times == (0, 1, 2)
    assert json.loads((tmp_path / "s.json").read_text())["Manufacturer"] == "GE"


@pytest.mark.parametrize(
    "sidecar",
    [
        "[1, 2]",
        "no json",
        '{"VolumeTiming": [0, 1]}',
        '{"VolumeTiming": [0, 5, 5]}',
        '{"VolumeTiming": [0, 1, NaN]}',
        '{"VolumeTiming": [0, "a", 2]}',
        '{"VolumeTiming": 3}',
    ],
)
def test_a_sidecar_that_makes_no_sense_is_passed_over(tmp_path: Path, sidecar: str) -> None:
    write_series(series_of((3, 4, 5), [2, 4, 6]), tmp_path / "s.nii")
    (tmp_path / "s.json").write_text(sidecar)
    assert read_series(tmp_path / "s.nii").times == (2, 4, 6)


@pytest.mark.parametrize(("unit", "seconds"), [(8, 51.0), (16, 0.051), (24, 0.000051), (0, 51.0)])
def test_nifti_time_units(tmp_path: Path, unit: int, seconds: float) -> None:
    path = tmp_path / "s.nii"
    write_series(series_of((3, 4, 5), [0, 51, 102]), path)
    content = bytearray(path.read_bytes())
    assert content[123] == 2 | 8, "written in mm and seconds"
    content[123] = 2 | unit
    path.write_bytes(content)
    assert read_series(path).times == pytest.approx([0, seconds, 2 * seconds])


def test_nifti_without_a_time_step_is_numbered_in_seconds(tmp_path: Path) -> None:
    path = tmp_path / "s.nii"
    write_series(series_of((3, 4, 5), [0, 51, 102]), path)
    content = bytearray(path.read_bytes())
    content[92:96] = struct.pack("<f", 0)
    path.write_bytes(content)
    assert read_series(path).times == (0, 1, 2)


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_nifti_of_the_other_byte_order(tmp_path: Path, ending: str) -> None:
    voxels = noise((3, 4, 5))
    header = bytearray(352)
    struct.pack_into(">i", header, 0, 348)
    struct.pack_into(">8h", header, 40, 3, 5, 4, 3, 1, 1, 1, 1)
    struct.pack_into(">2h", header, 70, 16, 32)
    struct.pack_into(">8f", header, 76, 1, 1, 2, 3, 0, 0, 0, 0)
    struct.pack_into(">3f", header, 108, 352, 2, 1)
    struct.pack_into(">2h", header, 252, 1, 0)
    struct.pack_into("4s", header, 344, b"n+1\0")
    content = bytes(header) + voxels.astype(">f4").tobytes()
    (tmp_path / f"v{ending}").write_bytes(gzip.compress(content) if ending == ".nii.gz" else content)
    volume = read_volume(tmp_path / f"v{ending}")
    assert np.allclose(volume.data, voxels * 2 + 1)
    assert volume.geometry.spacing == (1, 2, 3)


def test_nifti_slope_and_intercept_are_applied(tmp_path: Path) -> None:
    path = tmp_path / "v.nii"
    voxels = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
    sitk.WriteImage(sitk.GetImageFromArray(voxels), str(path))
    content = bytearray(path.read_bytes())
    content[112:120] = struct.pack("<2f", 0.5, -7)
    path.write_bytes(content)
    assert np.array_equal(read_volume(path).data, voxels * 0.5 - 7)


@given(geometry=geometries(), big=st.booleans())
@settings(max_examples=25, deadline=None)
def test_nifti2_is_read_as_nifti1(geometry: Geometry, big: bool) -> None:
    series = series_of(geometry.shape, [1.5, 2.0, 2.5], geometry)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "s.nii"
        write_series(series, path)
        first = read_series(path)
        path.write_bytes(nifti2(path.read_bytes(), ">" if big else "<"))
        second = read_series(path)
        assert second.geometry == first.geometry
        assert second.times == first.times == (1.5, 2.0, 2.5)
        for one, other in zip(second, series, strict=True):
            assert np.allclose(one.data, 2 * other.data + 1, rtol=1e-6)


def test_nifti2_of_more_voxels_than_nifti1_can_have(tmp_path: Path) -> None:
    path = tmp_path / "v.nii"
    write_volume(Volume(noise((3, 4, 5))), path)
    content = bytearray(nifti2(path.read_bytes()))
    content[24:32] = struct.pack("<q", 40_000)
    path.write_bytes(content)
    assert "has more than 32767 voxels along an axis; crop it or split it" in refusal(path)


FORMS: dict[str, Callable[[bytes], dict[str, bytes]]] = {
    "gzip under .nii": lambda content: {"s.nii": gzip.compress(content)},
    "plain under .nii.gz": lambda content: {"s.nii.gz": content},
    "no ending": lambda content: {"s": content},
    "pair": lambda c: {"s.hdr": c[:344] + b"ni1\0", "s.img": c[352:]},
    "compressed pair": lambda c: {"s.hdr.gz": gzip.compress(c[:344] + b"ni1\0"), "s.img.gz": gzip.compress(c[352:])},
    "pair in capitals": lambda c: {"s.HDR": c[:344] + b"ni1\0", "s.IMG": c[352:]},
    "pair of NIfTI-2": lambda c: {"s.hdr": nifti2(c, magic=b"ni2\0")[:540], "s.img": c[352:]},
    "NIfTI-2, compressed": lambda content: {"s.nii.gz": gzip.compress(nifti2(content))},
    "no place of voxels": lambda c: {"s.nii": c[:108] + bytes(4) + c[112:]},
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_nifti(tmp_path: Path, form: str) -> None:
    geometry = Geometry((3, 4, 5), (1.5, 2, 3), (10, -20, 30), (0, 1, 0, -1, 0, 0, 0, 0, 1))
    series = series_of((3, 4, 5), [0, 0.5, 1.0], geometry)
    write_series(series, tmp_path / "plain.nii")
    plain = bytearray((tmp_path / "plain.nii").read_bytes())
    for name, content in FORMS[form](bytes(plain)).items():
        content = bytearray(content)
        if name.lower() == "s.hdr" and len(content) == 348:
            content[108:112] = bytes(4)  # voxels begin with their file
        elif name == "s.hdr.gz":
            content = bytearray(
                gzip.compress(gzip.decompress(content)[:108] + bytes(4) + gzip.decompress(content)[112:])
            )
        (tmp_path / name).write_bytes(content)
        expected = [volume.data * 2 + 1 if "NIfTI-2" in form else volume.data for volume in series]
    for name in FORMS[form](bytes(plain)):
        read = read_series(tmp_path / name)
        assert_same_place(read.geometry, geometry, ".nii")
        assert read.times == (0, 0.5, 1.0)
        assert all(np.allclose(one.data, other) for one, other in zip(read, expected, strict=True))


@given(geometry=geometries(), count=st.integers(1, 4), four=st.booleans())
@settings(max_examples=25, deadline=None)
def test_nifti_is_written_as_itk_writes_it(geometry: Geometry, count: int, four: bool) -> None:
    series = series_of(geometry.shape, [1.5 + 0.25 * n for n in range(count)], geometry)
    frames = [sitk.GetImageFromArray(volume.data) for volume in series]
    with tempfile.TemporaryDirectory() as folder:
        ours, itks = Path(folder) / "ours", Path(folder) / "itk.nii"
        if four:
            image = sitk.JoinSeries(frames)
            set_geometry(image, geometry, series.times)
            write_series(series, ours.with_suffix(".nii"))
            write_series(series, ours.with_suffix(".nii.gz"))
        else:
            image = frames[0]
            set_geometry(image, geometry)
            write_volume(series[0], ours.with_suffix(".nii"))
            write_volume(series[0], ours.with_suffix(".nii.gz"))
        sitk.WriteImage(image, str(itks))
        assert ours.with_suffix(".nii").read_bytes() == itks.read_bytes()
        assert gzip.decompress(ours.with_suffix(".nii.gz").read_bytes()) == itks.read_bytes()


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.float64])
def test_a_series_stays_in_the_dtype_of_its_file(tmp_path: Path, dtype: type) -> None:
    voxels = np.random.default_rng(0).integers(0, 200, (2, 3, 4, 5)).astype(dtype)
    image = sitk.JoinSeries([sitk.GetImageFromArray(frame) for frame in voxels])
    sitk.WriteImage(image, str(tmp_path / "s.nii.gz"))
    series = read_series(tmp_path / "s.nii.gz")
    assert series[1].data.dtype == np.float32
    assert np.array_equal(series[1].data, voxels[1])


def nrrd(path: Path, sizes: str, directions: str, kinds: str, more: str = "") -> None:
    """Write a raw NRRD of the numbers 0, 1, 2, ...."""
    count = int(np.prod([int(n) for n in sizes.split()]))
    header = (
        f"NRRD0004\ntype: short\ndimension: {len(sizes.split())}\nspace: left-posterior-superior\n"
        f"sizes: {sizes}\nspace directions: {directions}\nkinds: {kinds}\nendian: little\nencoding: raw\n"
        f"space origin: (1,2,3)\n{more}\n"
    )
    path.write_bytes(header.encode() + np.arange(count, dtype="<i2").tobytes())


def test_sequence_with_the_list_first(tmp_path: Path) -> None:
    path = tmp_path / "s.seq.nrrd"
    nrrd(
        path,
        "2 5 4 3",
        "none (1,0,0) (0,2,0) (0,0,3)",
        "list domain domain domain",
        "axis 0 index values:=0 0.5\n",
    )
    series = read_series(path)
    assert series.times == (0, 0.5)
    assert np.array_equal(series[1].data, np.arange(120).reshape(3, 4, 5, 2)[..., 1])
    assert series.geometry.spacing == (1, 2, 3)


def test_multivolume_of_slicer(tmp_path: Path) -> None:
    path = tmp_path / "s.nrrd"
    keys = "MultiVolume.FrameLabels:=0,51\nMultiVolume.FrameIdentifyingDICOMTagUnits:=ms\n"
    nrrd(path, "2 5 4 3", "none (1,0,0) (0,2,0) (0,0,3)", "list domain domain domain", keys)
    assert read_series(path).times == pytest.approx([0, 0.051])


@pytest.mark.parametrize("values", ["first%20one second", "5 5", "9 3", "1", "0 nan"])
def test_sequence_without_usable_times_is_numbered(tmp_path: Path, values: str) -> None:
    path = tmp_path / "s.seq.nrrd"
    nrrd(
        path,
        "5 4 3 2",
        "(1,0,0) (0,2,0) (0,0,3) none",
        "domain domain domain list",
        f"axis 3 index values:={values}\n",
    )
    series = read_series(path)
    assert series.times == (0, 1)
    assert np.array_equal(series[1].data, np.arange(60, 120).reshape(3, 4, 5))


def test_folder_of_volumes_in_natural_order(tmp_path: Path) -> None:
    for number in (1, 2, 10):
        write_volume(Volume(noise((3, 4, 5), number)), tmp_path / f"frame_{number}.nrrd")
    for name in (".hidden.nii", "notes.json", "table.csv", "readme.txt"):
        (tmp_path / name).write_text("nothing")
    (tmp_path / "deeper").mkdir()
    series = read_series(tmp_path)
    assert [v.data[0, 0, 0] for v in series] == [noise((3, 4, 5), n)[0, 0, 0] for n in (1, 2, 10)]
    assert series.times == (0, 1, 2)


def test_folder_of_volumes_can_be_made_one_file(tmp_path: Path) -> None:
    series = series_of((3, 4, 5), [0, 0.3, 0.5])
    write_series(series, tmp_path / "frames")
    write_series(read_series(tmp_path / "frames"), tmp_path / "s.seq.nrrd")
    again = read_series(tmp_path / "s.seq.nrrd")
    assert again.times == (0, 0.3, 0.5)
    assert all(np.array_equal(a.data, b.data) for a, b in zip(again, series, strict=True))


def test_4d_file_of_one_time_point_is_a_volume(tmp_path: Path) -> None:
    sitk.WriteImage(sitk.JoinSeries([sitk.GetImageFromArray(noise((3, 4, 5)))]), str(tmp_path / "v.nrrd"))
    assert np.array_equal(read_volume(tmp_path / "v.nrrd").data, noise((3, 4, 5)))


def test_names_may_be_text(tmp_path: Path) -> None:
    write_volume(Volume(noise((3, 4, 5))), str(tmp_path / "Bauch überall.nii.gz"))
    assert read_volume(str(tmp_path / "Bauch überall.nii.gz")).shape == (3, 4, 5)


# What cannot be used is said in a sentence


def refusal(path: Path) -> str:
    """Message of reading a path as a series; a sentence, nothing of ITK in it."""
    with pytest.raises(InputError) as caught:
        read_series(path)
    message = str(caught.value)
    assert message.endswith(".") and "\n" not in message
    of_itk = message.replace(str(path.parent), "").replace("SimpleITK knows", "")  # a temporary folder's name is chance
    assert "itk" not in of_itk.lower()
    return message


def test_missing(tmp_path: Path) -> None:
    assert refusal(tmp_path / "no.nii") == f"There is no file or folder {tmp_path / 'no.nii'}; check the name."


def test_folder_without_images(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("text")
    assert "holds no images; point at the folder that holds the files themselves" in refusal(tmp_path)


@pytest.mark.parametrize("name", ["v.nii", "v.nii.gz", "v.nrrd", "v.nhdr", "v.mha", "v.mhd", "v.dcm", "v"])
@given(content=st.binary(max_size=600))
@settings(max_examples=15, deadline=None)
def test_foreign_bytes(name: str, content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        assert "is damaged" in refusal(path)


@pytest.mark.parametrize("ending", [".nii", ".nii.gz", ".nrrd", ".mha", ".seq.nrrd"])
@pytest.mark.parametrize("kept", [0.02, 0.5, 0.99])
def test_cut_short(tmp_path: Path, ending: str, kept: float) -> None:
    path = tmp_path / f"s{ending}"
    write_series(series_of((6, 7, 8), [0, 1, 2]), path)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    assert "is damaged" in refusal(path)


def test_nifti_whose_voxels_end_early_within_a_sound_stream(tmp_path: Path) -> None:
    path = tmp_path / "v.nii.gz"
    write_volume(Volume(noise((6, 7, 8))), path)
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes())[:-4]))
    assert "is damaged or cut short" in refusal(path)


def test_absurd_claims_take_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "v.nii"
    write_volume(Volume(noise((6, 7, 8))), path)
    content = bytearray(path.read_bytes())
    content[42:48] = struct.pack("<3h", 30000, 30000, 30000)
    path.write_bytes(content)
    assert "claims to hold 102996826 MiB of voxels" in refusal(path)
    nrrd_path = tmp_path / "v.nrrd"
    nrrd(nrrd_path, "5 4 3", "(1,0,0) (0,2,0) (0,0,3)", "domain domain domain")
    nrrd_path.write_bytes(nrrd_path.read_bytes().replace(b"sizes: 5 4 3", b"sizes: 500000 4000 3000"))
    assert "claims to hold" in refusal(nrrd_path)


@pytest.mark.parametrize(
    ("shape", "vector", "sentence"),
    [
        ((4, 5), False, "has 2 dimensions"),
        ((3, 1, 5), False, "which are lines, not images"),
        ((3, 4, 5, 3), True, "is a colour or vector image"),
    ],
)
def test_no_volume(tmp_path: Path, shape: tuple[int, ...], vector: bool, sentence: str) -> None:
    sitk.WriteImage(sitk.GetImageFromArray(noise(shape), isVector=vector), str(tmp_path / "v.nrrd"))
    assert sentence in refusal(tmp_path / "v.nrrd")


def test_complex_voxels(tmp_path: Path) -> None:
    sitk.WriteImage(sitk.GetImageFromArray(noise((3, 4, 5)).astype(np.complex64)), str(tmp_path / "v.nii"))
    assert "has complex voxels; give the magnitude image" in refusal(tmp_path / "v.nii")


def test_analyze_does_not_say_where_left_is(tmp_path: Path) -> None:
    sitk.WriteImage(sitk.GetImageFromArray(noise((3, 4, 5))), str(tmp_path / "v.img"))
    header = bytearray((tmp_path / "v.hdr").read_bytes())
    header[344:348] = bytes(4)
    (tmp_path / "v.hdr").write_bytes(header)
    for name in ("v.hdr", "v.img"):
        assert "is Analyze 7.5, which does not say where left is; convert it to NIfTI" in refusal(tmp_path / name)


@pytest.mark.parametrize(("gone", "left"), [("v.img", "v.hdr"), ("v.hdr", "v.img")])
def test_one_file_of_a_pair(tmp_path: Path, gone: str, left: str) -> None:
    sitk.WriteImage(sitk.GetImageFromArray(noise((3, 4, 5))), str(tmp_path / "v.img"))
    (tmp_path / gone).unlink()
    assert f"is one file of a pair, and {gone} is not beside it; copy that one too" in refusal(tmp_path / left)


@pytest.mark.parametrize("word", ["bzip2", "bz2"])
def test_bzip2(tmp_path: Path, word: str) -> None:
    nrrd(tmp_path / "v.nrrd", "5 4 3", "(1,0,0) (0,2,0) (0,0,3)", "domain domain domain")
    content = (tmp_path / "v.nrrd").read_bytes().replace(b"encoding: raw", f"encoding: {word}".encode())
    (tmp_path / "v.nrrd").write_bytes(content)
    assert "is compressed with bzip2, which cannot be read; save it with gzip" in refusal(tmp_path / "v.nrrd")


@contextmanager
def as_nobody() -> Iterator[None]:
    """Without root's right to read everything."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@needs_posix
@pytest.mark.parametrize("name", ["v.nii.gz", "v.nii", "v.nrrd", "v.mha"])
def test_a_file_that_may_not_be_read(name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        write_volume(Volume(noise((3, 4, 5))), Path(folder) / name)
        (Path(folder) / name).chmod(0)
        with as_nobody():
            said = refusal(Path(folder) / name)
    assert said == f"{folder}/{name} cannot be read (Permission denied); check its permissions."


@needs_posix
def test_a_folder_that_may_not_be_entered() -> None:
    with tempfile.TemporaryDirectory() as folder:
        write_volume(Volume(noise((3, 4, 5))), Path(folder) / "v.nii")
        Path(folder).chmod(0o700 if os.geteuid() == 0 else 0)
        with as_nobody():
            said = refusal(Path(folder) / "v.nii")
        Path(folder).chmod(0o700)
    assert "cannot be read (Permission denied)" in said


# Pipes, devices, and names that are not UTF-8


def pipe(path: Path) -> None:
    os.mkfifo(path)


def endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


NO_REGULAR_FILES = [pytest.param(make, marks=needs_posix) for make in (pipe, endless)]


def huge(path: Path) -> None:
    path.write_text('{"VolumeTiming": [0, 5, 6]}')
    os.truncate(path, LARGEST_TEXT + 1)


@pytest.mark.parametrize("make", [*NO_REGULAR_FILES, huge])
def test_a_sidecar_that_is_no_small_regular_file(tmp_path: Path, make: Callable[[Path], None]) -> None:
    path = tmp_path / "s.nii"
    write_series(series_of((3, 4, 5), [2, 4, 6]), path)
    make(tmp_path / "s.json")
    assert read_series(path).times == (2, 4, 6)
    with pytest.raises(InputError, match=r"s\.json would be replaced by the description of the output"):
        write_series(series_of((3, 4, 5), [0, 1, 3]), path)


@pytest.mark.parametrize("make", [*NO_REGULAR_FILES, Path.mkdir, lambda path: None])
@pytest.mark.parametrize(("name", "voxels"), [("v.mhd", "v.zraw"), ("v.nhdr", "v.raw.gz"), ("v.hdr", "v.img")])
def test_voxels_that_are_no_regular_file(
    tmp_path: Path, name: str, voxels: str, make: Callable[[Path], object]
) -> None:
    sitk.WriteImage(sitk.GetImageFromArray(noise((3, 4, 5))), str(tmp_path / name), True)
    (tmp_path / voxels).unlink()
    make(tmp_path / voxels)
    said = refusal(tmp_path / name)
    assert voxels in said
    assert any(phrase in said for phrase in ("is not a regular file", "is not there", "is not beside it"))


def test_a_list_of_files_of_voxels(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    for number, part in enumerate(noise((3, 4, 5))):
        part.tofile(tmp_path / "raw" / f"{number}.raw")
    names = "raw/0.raw\nraw/1.raw\nraw/2.raw\n"
    meta = "ObjectType = Image\nNDims = 3\nDimSize = 5 4 3\nElementType = MET_FLOAT\nElementDataFile = LIST\n"
    (tmp_path / "v.mhd").write_text(meta + names)
    text = "NRRD0004\ntype: float\ndimension: 3\nsizes: 5 4 3\nencoding: raw\nendian: little\ndata file: LIST\n"
    (tmp_path / "v.nhdr").write_text(text + names)
    for name in ("v.mhd", "v.nhdr"):
        assert np.array_equal(read_volume(tmp_path / name).data, noise((3, 4, 5)))
    (tmp_path / "raw" / "1.raw").unlink()
    for name in ("v.mhd", "v.nhdr"):
        assert "raw/1.raw, which is not there" in refusal(tmp_path / name)


@pytest.mark.parametrize("ending", SERIES_TYPES)
def test_names_that_are_not_utf8(tmp_path: Path, ending: str) -> None:
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/s\xff" + ending.encode()))
    with pytest.raises(InputError, match=r"is not in UTF-8, so the file cannot be opened; rename"):
        write_series(series_of((3, 4, 5), [0, 1]), odd)
    write_series(series_of((3, 4, 5), [0, 1]), tmp_path / f"s{ending}")
    (tmp_path / f"s{ending}").rename(odd)
    assert "is not in UTF-8" in refusal(odd)


@pytest.mark.parametrize("kind", ["volumes", "DICOM"])
def test_names_that_are_not_utf8_in_a_folder(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "d"
    if kind == "DICOM":
        write_dicom(folder, trigger_times, shape=(3, 4, 5))
        file = folder / "IM0001.dcm"
    else:
        write_series(series_of((3, 4, 5), [0, 1]), folder)
        file = folder / "frame_0001.nii.gz"
    file.rename(file.with_name(os.fsdecode(b"\xff") + file.name))
    assert "is not in UTF-8" in refusal(folder)


def test_folder_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", denied)
    assert "cannot be read (Permission denied)" in refusal(tmp_path)


def test_sheared_axes(tmp_path: Path) -> None:
    nrrd(tmp_path / "v.nrrd", "5 4 3", "(1,0,0) (0.4,2,0) (0,0,3)", "domain domain domain")
    assert "are not at right angles" in refusal(tmp_path / "v.nrrd")
    write_volume(Volume(noise((3, 4, 5))), tmp_path / "v.nii")
    content = bytearray((tmp_path / "v.nii").read_bytes())
    content[252:254] = struct.pack("<h", 0)
    content[284:288] = struct.pack("<f", 0.4)
    (tmp_path / "v.nii").write_bytes(content)
    assert "are not at right angles" in refusal(tmp_path / "v.nii")


def test_series_where_a_volume_is_needed(tmp_path: Path) -> None:
    write_series(series_of((3, 4, 5), [0, 1, 2]), tmp_path / "s.nii")
    with pytest.raises(InputError, match=r"is a series of 3 time points where a volume is needed"):
        read_volume(tmp_path / "s.nii")


@pytest.mark.parametrize("ending", VOLUME_TYPES)
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_voxels_that_are_not_finite(tmp_path: Path, ending: str, value: float) -> None:
    voxels = noise((3, 4, 5))
    voxels[0, 0, :2] = value
    write_volume(Volume(voxels), tmp_path / f"v{ending}")
    assert "holds 2 voxels that are not finite" in refusal(tmp_path / f"v{ending}")
    with pytest.raises(InputError, match="The prior holds 2 voxels"):
        check_voxels(Volume(voxels), "The prior")


def test_float64_beyond_float32_is_not_finite(tmp_path: Path) -> None:
    voxels = noise((3, 4, 5)).astype(np.float64)
    voxels[0, 0, 0] = 1e300
    sitk.WriteImage(sitk.GetImageFromArray(voxels), str(tmp_path / "v.nii"))
    assert "holds 1 voxels that are not finite" in refusal(tmp_path / "v.nii")


def test_constant_volume(tmp_path: Path) -> None:
    write_volume(Volume(np.full((3, 4, 5), 7)), tmp_path / "v.nii")
    assert "shows nothing: all voxels are 7" in refusal(tmp_path / "v.nii")


def test_a_bad_time_point_is_named_when_its_turn_comes(tmp_path: Path) -> None:
    volumes = [Volume(noise((3, 4, 5))), Volume(np.zeros((3, 4, 5)))]
    write_series(Series.of(volumes), tmp_path / "s.nii")
    series = read_series(tmp_path / "s.nii")
    with pytest.raises(InputError, match=r"Time point 1 of .*s\.nii shows nothing"):
        series[1]


def test_folder_of_volumes_of_different_sizes(tmp_path: Path) -> None:
    write_volume(Volume(noise((3, 4, 5))), tmp_path / "a.nii")
    write_volume(Volume(noise((3, 4, 6))), tmp_path / "b.nii")
    assert "all time points of a series must have the same size" in refusal(tmp_path)


def test_folder_of_volumes_in_different_places(tmp_path: Path) -> None:
    write_volume(Volume(noise((3, 4, 5))), tmp_path / "a.nii")
    write_volume(Volume(noise((3, 4, 5)), Geometry((3, 4, 5), origin=(1, 0, 0))), tmp_path / "b.nii")
    assert "b.nii is not in the same place as a.nii" in refusal(tmp_path)


def test_folder_of_series(tmp_path: Path) -> None:
    write_volume(Volume(noise((3, 4, 5))), tmp_path / "a.nii")
    write_series(series_of((3, 4, 5), [0, 1]), tmp_path / "b.nii")
    assert "is a series of 2 time points; give it alone" in refusal(tmp_path)


# Whole or not at all


def write_half(image: sitk.Image, name: str, *_: object) -> None:
    """Stand in for SimpleITK's writer on a full disk."""
    Path(name).write_bytes(b"half")
    raise RuntimeError("ITK ERROR: many\nlines")


def write_cut(image: sitk.Image, name: str, *_: object) -> None:
    """Stand in for ITK's NIfTI writer, which reports no full disk."""
    sitk.ImageFileWriter().Execute(image, name, False, -1)
    os.truncate(name, Path(name).stat().st_size - 100)


@pytest.mark.parametrize(
    ("failure", "ending"),
    [
        (write_half, ".nii"),
        (write_half, ".mha"),
        (write_half, ""),
        (write_cut, ".nii"),
        (write_cut, ".nii.gz"),
        (write_cut, ""),
    ],
)
@pytest.mark.parametrize("earlier", [False, True])
def test_failed_writing_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: object, ending: str, earlier: bool
) -> None:
    path = tmp_path / f"s{ending}"
    old, new = series_of((3, 4, 5), [0, 1, 5]), series_of((6, 4, 5), [0, 1, 7])
    if earlier:
        write_series(old, path)
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    with monkeypatch.context() as patched:
        patched.setattr(sitk, "WriteImage", failure)
        with pytest.raises(InputError, match=rf"^{path} could not be written \(the disk may be full\)"):
            write_series(new, path)
    assert {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == before
    assert [entry.name for entry in tmp_path.iterdir() if entry.name.startswith(".")] == []


@pytest.mark.parametrize("ending", SERIES_TYPES)
def test_a_time_point_that_cannot_be_loaded_leaves_nothing(tmp_path: Path, ending: str) -> None:
    def load(number: int) -> np.ndarray:
        if number == 2:
            raise InputError("no")
        return noise((3, 4, 5))

    with pytest.raises(InputError, match="no"):
        write_series(Series(load, [0, 1, 2], Geometry((3, 4, 5))), tmp_path / f"s{ending}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ending", SERIES_TYPES)
def test_an_earlier_output_is_replaced(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"s{ending}"
    write_series(series_of((3, 4, 5), [0, 1, 5]), path)
    write_series(series_of((6, 4, 5), [0, 1]), path)
    assert read_series(path).geometry.shape == (6, 4, 5)
    assert read_series(path).times == (0, 1)


def test_a_series_can_be_written_over_itself(tmp_path: Path) -> None:
    write_series(series_of((3, 4, 5), [0, 1]), tmp_path / "s")
    series = read_series(tmp_path / "s")
    write_series(series.map(lambda v: v.with_data(v.data * 2), series.geometry), tmp_path / "s")
    assert np.array_equal(read_series(tmp_path / "s")[1].data, noise((3, 4, 5), 1) * 2)


def test_a_folder_of_other_things_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match="holds something other than a series; choose another name"):
        write_series(series_of((3, 4, 5), [0, 1]), tmp_path / "s")
    assert (tmp_path / "s" / "thesis.tex").exists()


def test_a_folder_in_the_place_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "s.nii").mkdir()
    with pytest.raises(InputError, match=r"s\.nii could not be written"):
        write_series(series_of((3, 4, 5), [0, 1]), tmp_path / "s.nii")
    assert [p.name for p in tmp_path.iterdir()] == ["s.nii"]


@pytest.mark.parametrize("name", ["v.jpg", "v.txt", "v.nii.bz2", "v.seq.mha"])
def test_types_that_cannot_be_written(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="has no file type that can be written; use one of the endings"):
        write_volume(Volume(noise((3, 4, 5))), tmp_path / name)
    with pytest.raises(InputError, match="has no file type that can be written; use one of the endings"):
        write_series(series_of((3, 4, 5), [0, 1]), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_volume_without_a_type(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not say what type of file to write"):
        write_volume(Volume(noise((3, 4, 5))), tmp_path / "v")


def test_series_of_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="There is no time point to write"):
        write_series(series_of((3, 4, 5), [0]).select([]), tmp_path / "s.nii")


def test_folder_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"There is no folder .*no to write v\.nii to"):
        write_volume(Volume(noise((3, 4, 5))), tmp_path / "no" / "v.nii")


def test_folder_that_cannot_be_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(**_: object) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tempfile, "mkdtemp", denied)  # The tests may run as root, who may write anywhere.
    with pytest.raises(InputError, match=r"cannot be written to \(Permission denied\); choose another"):
        write_volume(Volume(noise((3, 4, 5))), tmp_path / "v.nii")


def test_memory_for_a_sequence_is_one_time_point(tmp_path: Path) -> None:
    alive: list[int] = []

    def load(number: int) -> np.ndarray:
        alive.append(number)
        return noise((3, 4, 5), number)

    series = Series(load, range(50), Geometry((3, 4, 5)))
    write_series(series, tmp_path / "s.seq.nrrd")
    assert alive == list(range(50))
    assert len(read_series(tmp_path / "s.seq.nrrd")) == 50


# Real scans


@pytest.mark.skipif("SRDYNAMICMRI_DATA" not in os.environ, reason="SRDYNAMICMRI_DATA names no folder of real data")
@pytest.mark.parametrize(
    ("name", "step"),
    [
        ("train/SCD0000101_dynamic.nii.gz", 0.04),
        ("train/SCD0000201_dynamic.nii.gz", 0.0353),
        ("bench/heart/dynamic.nii.gz", 0.051),
    ],
)
def test_real_cine(name: str, step: float) -> None:
    series = read_series(Path(os.environ["SRDYNAMICMRI_DATA"]) / name)
    assert len(series) == 20
    assert np.diff(series.times) == pytest.approx(step, abs=1e-4)
    assert series.geometry.shape[1:] == (256, 256)
    assert series.geometry.spacing[0] == pytest.approx(1.367, abs=1e-3)
    assert series[19].data.max() > 100


PEAK_OF_WRITING = """
import resource, sys
import numpy as np
from SRDynamicMRILib.io.files import write_series
from SRDynamicMRILib.geometry import Geometry
from SRDynamicMRILib.volume import Series
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
shape = (8, 256, 512)
series = Series(lambda n: np.full(shape, n, np.float32), range(int(sys.argv[2])), Geometry(shape))
write_series(series.select([0]), sys.argv[1])
before = peak()
write_series(series, sys.argv[1])
print(peak() - before)
"""


@pytest.mark.parametrize("ending", [".nii", ".nii.gz", ".seq.nrrd", ""])
@needs_posix
def test_writing_takes_memory_for_one_time_point(tmp_path: Path, ending: str) -> None:
    """4 MiB each, of which 64 are written."""
    words = [sys.executable, "-c", PEAK_OF_WRITING, str(tmp_path / f"s{ending}"), "64"]
    run = subprocess.run(words, check=True, capture_output=True, text=True)
    assert int(run.stdout) < 4 * 4 * 2**20


def test_more_time_points_than_nifti_can_hold(tmp_path: Path) -> None:
    series = Series(lambda _: noise((2, 2, 2)), range(32_768), Geometry((2, 2, 2)))
    with pytest.raises(InputError, match=r"NIfTI cannot hold 32768 .* along an axis; end s\.nii in \.seq\.nrrd"):
        write_series(series, tmp_path / "s.nii")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ending", [".mha", ".mhd", ".nhdr"])
def test_too_little_memory_for_a_series(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str) -> None:
    def load(_: int) -> np.ndarray:
        raise AssertionError("worked in vain")

    shape = (64, 1024, 1024)
    monkeypatch.setattr(room, "available_memory", lambda: 2**30)
    monkeypatch.setattr(room, "check_disk", lambda *_: None)
    with pytest.raises(
        InputError, match=r"and 1 GiB are free; .* can be written as \.nii\.gz or \.seq\.nrrd, or to a folder"
    ):
        write_series(Series(load, range(8), Geometry(shape)), tmp_path / f"s{ending}")
    write_series(series_of((3, 4, 5), [0, 1]), tmp_path / f"s{ending}")


@pytest.mark.parametrize("ending", SERIES_TYPES)
def test_too_little_space_for_a_series(tmp_path: Path, ending: str) -> None:
    def load(_: int) -> np.ndarray:
        raise AssertionError("worked in vain")

    shape = (1024, 1024, 1024)
    count = 32 * shutil.disk_usage(tmp_path).free // 2**32 + 2
    with pytest.raises(InputError, match=r"takes at least .* GiB on its disk, and .* are free; free some space"):
        write_series(Series(load, range(count), Geometry(shape)), tmp_path / f"s{ending}")
    assert list(tmp_path.iterdir()) == []


def test_there_is_memory_and_space_here(tmp_path: Path) -> None:
    free = room.available_memory()
    assert free is not None
    assert 2**24 < free < 2**50


# What belongs to others is not replaced


FOREIGN_JSON = {
    "markups of Slicer": '{"@schema": "https://raw.githubusercontent.com/slicer/slicer/markups.json#", "markups": []}',
    "settings": '{"colour": "red"}',
    "list": "[1, 2]",
    "text": "measured by hand",
    "schema": '{"$schema": "x", "Manufacturer": "GE"}',
}


@pytest.mark.parametrize("content", FOREIGN_JSON.values(), ids=FOREIGN_JSON)
@pytest.mark.parametrize("ending", ["nii.gz", "mha", "seq.nrrd"])
def test_json_of_another_kind_is_not_replaced(tmp_path: Path, ending: str, content: str) -> None:
    path = tmp_path / f"plan.mrk.{ending}"
    sidecar = sidecar_of(path)
    sidecar.write_text(content)
    for facts in ({}, {"model": "m"}):
        with pytest.raises(InputError, match=r"\.json would be replaced by the description of the output"):
            write_series(series_of((3, 4, 5), [0, 1, 5]).with_facts(**facts), path)
        with pytest.raises(InputError, match=r"\.json would be replaced by the description of the output"):
            write_volume(Volume(noise((3, 4, 5)), facts=facts), path)
    assert sidecar.read_text() == content
    assert [file.name for file in tmp_path.iterdir()] == [sidecar.name]


def test_a_sidecar_of_others_is_kept_and_ours_is_not(tmp_path: Path) -> None:
    path = tmp_path / "s.nii.gz"
    earlier = {"Manufacturer": "GE", "VolumeTiming": [0, 5, 6], **description(model="m", warnings=["w"])}

    def after(write: Callable[[], None]) -> object:
        (tmp_path / "s.json").write_text(json.dumps(earlier))
        write()
        return json.loads((tmp_path / "s.json").read_text())

    volume, series = Volume(noise((3, 4, 5))), series_of((3, 4, 5), [0, 1, 2])
    new = description(fraction=0.25, matrix=[4, 5], voxel_size=[1.0, 1.0, 1.0])
    assert after(lambda: write_volume(volume, path)) == {"Manufacturer": "GE"}
    assert after(lambda: write_volume(volume.with_facts(fraction=0.25), path)) == {"Manufacturer": "GE", **new}
    assert after(lambda: write_series(series, path)) == {"Manufacturer": "GE", "VolumeTiming": [0, 1, 2]}
    assert after(lambda: write_series(series.with_facts(fraction=0.25), path)) == {
        "Manufacturer": "GE",
        "VolumeTiming": [0, 1, 2],
        **new,
    }


def test_a_folder_with_a_foreign_description_is_not_replaced(tmp_path: Path) -> None:
    write_series(series_of((3, 4, 5), [0, 1]), tmp_path / "s")
    (tmp_path / "s" / "series.json").write_text('{"colour": "red"}')
    with pytest.raises(InputError, match=r"series\.json would be replaced"):
        write_series(series_of((3, 4, 5), [0, 1]), tmp_path / "s")
    assert (tmp_path / "s" / "series.json").read_text() == '{"colour": "red"}'


@pytest.mark.parametrize(("name", "voxels"), [("b.mhd", "b.zraw"), ("b.nhdr", "b.raw.gz")])
def test_voxels_of_another_header_are_not_replaced(tmp_path: Path, name: str, voxels: str) -> None:
    write_volume(Volume(noise((3, 4, 5))), tmp_path / name)
    write_volume(Volume(noise((3, 4, 6))), tmp_path / name)  # over its own
    (tmp_path / name).rename(tmp_path / f"other{Path(name).suffix}")
    before = (tmp_path / voxels).read_bytes()
    with pytest.raises(InputError, match="would be replaced, which does not belong to an earlier"):
        write_volume(Volume(noise((3, 4, 5))), tmp_path / name)
    assert (tmp_path / voxels).read_bytes() == before
    assert read_volume(tmp_path / f"other{Path(name).suffix}").shape == (3, 4, 6)
