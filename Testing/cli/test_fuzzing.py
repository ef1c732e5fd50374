"""Damaged files of every kind end in a result or in one plain sentence, and take no more memory than sound ones.

The everyday run tries the same cases every time; with --thorough it tries new ones, for about ten minutes.
"""

from __future__ import annotations

import gzip
import json
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from helpers.command_line import Command, Show
from helpers.dicom import Tags, recode, trigger_times, write_dicom
from helpers.kspace_files import small_scan
from helpers.models import TINY, tiny_network
from helpers.nifti import nifti2
from helpers.operating_system import needs_posix
from helpers.patient import FRACTION, Patient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.uid import ImplicitVRLittleEndian

from SRDynamicMRILib.acquisition.full_matrix import recorded_matrix
from SRDynamicMRILib.benchmark.folder import BenchmarkFolder, Plan, TimePoints
from SRDynamicMRILib.complex_series import ComplexSeries
from SRDynamicMRILib.errors import InputError
from SRDynamicMRILib.geometry import Geometry
from SRDynamicMRILib.inference.series import FrameFolder
from SRDynamicMRILib.io.complex_images import read_complex, write_complex
from SRDynamicMRILib.io.files import read_series, read_volume, write_series, write_volume
from SRDynamicMRILib.io.ismrmrd import read_ismrmrd
from SRDynamicMRILib.io.sidecar import description, image_facts, recorded
from SRDynamicMRILib.io.tables import write_json
from SRDynamicMRILib.losses.perceptual import load_encoder
from SRDynamicMRILib.models.checkpoints import Model, load_model, save_model
from SRDynamicMRILib.models.import_checkpoint import import_checkpoint
from SRDynamicMRILib.models.prior_copy import PriorCopy
from SRDynamicMRILib.networks.vessel_unet import VesselUNet
from SRDynamicMRILib.training.optimisation import _State
from SRDynamicMRILib.training.vessel_training import VesselTraining, save_encoder
from SRDynamicMRILib.volume import Series, Volume

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread")]

EXAMPLES, MANY = 40, 5000
LONGEST = 28.0
"""Seconds for a kind of file in a thorough run, which has as many examples as there is time for."""

CLAIM = 64 * 2**20
"""Bytes of voxels that a small file may claim to hold; see `image_files`."""

MOST = 4 * CLAIM
SHAPE = (3, 6, 7)


@dataclass(frozen=True)
class Subject:
    """A kind of file: how a sound one is made, the name of what is damaged, what reads it, and why it is refused."""

    make: Callable[[Path], object]
    damaged: str
    read: Callable[[Path], object]
    refusal: str = ""


def noise(seed: int = 0) -> Volume:
    return Volume(np.random.default_rng(seed).normal(100, 30, SHAPE))


def series(folder: Path, name: str) -> None:
    write_series(Series.of([noise(n) for n in range(3)], [0, 0.5, 2]), folder / name)


def image(name: str) -> Subject:
    return Subject(lambda f: write_volume(noise(), f / name), name, lambda f: read_all(f / name))


def cine(name: str, damaged: str = "") -> Subject:
    return Subject(lambda f: series(f, name), damaged or name, lambda f: read_all(f / name))


def read_all(path: Path) -> None:
    for volume in read_series(path):
        assert np.isfinite(volume.data).all()


def read_twice(path: Path) -> None:
    """What was in memory before would differ."""
    first = [volume.data for volume in read_series(path)]
    rubbish = [np.full_like(volume, number) for number, volume in enumerate(first)]
    del rubbish
    assert all(np.array_equal(a, b.data) for a, b in zip(first, read_series(path), strict=True))


def dicom(tags: Tags = trigger_times, shape: tuple[int, int, int] = SHAPE, cut: int = 0, refusal: str = "") -> Subject:
    """A DICOM folder of which one file is damaged, which may lack some bytes of its pixels before."""

    def make(folder: Path) -> None:
        write_dicom(folder / "d", tags, shape=shape)
        if cut:
            file = folder / "d" / "IM0001.dcm"
            recode(file, ImplicitVRLittleEndian, pixels=-cut)

    return Subject(make, "d/IM0001.dcm", lambda folder: read_twice(folder / "d"), refusal)


def save_nifti2(folder: Path) -> None:
    write_volume(noise(), folder / "v.nii")
    (folder / "v.nii").write_bytes(nifti2((folder / "v.nii").read_bytes()))


def save_gzip(folder: Path) -> None:
    write_volume(noise(), folder / "v.nii")
    (folder / "v.nii").write_bytes(gzip.compress((folder / "v.nii").read_bytes()))


def save_pair(folder: Path) -> None:
    sitk.WriteImage(noise().to_sitk(), str(folder / "v.hdr"))


def save_complex(folder: Path) -> None:
    write_complex(
        ComplexSeries(*(Series.of([noise(n).with_data(noise(n).data / 100)] * 3) for n in (0, 1))), folder / "c.nii"
    )


def save_state(folder: Path) -> None:
    network = tiny_network().train()
    adam = torch.optim.Adam(network.parameters())
    network(torch.ones(1, 1, 4, 4, 4)).sum().backward()
    adam.step()
    _State(network, adam, {"prior": "a"}).save(folder / "m.state.safetensors")


def load_state(folder: Path) -> None:
    network = tiny_network().train()
    _State(network, torch.optim.Adam(network.parameters()), {"prior": "a"}).load(folder / "m.state.safetensors")


def save_perceptual(folder: Path) -> None:
    save_encoder(VesselUNet(2), VesselTraining(1, 0, 2), [0.5], folder / "p.safetensors")


PLAN = Plan({"seed": 0}, ["signed"], [FRACTION], {"one": TimePoints("a" * 64, [0, 1], [0.0, 1.0], [])})

JOB = json.dumps({"version": "1", "input": "a", "model": "b", "grid": []})

SUBJECTS = {
    "NIfTI": image("v.nii"),
    "compressed NIfTI": image("v.nii.gz"),
    "NIfTI-2": Subject(save_nifti2, "v.nii", lambda f: read_all(f / "v.nii")),
    "gzip under .nii": Subject(save_gzip, "v.nii", lambda f: read_all(f / "v.nii")),
    "header of a pair": Subject(save_pair, "v.hdr", lambda f: read_all(f / "v.img")),
    "voxels of a pair": Subject(save_pair, "v.img", lambda f: read_all(f / "v.hdr")),
    "NRRD": image("v.nrrd"),
    "detached NRRD": image("v.nhdr"),
    "MetaImage": image("v.mha"),
    "detached MetaImage": image("v.mhd"),
    "DICOM": dicom(),
    "DICOM of one slice": dicom(shape=(1, *SHAPE[1:])),
    "DICOM mosaic": dicom(lambda t, z: {"0008|0008": r"ORIGINAL\PRIMARY\M\ND\MOSAIC"}, refusal="is a Siemens mosaic"),
    "DICOM with short pixels": dicom(cut=40, refusal="is damaged or cut short"),
    "4D NIfTI": cine("s.nii"),
    "complex NIfTI": Subject(save_complex, "c.nii", lambda f: list(read_complex(f / "c.nii"))),
    "ISMRMRD": Subject(
        lambda f: small_scan(noise=np.eye(4)).write(f / "k.h5"), "k.h5", lambda f: list(read_ismrmrd(f / "k.h5")[0])
    ),
    "4D MetaImage": cine("s.mha"),
    "Slicer sequence": cine("s.seq.nrrd"),
    "volume of a folder": cine("s", "s/frame_0001.nii.gz"),
    "sidecar of a folder": cine("s", "s/series.json"),
    "sidecar of a series": cine("s.nii", "s.json"),
    "sidecar with a matrix": Subject(
        lambda f: write_volume(noise().with_facts(full_matrix=[12, 14]), f / "v.nii"),
        "v.json",
        lambda f: recorded_matrix(recorded(f / "v.nii"), noise().geometry),
    ),
    "model": Subject(
        lambda f: save_model(Model(tiny_network(), TINY, prior=PriorCopy.of(noise())), f / "m.safetensors"),
        "m.safetensors",
        lambda f: load_model(f / "m.safetensors"),
    ),
    "training state": Subject(save_state, "m.state.safetensors", load_state),
    "perceptual network": Subject(save_perceptual, "p.safetensors", lambda f: load_encoder(f / "p.safetensors")),
    "checkpoint": Subject(
        lambda f: torch.save(tiny_network().state_dict(), f / "m.pth"),
        "m.pth",
        lambda f: import_checkpoint(f / "m.pth"),
    ),
    "old checkpoint": Subject(
        lambda f: torch.save(tiny_network().state_dict(), f / "m.pth", _use_new_zipfile_serialization=False),
        "m.pth",
        lambda f: import_checkpoint(f / "m.pth"),
    ),
    "job of time points": Subject(
        lambda f: FrameFolder(f / "o.frames").begin(JOB, resume=False),
        "o.frames/job.json",
        lambda f: FrameFolder(f / "o.frames").begin(JOB, resume=True),
    ),
    "plan of a benchmark": Subject(
        lambda f: BenchmarkFolder(f / "b").begin(PLAN, resume=False),
        "b/job.json",
        lambda f: BenchmarkFolder(f / "b").begin(PLAN, resume=True),
    ),
}

ODD_TEXT = [b"[" * 20_000, b"9" * 5000, b"1" + b"0" * 400, b"1e999", b"-1", b"NaN", b"null", b'"', b"\xff\xfe", b"\0"]
ODD_NUMBERS = [b"\xff\x7f", b"\xff\xff\xff\x7f", b"\xff" * 8, b"\0" * 4, b"\x7f\xc0\0\0", b"\0\0\x80\x7f", b"\x01"]

Damage = Callable[[bytearray], None]


@st.composite
def damages(draw: st.DrawFn) -> list[Damage]:
    """Some ways to damage a file: cut it, flip bits, write over or into it."""

    def one() -> Damage:
        where = draw(st.one_of(st.floats(0, 1), st.integers(0, 800)))
        what = draw(st.sampled_from(["cut", "flip", "over", "into", "out", "digits"]))
        piece = draw(st.one_of(st.sampled_from(ODD_TEXT + ODD_NUMBERS), st.binary(min_size=1, max_size=12)))
        bit = draw(st.integers(0, 7))

        def do(content: bytearray) -> None:
            place = where if isinstance(where, int) else int(where * len(content))
            place = min(place, max(len(content) - 1, 0))
            if what == "cut":
                del content[place:]
            elif what == "flip" and content:
                content[place] ^= 1 << bit
            elif what == "over":
                content[place : place + len(piece)] = piece
            elif what == "into":
                content[place:place] = piece
            elif what == "out":
                del content[place : place + len(piece)]
            elif what == "digits":  # the next number of a text
                found = re.compile(rb"\d+").search(content, place)
                if found:
                    content[found.start() : found.end()] = piece

        return do

    if draw(st.integers(0, 19)) == 0:
        random = draw(st.binary(max_size=500))
        return [lambda content: content.__setitem__(slice(None), random)]
    return [one() for _ in range(draw(st.integers(1, 4)))]


def reset_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def peak_memory() -> int:
    """Most bytes of memory that this process has had since `reset_peak`."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    found = re.search(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE)
    assert found
    return 1024 * int(found[1])


@pytest.mark.parametrize("name", SUBJECTS)
def test_a_damaged_file_ends_in_a_result_or_a_sentence(name: str, tmp_path: Path, thorough: bool, show: Show) -> None:
    subject = SUBJECTS[name]
    sound, folder = tmp_path / "sound", tmp_path / "damaged"
    sound.mkdir()
    subject.make(sound)
    with pytest.raises(InputError, match=subject.refusal) if subject.refusal else nullcontext():
        subject.read(sound)
    original = (sound / subject.damaged).read_bytes()
    ends: Counter[str] = Counter()
    most = 0

    @settings(
        max_examples=MANY if thorough else EXAMPLES,
        deadline=None,
        derandomize=not thorough,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(damages(), st.booleans())
    def check(damage: list[Damage], within: bool) -> None:
        nonlocal most
        if thorough and time.monotonic() - begun > LONGEST:
            return
        packed = within and original.startswith(b"\x1f\x8b")  # a sound stream of damaged content
        content = bytearray(gzip.decompress(original) if packed else original)
        for one in damage:
            one(content)
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(sound, folder)
        (folder / subject.damaged).write_bytes(gzip.compress(content, 1) if packed else content)
        reset_peak()
        before = peak_memory()  # what is there now may be rubbish of other tests, collected in the next moment
        try:
            subject.read(folder)
            ends["read"] += 1
        except InputError as error:
            sentence = str(error)
            assert sentence.endswith(".")
            assert "\n" not in sentence
            assert "not enough memory" not in sentence, "refused before memory is asked for"
            ends["refused"] += 1
        most = max(most, peak_memory() - before)
        assert most <= MOST

    begun = time.monotonic()
    check()
    show(
        f"{name}: {ends['refused']} damaged files refused, {ends['read']} read, at most {most / 2**20:.0f} MiB, "
        f"{time.monotonic() - begun:.0f} s"
    )
    assert ends["refused"] or "sidecar" in name


PEAK = """
import resource, sys
from SRDynamicMRILib.io.files import read_series
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
before = peak()
for volume in read_series(sys.argv[1]):
    pass
print(peak() - before)
"""


@needs_posix
@pytest.mark.parametrize("ending", [".nii", ".nii.gz", ".nrrd", ".mha", ".seq.nrrd"])
@pytest.mark.parametrize("time_points", [1, 4])
def test_a_sound_file_takes_less_than_four_times_its_voxels(tmp_path: Path, ending: str, time_points: int) -> None:
    shape, path = (16 // time_points, 512, 1024), tmp_path / f"s{ending}"
    voxels = np.broadcast_to(np.arange(shape[0], dtype=np.float32)[:, None, None], shape)
    write_series(Series(lambda _: voxels, range(time_points), Geometry(shape)), path)
    run = subprocess.run([sys.executable, "-c", PEAK, str(path)], check=True, capture_output=True, text=True)
    assert int(run.stdout) < 4 * 4 * time_points * voxels.size


CRASHES_ITK = {
    "NRRD": ("v.nrrd", b"sizes: 7 6 3", b"sizes: " + b"[" * 2000),
    "NRRD field": ("v.nrrd", b"endian: little", b"e" * 2000),
    "MetaImage": ("v.mha", b"NDims = 3", b"NDims = -1"),
    "MetaImage of many dimensions": ("v.mha", b"NDims = 3", b"NDims = 100"),
    "MetaImage's name of voxels": ("v.mha", b"= LOCAL", b"= %s%s%s%s%s%s%s%s%n"),
    "MetaImage with an empty line": ("v.mha", b"NDims = 3", b"\nNDims = 100"),
    "NRRD's name of voxels": ("v.nhdr", b"data file: v.raw.gz", b"data file: v%d%s%s%s%s%n 1 3 1"),
    "NRRD's width of a number": ("v.nhdr", b"data file: v.raw.gz", b"Datafile: v%900000d 1 3 1"),
}


@pytest.mark.parametrize("case", CRASHES_ITK)
def test_headers_that_crash_itk_are_refused(tmp_path: Path, case: str) -> None:
    name, before, after = CRASHES_ITK[case]
    write_volume(noise(), tmp_path / name)
    content = (tmp_path / name).read_bytes()
    assert before in content
    (tmp_path / name).write_bytes(content.replace(before, after))
    with pytest.raises(InputError, match="is damaged or cut short"):
        read_series(tmp_path / name)
    code = f"import SimpleITK; SimpleITK.ReadImage({str(tmp_path / name)!r})"
    crashed = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True).returncode
    assert crashed < 0, "ITK refuses it by itself now: text_headers.py may go"


@pytest.mark.parametrize(
    ("name", "before", "pattern"),
    [
        ("v.mhd", "ElementDataFile = v.zraw", "ElementDataFile = v%02d.raw 1 3 1"),
        ("v.nhdr", "v.raw.gz", "v%02d.raw 1 3 1"),
    ],
)
def test_slices_in_numbered_files_are_read(tmp_path: Path, name: str, before: str, pattern: str) -> None:
    write_volume(noise(), tmp_path / name)
    header = (tmp_path / name).read_text(encoding="ascii")
    assert before in header
    header = header.replace(before, pattern).replace("encoding: gzip", "encoding: raw")
    header = re.sub("CompressedData.*\n", "", header)
    (tmp_path / name).write_text(header, encoding="ascii")
    for number, slice_ in enumerate(noise().data, start=1):
        (tmp_path / f"v{number:02d}.raw").write_bytes(slice_.tobytes())
    assert np.array_equal(read_volume(tmp_path / name).data, noise().data)


def test_an_absurd_matrix_in_a_sidecar_is_passed_over(command: Command, patient: Patient, tmp_path: Path) -> None:
    source = tmp_path / "low.nii.gz"
    shutil.copy(patient.low_volume, source)
    shapes = []
    for matrix in ([10**6, 10**6], [48, 1], [-48, -64]):
        facts = description(full_matrix=matrix, **image_facts(read_volume(source).geometry))
        write_json(facts, tmp_path / "low.json")
        out = tmp_path / "o.nii.gz"
        assert command("superresolve", source, out, "--model", patient.model, "--progress", "none").code == 0
        shapes.append(read_volume(out).shape)
    assert shapes == [(8, 96, 128)] * 3, "that of the lowest fraction of the model"


def test_long_keys_of_nrrd_are_sound(tmp_path: Path) -> None:
    """The times of a long series take one long line."""
    write_series(
        Series(lambda n: noise(n).data, [n / 3 for n in range(2000)], Geometry(SHAPE)), tmp_path / "s.seq.nrrd"
    )
    assert len(read_series(tmp_path / "s.seq.nrrd")) == 2000
