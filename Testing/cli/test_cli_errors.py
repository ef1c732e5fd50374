"""Bad input ends with exit code 2, one plain sentence and nothing left behind; too little memory is made do with."""

from __future__ import annotations

import errno
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import SimpleITK as sitk
from helpers.bad_models import BAD_CHECKPOINTS, BAD_MODELS, malicious, published
from helpers.command_line import QUIET, Command, Outcome
from helpers.memory import CPU_OUT, CUDA_OUT, limit
from helpers.models import FEATURES
from helpers.operating_system import files_of_at_most
from helpers.patient import FRACTION, SHAPE, Patient, Place

from SRDynamicMRILib.cli import superresolve as superresolve_command
from SRDynamicMRILib.io import room
from SRDynamicMRILib.io.files import read_series, read_volume, write_images, write_series, write_volume
from SRDynamicMRILib.networks.unet import UNet3D
from SRDynamicMRILib.volume import Series, Volume

Build = Callable[[Place], tuple[object, ...]]


@pytest.fixture
def place(patient: Patient, tmp_path: Path) -> Place:
    return Place(patient, tmp_path)


def tree(folder: Path) -> dict[str, bytes]:
    """Every file of a folder, hidden ones too, with its content; folders as well."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else b"" for path in folder.rglob("*")
    }


def assert_plain(outcome: Outcome, phrase: str) -> None:
    """Check that an outcome is a refusal in one plain sentence that holds the phrase."""
    assert outcome.code == 2, outcome.err
    lines = outcome.err.splitlines()
    assert len(lines) == 1
    assert lines[0].strip()
    assert lines[0].endswith(".")
    assert "Traceback" not in outcome.err
    assert phrase in outcome.err


def assert_refused(command: Command, place: Place, arguments: tuple[object, ...], phrase: str) -> None:
    """Check that a command refuses in one sentence, says nothing else and leaves nothing."""
    before = tree(place.folder)
    outcome = command(*arguments, *QUIET)
    assert_plain(outcome, phrase)
    assert outcome.out == ""
    assert tree(place.folder) == before


# Images that cannot be used, wherever a command takes an image


def with_voxel(value: float) -> Callable[[Place], Path]:
    def build(place: Place) -> Path:
        volume = read_volume(place.patient.static)
        data = volume.data.copy()
        data[3, 20, 30] = value
        write_volume(volume.with_data(data), place.out("bad.nii.gz"))
        return place.out("bad.nii.gz")

    return build


def constant(place: Place) -> Path:
    write_volume(Volume(np.zeros(SHAPE), read_volume(place.patient.static).geometry), place.out("bad.nii.gz"))
    return place.out("bad.nii.gz")


def empty_file(place: Place) -> Path:
    place.out("bad.nii.gz").touch()
    return place.out("bad.nii.gz")


def empty_folder(place: Place) -> Path:
    place.out("bad").mkdir()
    return place.out("bad")


def two_dimensional(place: Place) -> Path:
    sitk.WriteImage(sitk.GetImageFromArray(np.ones((48, 64), np.float32)), str(place.out("bad.mha")))
    return place.out("bad.mha")


def photograph(place: Place) -> Path:
    sitk.WriteImage(sitk.GetImageFromArray(np.eye(48, dtype=np.uint8)), str(place.out("bad.png")))
    return place.out("bad.png")


def line_of_voxels(place: Place) -> Path:
    sitk.WriteImage(
        sitk.GetImageFromArray(np.random.default_rng(0).random((8, 1, 64), np.float32)), str(place.out("bad.nii.gz"))
    )
    return place.out("bad.nii.gz")


def colours(place: Place) -> Path:
    image = sitk.GetImageFromArray(np.random.default_rng(0).integers(0, 255, (*SHAPE, 3), np.uint8), isVector=True)
    sitk.WriteImage(image, str(place.out("bad.mha")))
    return place.out("bad.mha")


def different_sizes(place: Place) -> Path:
    folder = place.out("bad")
    folder.mkdir()
    volume = read_volume(place.patient.static)
    write_volume(volume, folder / "a.nii.gz")
    smaller = Volume(volume.data[:, :-1], replace(volume.geometry, shape=(SHAPE[0], SHAPE[1] - 1, SHAPE[2])))
    write_volume(smaller, folder / "b.nii.gz")
    return folder


def cut_short(place: Place) -> Path:
    content = place.patient.static.read_bytes()
    place.out("bad.nii.gz").write_bytes(content[: len(content) // 2])
    return place.out("bad.nii.gz")


def letter(place: Place) -> Path:
    place.out("bad.nii.gz").write_text("Dear colleague, the patient was well.")
    return place.out("bad.nii.gz")


def missing(place: Place) -> Path:
    return place.out("missing.nii.gz")


BAD_IMAGES: dict[str, tuple[Callable[[Place], Path], str]] = {
    "NaN": (with_voxel(np.nan), "1 voxels that are not finite"),
    "infinite": (with_voxel(np.inf), "1 voxels that are not finite"),
    "constant": (constant, "shows nothing: all voxels are 0"),
    "empty file": (empty_file, "is damaged or"),
    "empty folder": (empty_folder, "holds no images"),
    "2D": (two_dimensional, "has 2 dimensions"),
    "photograph": (photograph, "has 2 dimensions"),
    "line of voxels": (line_of_voxels, "which are lines, not images"),
    "colours": (colours, "is a colour or vector image"),
    "different sizes": (different_sizes, "must have the same size"),
    "cut short": (cut_short, "is damaged or cut short"),
    "letter": (letter, "is damaged or not an image"),
    "missing": (missing, "There is no file or folder"),
}

IMAGE_PLACES: dict[str, Callable[[Place, Path], tuple[object, ...]]] = {
    "downsample IN": lambda p, bad: ("downsample", bad, p.out(), "--fraction", FRACTION),
    "downsample --phase": lambda p, bad: (*downsample("--fraction", FRACTION)(p), "--phase", bad),
    "interpolate IN": lambda p, bad: (
        *("interpolate", bad, p.out(), "--like", p.patient.static),
        *("--method", "trilinear"),
    ),
    "interpolate --like": lambda p, bad: (
        *("interpolate", p.patient.low, p.out(), "--like", bad),
        *("--method", "area"),
    ),
    "superresolve IN": lambda p, bad: ("superresolve", bad, p.out(), *p.model),
    "superresolve --like": lambda p, bad: ("superresolve", p.patient.low, p.out(), *p.model, "--like", bad),
    "superresolve --prior": lambda p, bad: ("superresolve", p.patient.low, p.out(), *p.model, "--prior", bad),
    "finetune PRIOR": lambda p, bad: (
        *("finetune", bad, "--fraction", FRACTION),
        *("--output", p.out("m.safetensors"), *p.model),
    ),
    "finetune --like": lambda p, bad: (
        *("finetune", p.patient.static, "--like", bad),
        *("--output", p.out("m.safetensors"), *p.model),
    ),
    "evaluate RESULT": lambda p, bad: ("evaluate", bad, p.patient.dynamic, "--output", p.out("e")),
    "evaluate TRUTH": lambda p, bad: ("evaluate", p.patient.dynamic, bad, "--output", p.out("e")),
    "evaluate --baseline": lambda p, bad: (
        *("evaluate", p.patient.dynamic, p.patient.dynamic, "--baseline", f"bad={bad}"),
        *("--output", p.out("e")),
    ),
}


GRID_ONLY = ("interpolate --like", "superresolve --like")
"""Places of volumes of which only the grid is wanted: their voxels are not read."""

BAD_VOXELS = ("NaN", "infinite", "constant", "cut short")


@pytest.mark.parametrize(
    ("fault", "where"),
    [(f, w) for f in BAD_IMAGES for w in IMAGE_PLACES if not (f in BAD_VOXELS and w in GRID_ONLY)],
)
def test_a_bad_image(command: Command, place: Place, fault: str, where: str) -> None:
    build, phrase = BAD_IMAGES[fault]
    bad = build(place)
    assert_refused(command, place, IMAGE_PLACES[where](place, bad), phrase)


@pytest.mark.parametrize("where", GRID_ONLY)
@pytest.mark.parametrize("fault", BAD_VOXELS)
def test_voxels_do_not_matter_where_only_the_grid_is_wanted(
    command: Command, place: Place, fault: str, where: str
) -> None:
    bad = BAD_IMAGES[fault][0](place)
    assert command(*IMAGE_PLACES[where](place, bad), *QUIET).code == 0


LATE_PLACES = ("downsample IN", "interpolate IN", "superresolve IN", "evaluate RESULT", "evaluate TRUTH")


@pytest.mark.parametrize("where", LATE_PLACES)
def test_a_bad_time_point_late_in_a_series(command: Command, place: Place, where: str) -> None:
    source = place.patient.low if where in ("interpolate IN", "superresolve IN") else place.patient.dynamic
    series = read_series(source)
    frames = [volume.data.copy() for volume in series]
    frames[2][3, 4, 5] = np.nan
    bad = place.out("bad.nii.gz")
    write_series(Series.of([Volume(frame, series.geometry) for frame in frames], series.times), bad)
    phrase = f"Time point 2 of {bad} holds 1 voxels that are not finite"
    assert_refused(command, place, IMAGE_PLACES[where](place, bad), phrase)


# Images, models and numbers that do not go together


def elsewhere(p: Place) -> Path:
    static = read_volume(p.patient.static)
    write_volume(Volume(static.data, replace(static.geometry, origin=(5000.0, 0.0, 0.0))), p.out("far.nii.gz"))
    return p.out("far.nii.gz")


def coarse(p: Place) -> Path:
    static = read_volume(p.patient.static)
    x, y, z = static.geometry.spacing
    large = replace(static.geometry, spacing=(4 * x, 4 * y, z))
    write_volume(Volume(static.data, large), p.out("coarse.nii.gz"))
    return p.out("coarse.nii.gz")


def superresolve(*more: object, out: str = "out.nii.gz") -> Build:
    return lambda p: ("superresolve", p.patient.low, p.out(out), *p.model, *more)


def downsample(*more: object, out: str = "out.nii.gz") -> Build:
    return lambda p: ("downsample", p.patient.static, p.out(out), *more)


def finetune(*more: object, out: str = "m.safetensors") -> Build:
    return lambda p: ("finetune", p.patient.static, "--output", p.out(out), *p.model, *more)


def train(*more: object, out: str = "m.safetensors") -> Build:
    return lambda p: ("train", "--data", p.patient.static.parent, "--output", p.out(out), "--steps", 1, *more)


def like(command_line: Build, make: Callable[[Place], Path]) -> Build:
    return lambda p: (*command_line(p), "--like", make(p))


def interpolate_like(make: Callable[[Place], Path]) -> Build:
    return lambda p: ("interpolate", p.patient.low, p.out(), "--method", "zero_filled", "--like", make(p))


MISMATCHES: dict[str, tuple[Build, str]] = {
    "superresolve, no overlap": (like(superresolve(), elsewhere), "do not overlap"),
    "finetune, no overlap": (
        lambda p: ("finetune", elsewhere(p), "--like", p.patient.low, "--output", p.out("m.safetensors"), *p.model),
        "do not overlap",
    ),
    "interpolate, no overlap": (interpolate_like(elsewhere), "do not overlap"),
    "evaluate, no overlap": (
        lambda p: ("evaluate", elsewhere(p), p.patient.static, "--output", p.out("e"), "--no-figures"),
        "do not overlap",
    ),
    "superresolve, coarse prior": (like(superresolve(), coarse), "give a reference of higher resolution"),
    "finetune, coarse prior": (
        lambda p: ("finetune", coarse(p), "--like", p.patient.low, "--output", p.out("m.safetensors"), *p.model),
        "resolution",
    ),
    "interpolate, coarse reference": (interpolate_like(coarse), "give a reference of higher resolution"),
    "finetune on a series": (
        lambda p: (
            *("finetune", p.patient.dynamic, "--like", p.patient.low),
            *("--output", p.out("m.safetensors"), *p.model),
        ),
        "is a series of 3 time points where a volume is needed",
    ),
    "evaluate, unequal time points": (
        lambda p: ("evaluate", p.patient.low_volume, p.patient.dynamic, "--output", p.out("e"), "--no-figures"),
        "1 time points but the ground truth has 3",
    ),
    "evaluate, unequal baseline": (
        lambda p: (
            *("evaluate", p.patient.dynamic, p.patient.dynamic, "--baseline", f"one={p.patient.low_volume}"),
            *("--output", p.out("e"), "--no-figures"),
        ),
        "one has 1 time points but the ground truth has 3",
    ),
    "evaluate, a baseline named as the result": (
        lambda p: (
            *("evaluate", p.patient.dynamic, p.patient.dynamic, "--baseline", f"result={p.patient.low}"),
            *("--output", p.out("e"), "--no-figures"),
        ),
        "baseline",
    ),
    "evaluate, two baselines of one name": (
        lambda p: (
            *("evaluate", p.patient.dynamic, p.patient.dynamic, "--output", p.out("e"), "--no-figures"),
            *("--baseline", f"one={p.patient.low}", f"one={p.patient.dynamic}"),
        ),
        "baseline",
    ),
    "finetune, no perceptual network": (
        lambda p: (*finetune("--fraction", FRACTION, "--budget", "paper")(p), "--perceptual-network", p.out("no")),
        "There is no model file",
    ),
    "train on a bad image": (
        lambda p: ("train", "--data", with_voxel(np.nan)(p).parent, "--output", p.out("m.safetensors"), "--steps", 1),
        "1 voxels that are not finite",
    ),
    "train on a folder without images": (
        lambda p: ("train", "--data", photograph(p).parent, "--output", p.out("m.safetensors"), "--steps", 1),
        "holds no image",
    ),
    "nothing left of k-space": (downsample("--fraction", 1e-9), "leaves nothing of a 48x64 matrix"),
}

for _name, _command in (("downsample", downsample), ("superresolve", superresolve), ("finetune", finetune)):
    for _fraction in ("0", "-1", "1.5", "nan", "inf"):
        MISMATCHES[f"{_name} --fraction {_fraction}"] = (
            _command(f"--fraction={_fraction}"),
            "The fraction of k-space must be above 0 and at most 1",
        )
for _option, _phrase in {
    "--fraction-rows=0": "The fraction of k-space must be above 0 and at most 1",
    "--fraction-columns=nan": "The fraction of k-space must be above 0 and at most 1",
    "--fraction-rows=1e-9": "leaves nothing of a 48x64 matrix",
    "--fraction=0.25 --fraction-rows=0.5": "Give either --fraction",
    "--fraction=0.25 --snr=0": "The signal-to-noise ratio must be above 0, but it is 0",
    "--fraction=0.25 --snr=-5": "The signal-to-noise ratio must be above 0",
    "--fraction=0.25 --snr=nan": "The signal-to-noise ratio must be above 0",
    "--fraction=0.25 --snr=inf": "The signal-to-noise ratio must be above 0",
    "--fraction=0.25 --window=blackman": "There is no window named blackman; use one of none, hann",
    "--fraction=0.25 --window=": "There is no window named ; use one of",
    "--fraction=0.25 --window=fermi": "The window fermi needs a number from 0.01 to 100",
    "--fraction=0.25 --window=tukey:2": "The window tukey needs a number from 0.01 to 1",
    "--fraction=0.25 --window=gauss:wide": "gauss:wide names no window",
    "--fraction=0.25 --shutter=spiral": "There is no sampling pattern named spiral",
    "--fraction=0.25 --partial-fourier=0.5": "Partial Fourier must be above 0.5 and at most 1",
    "--fraction=0.25 --partial-fourier=nan": "Partial Fourier must be above 0.5 and at most 1",
    "--fraction=0.25 --like-scanner --snr=0": "The signal-to-noise ratio must be above 0",
}.items():
    MISMATCHES[f"downsample {_option}"] = (downsample(*_option.split()), _phrase)


def phase_of(make: Callable[[Volume], Volume], count: int = 1) -> Callable[[Place], Path]:
    """A phase made of one that fits the planning scan."""

    def write(p: Place) -> Path:
        static = read_volume(p.patient.static)
        phase = make(static.with_data(np.random.default_rng(0).uniform(-3, 3, static.shape)))
        write_series(Series.of([phase] * count), p.out("phase.nii.gz"))
        return p.out("phase.nii.gz")

    return write


def with_phase(make: Callable[[Place], Path]) -> Build:
    return lambda p: (*downsample("--fraction", FRACTION)(p), "--phase", make(p))


MISMATCHES["downsample, phase in degrees"] = (
    with_phase(phase_of(lambda phase: phase.with_data(phase.data * 57.3))),
    "which are no radians; scale it to -pi to pi",
)
MISMATCHES["downsample, phase elsewhere"] = (
    with_phase(phase_of(lambda phase: Volume(phase.data, replace(phase.geometry, origin=(0.0, 0.0, 500.0))))),
    "is not on the grid of the image",
)
MISMATCHES["downsample, phase of another matrix"] = (
    with_phase(phase_of(lambda phase: Volume(phase.data[:, ::2], phase.geometry.with_matrix((24, 64))))),
    "is not on the grid of the image",
)
MISMATCHES["downsample, too many phases"] = (
    with_phase(phase_of(lambda phase: phase, count=2)),
    "2 time points but the image has 1",
)
MISMATCHES["train --fractions 1.5"] = (train("--fractions", 0.25, 1.5), "must be above 0 and at most 1")
MISMATCHES["import-checkpoint --fractions nan"] = (
    lambda p: ("import-checkpoint", p.patient.model, p.out("m.safetensors"), "--fractions", "nan"),
    "must be above 0 and at most 1",
)
for _frames, _phrase in (
    ("3", "Time points 3 do not exist: the series has 3, numbered from 0 to 2"),
    ("1:9", "do not exist"),
    ("2:1", "do not exist"),
    ("1:1", "do not exist"),
    ("first", "time points as 0:5, 3 or 0:3,5:9"),
    (":", "time points as 0:5, 3 or 0:3,5:9"),
    ("0:1:2", "time points as 0:5, 3 or 0:3,5:9"),
    ("-1", "time points as 0:5, 3 or 0:3,5:9"),
    ("", "time points as 0:5, 3 or 0:3,5:9"),
    ("0,", "time points as 0:5, 3 or 0:3,5:9"),
    ("0 2", "time points as 0:5, 3 or 0:3,5:9"),
    ("1,0", "in ascending order and only once each"),
    ("0:2,1", "in ascending order and only once each"),
    ("1:,2", "in ascending order and only once each"),
    ("0,0", "in ascending order and only once each"),
    ("0,2:4", "do not exist"),
):
    MISMATCHES[f"--frames={_frames}"] = (superresolve(f"--frames={_frames}"), _phrase)
    MISMATCHES[f"evaluate --frames={_frames}"] = (
        lambda p, frames=_frames: (
            *("evaluate", p.patient.dynamic, p.patient.dynamic),
            *("--output", p.out("e"), f"--frames={frames}"),
        ),
        _phrase,
    )


@pytest.mark.parametrize("case", MISMATCHES)
def test_what_does_not_go_together(command: Command, place: Place, case: str) -> None:
    build, phrase = MISMATCHES[case]
    assert_refused(command, place, build(place), phrase)


# Arguments

ARGUMENTS: dict[str, tuple[Build, str]] = {
    "no command": (lambda _: (), "COMMAND"),
    "unknown command": (lambda _: ("sharpen", "x"), "sharpen"),
    "unknown option": (superresolve("--sharper"), "--sharper"),
    "missing OUT": (lambda p: ("superresolve", p.patient.low), "OUT"),
    "missing --fraction": (downsample(), "--fraction"),
    "missing --like": (
        lambda p: ("interpolate", p.patient.low, p.out(), "--method", "area"),
        "--like",
    ),
    "missing target of finetune": (finetune(), "--like"),
    "both targets of finetune": (lambda p: (*finetune("--fraction", 0.25)(p), "--like", p.patient.low), "--like"),
    "missing --output": (lambda p: ("evaluate", p.patient.low, p.patient.low), "--output"),
    "no number": (downsample("--fraction", "quarter"), "quarter"),
    "no SNR": (downsample("--fraction", FRACTION, "--snr", "good"), "good"),
    "unknown matrix to store": (downsample("--fraction", FRACTION, "--store", "3x"), "3x"),
    "two phases": (downsample("--fraction", FRACTION, "--phase", "p.nii", "--simulate-phase"), "--simulate-phase"),
    "unknown method": (lambda p: ("interpolate", "x", p.out(), "--like", "y", "--method", "magic"), "magic"),
    "unknown budget": (finetune("--fraction", 0.25, "--budget", "huge"), "huge"),
    "unknown recipe": (train("--recipe", "soup"), "soup"),
    "unknown progress": (superresolve("--progress", "smoke"), "smoke"),
    "no NAME=FILE": (lambda p: ("evaluate", "x", "y", "--output", p.out("e"), "--baseline", "file.nii"), "NAME=FILE"),
    "unknown device": (superresolve("--device", "abacus"), "There is no device abacus"),
    "device that is not here": (superresolve("--device", "cuda:77"), "There is no device cuda:77"),
    "device that cannot compute": (superresolve("--device", "meta"), "There is no device meta"),
    "no threads": (superresolve("--threads", 0), "The number of threads must be from 1 to"),
    "negative threads": (superresolve("--threads", -2), "The number of threads must be from 1 to"),
    "stride of nothing": (superresolve("--stride", 0, 1, 1), "stride"),
    "negative stride": (superresolve("--stride", 3, -1, 3), "stride"),
    "negative seed": (lambda p: ("phantom", p.out("p"), "--seed", -1), "seed"),
    "negative seed of finetune": (finetune("--fraction", 0.25, "--budget", "quick", "--seed", -1), "seed"),
    "no time points": (lambda p: ("phantom", p.out("p"), "--time-points", 0), "at least 1 time point"),
    "nothing to train on": (
        lambda p: ("train", "--output", p.out("m.safetensors"), "--steps", 1),
        "There is nothing to train on",
    ),
    "train on a missing folder": (
        lambda p: ("train", "--data", p.out("no"), "--output", p.out("m.safetensors"), "--steps", 1),
        "There is no folder",
    ),
    "train without steps": (train("--steps", 0), "step"),
    "train without features": (train("--features", -3), "feature"),
}


@pytest.mark.parametrize("case", ARGUMENTS)
def test_bad_arguments(command: Command, place: Place, case: str) -> None:
    build, phrase = ARGUMENTS[case]
    arguments = build(place)
    before = tree(place.folder)
    quiet = () if case in ("no command", "unknown progress") else QUIET
    outcome = command(*arguments, *quiet)
    assert_plain(outcome, phrase)
    assert outcome.out == ""
    assert tree(place.folder) == before


# Outputs that cannot be written


def writers(out: Callable[[Place, str], Path]) -> dict[str, Build]:
    """Commands that write, with their output where `out` says; given its usual name without ending."""
    return {
        "downsample": lambda p: ("downsample", p.patient.static, out(p, "o.nii.gz"), "--fraction", FRACTION),
        "interpolate": lambda p: (
            *("interpolate", p.patient.low, out(p, "o.nii.gz")),
            *("--like", p.patient.static, "--method", "area"),
        ),
        "superresolve": lambda p: ("superresolve", p.patient.low, out(p, "o.nii.gz"), *p.model),
        "superresolve to a folder": lambda p: ("superresolve", p.patient.low, out(p, "o"), *p.model),
        "finetune": lambda p: (
            *("finetune", p.patient.static, "--fraction", FRACTION),
            *("--output", out(p, "m.safetensors"), *p.model),
        ),
        "train": lambda p: (
            *("train", "--data", p.patient.static.parent, "--steps", 1),
            *("--output", out(p, "m.safetensors")),
        ),
    }


def under_a_file(p: Place, name: str) -> Path:
    p.out("file").touch()
    return p.out("file") / name


NO_FOLDER = writers(lambda p, name: p.out("no") / name)
UNDER_A_FILE: dict[str, Build] = {
    **writers(under_a_file),
    "phantom": lambda p: ("phantom", under_a_file(p, "p"), "--time-points", 1),
    "demo": lambda p: ("demo", under_a_file(p, "d")),
    "evaluate": lambda p: ("evaluate", p.patient.dynamic, p.patient.dynamic, "--output", under_a_file(p, "e")),
    "import-checkpoint": lambda p: ("import-checkpoint", published(p), under_a_file(p, "m.safetensors")),
}


@pytest.fixture
def no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail where the network is used: a place that cannot be written to is found before the work."""

    def forward(*_: object) -> None:
        raise AssertionError("worked in vain")

    monkeypatch.setattr(UNet3D, "forward", forward)


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize("case", NO_FOLDER)
def test_no_folder_for_the_output(command: Command, place: Place, case: str) -> None:
    assert_refused(command, place, NO_FOLDER[case](place), "There is no folder")


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize("case", UNDER_A_FILE)
def test_a_place_that_cannot_be_written_to(command: Command, place: Place, case: str) -> None:
    assert_refused(command, place, UNDER_A_FILE[case](place), "file")


WRONG_TYPES: dict[str, tuple[Build, str]] = {
    "downsample": (downsample("--fraction", FRACTION, out="out.jpg"), "out.jpg has no file type that can be written"),
    "superresolve": (superresolve(out="out.xyz"), "out.xyz has no file type that can be written"),
    "superresolve, odd sequence": (superresolve(out="out.seq.nii.gz"), "has no file type that can be written"),
    "finetune": (finetune("--fraction", 0.25, out="m.pth"), "A model is written as .safetensors"),
    "train": (train(out="m.pt"), "A model is written as .safetensors"),
    "import-checkpoint": (
        lambda p: ("import-checkpoint", published(p), p.out("m.pth")),
        "A model is written as .safetensors",
    ),
}


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize("case", WRONG_TYPES)
def test_an_unknown_type_of_output(command: Command, place: Place, case: str) -> None:
    build, phrase = WRONG_TYPES[case]
    assert_refused(command, place, build(place), phrase)


def test_a_folder_with_other_things_is_not_replaced(command: Command, place: Place) -> None:
    place.out("results").mkdir()
    (place.out("results") / "thesis.tex").write_text("dear to someone")
    assert_refused(command, place, superresolve(out="results")(place), "exists and holds something other than a series")


def test_frames_of_someone_else_are_not_removed(command: Command, place: Place) -> None:
    place.out("out.nii.gz.frames").mkdir()
    (place.out("out.nii.gz.frames") / "photo.jpg").write_text("dear to someone")
    assert_refused(command, place, superresolve()(place), "is in the way and was not made by this software")


FRAMES_OF_OTHERS: dict[str, dict[str, str]] = {
    "a job of other software": {"job.json": '{"version": 1}'},
    "no JSON": {"job.json": "a job"},
    "other files too": {"job.json": '{"version": "", "input": "", "model": "", "grid": ""}', "thesis.tex": ""},
    "files named nearly as ours": {
        "job.json": '{"version": "", "input": "", "model": "", "grid": ""}',
        "frame_1.nii": "",
    },
}


@pytest.mark.parametrize("case", FRAMES_OF_OTHERS)
@pytest.mark.parametrize("resume", [(), ("--resume",)])
def test_a_folder_of_others_with_a_job_is_not_removed(
    command: Command, place: Place, case: str, resume: tuple[str, ...]
) -> None:
    folder = place.out("out.nii.gz.frames")
    folder.mkdir()
    for name, content in FRAMES_OF_OTHERS[case].items():
        (folder / name).write_text(content)
    assert_refused(command, place, superresolve(*resume)(place), "is in the way and was not made by this software")


def test_what_others_put_into_a_folder_of_time_points_meanwhile_stays(
    command: Command, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(series: Series, path: Path) -> None:
        place.out("out.nii.gz.frames/notes.txt").write_text("dear to someone")
        write_images(series, path)

    monkeypatch.setattr(superresolve_command, "write_images", write)
    assert command(*superresolve("--like", place.patient.static)(place), *QUIET).code == 0
    assert place.out("out.nii.gz.frames/notes.txt").exists()


# Outputs that would replace what they are made of, or what is of others


def copy_of(source: Path, to: Path) -> Path:
    write_series(read_series(source), to)
    return to


def detached(p: Place, voxels: str) -> Path:
    """A series whose voxels are in a file of another name."""
    copy_of(p.patient.low, p.out("s2.mhd"))
    p.out("s2.zraw").rename(p.out(voxels))
    p.out("s2.mhd").write_text(p.out("s2.mhd").read_text().replace("s2.zraw", voxels))
    return p.out("s2.mhd")


def pair(p: Place) -> Path:
    sitk.WriteImage(sitk.ReadImage(str(p.patient.static)), str(p.out("v.img")))
    return p.out("v.img")


REPLACING: dict[str, tuple[Build, str]] = {
    "the input": (
        lambda p: ("superresolve", copy_of(p.patient.low, p.out()), p.out(), *p.model),
        "out.nii.gz would replace",
    ),
    "the input's description": (
        lambda p: ("superresolve", copy_of(p.patient.low_with_matrix, p.out("out.mha")), p.out("out.nrrd"), *p.model),
        "out.nrrd would replace",
    ),
    "the input's voxels": (
        lambda p: ("superresolve", detached(p, "b2.zraw"), p.out("b2.mhd"), *p.model),
        "would",
    ),
    "the input's voxels, downsampling": (
        lambda p: ("downsample", detached(p, "b2.nii"), p.out("b2.nii"), "--fraction", 0.25),
        "b2.nii would replace",
    ),
    "the planning scan": (
        lambda p: (*superresolve(out="prior.nii")(p), "--like", copy_of(p.patient.static, p.out("prior.nii"))),
        "prior.nii would replace",
    ),
    "the grid's scan": (
        lambda p: (
            *("interpolate", p.patient.low, p.out("like.nii"), "--method", "area"),
            *("--like", copy_of(p.patient.static, p.out("like.nii"))),
        ),
        "like.nii would replace",
    ),
    "a time point of the input": (
        lambda p: ("superresolve", copy_of(p.patient.low, p.out("s")), p.out("s/frame_0000.nii.gz"), *p.model),
        "frame_0000.nii.gz would replace",
    ),
    "the folder of the input": (
        lambda p: ("superresolve", copy_of(p.patient.low, p.out("s")) / "frame_0001.nii.gz", p.out("s"), *p.model),
        "s would replace",
    ),
    "the finished time points that are the input": (
        lambda p: (
            "superresolve",
            copy_of(p.patient.low, p.out("s")).rename(p.out("o.nii.frames")),
            p.out("o.nii"),
            *p.model,
        ),
        "o.nii.frames would replace",
    ),
    "the fidelity map": (
        lambda p: (
            *superresolve("--consistency-map", p.out("s.nii"), "--like", copy_of(p.patient.static, p.out("s.nii")))(p),
        ),
        "s.nii would replace",
    ),
    "a file of Slicer's markups": (
        lambda p: (
            (p.out("plan.mrk.json").write_text('{"@schema": "markups", "markups": []}'), p)
            and superresolve(out="plan.mrk.nii.gz")(p)
        ),
        "plan.mrk.json would be replaced",
    ),
    "voxels of another header": (
        lambda p: (p.out("o.zraw").write_text("voxels"), p) and superresolve(out="o.mhd")(p),
        "o.zraw would be replaced, which does not belong to",
    ),
    "a folder": (
        lambda p: (p.out("o.nii").mkdir(), p) and superresolve(out="o.nii")(p),
        "o.nii could not be written, as it is a folder",
    ),
}


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize("case", REPLACING)
def test_an_output_that_would_replace_other_files(command: Command, place: Place, case: str) -> None:
    build, phrase = REPLACING[case]
    assert_refused(command, place, build(place), phrase)


NOT_UTF8: dict[str, Callable[[Place, bytes], list[object]]] = {
    "superresolve IN": lambda p, odd: ["superresolve", odd, p.out(), *p.model],
    "superresolve OUT": lambda p, odd: ["superresolve", p.patient.low, odd, *p.model],
    "superresolve --model": lambda p, odd: ["superresolve", p.patient.low, p.out(), "--model", odd],
    "superresolve --like": lambda p, odd: ["superresolve", p.patient.low, p.out(), *p.model, "--like", odd],
    "finetune PRIOR": lambda p, odd: ["finetune", odd, "--fraction", 0.25, "--output", p.out("m.safetensors")],
    "evaluate --baseline": lambda p, odd: [
        *("evaluate", p.patient.dynamic, p.patient.dynamic, "--output", p.out("e")),
        *("--baseline", b"x=" + odd),
    ],
    "evaluate --output": lambda p, odd: ["evaluate", p.patient.dynamic, p.patient.dynamic, "--output", odd],
    "train --data": lambda p, odd: ["train", "--data", odd, "--output", p.out("m.safetensors")],
    "import-checkpoint IN": lambda p, odd: ["import-checkpoint", odd, p.out("m.safetensors")],
    "demo": lambda p, odd: ["demo", odd],
    "info": lambda p, odd: ["info", odd],
}


@pytest.mark.parametrize("case", NOT_UTF8)
def test_a_name_that_is_not_utf8(command: Command, place: Place, case: str) -> None:
    odd = os.fsencode(place.folder) + b"/b\xff.nii.gz"
    Path(os.fsdecode(odd)).write_bytes(place.patient.low.read_bytes())
    arguments = [os.fsdecode(a) if isinstance(a, bytes) else a for a in NOT_UTF8[case](place, odd)]
    assert_refused(command, place, tuple(arguments), "is not in UTF-8, so the file cannot be opened; rename")


def test_a_real_process_is_not_aborted_by_a_name(place: Place) -> None:
    odd = os.fsencode(place.folder) + b"/b\xff.nii.gz"
    Path(os.fsdecode(odd)).write_bytes(place.patient.low.read_bytes())
    words = [sys.executable, "-m", "SRDynamicMRILib", "superresolve", odd, place.out(), *place.model, *QUIET]
    run = subprocess.run(words, check=False, capture_output=True)
    assert run.returncode == 2
    assert run.stderr.decode() == (
        f"The name {place.folder}/b\ufffd.nii.gz is not in UTF-8, so the file cannot be opened; "
        "rename the file or its folder.\n"
    )


@pytest.mark.usefixtures("no_work")
def test_too_little_memory_for_the_output(command: Command, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "available_memory", lambda: 100_000)
    for ending in ("mha", "mhd", "nhdr"):
        build = superresolve("--like", place.patient.static, out=f"o.{ending}")
        assert_refused(
            command, place, build(place), "a series larger than memory can be written as .nii.gz or .seq.nrrd"
        )


@pytest.mark.parametrize("ending", [".nii.gz", ".nii", ".seq.nrrd", ".nrrd", ""])
def test_a_series_larger_than_memory_is_written(
    command: Command, place: Place, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    monkeypatch.setattr(room, "available_memory", lambda: 100_000)
    build = superresolve("--like", place.patient.static, out=f"o{ending}")
    assert command(*build(place), *QUIET).code == 0
    assert len(read_series(place.out(f"o{ending}"))) == 3


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize("case", ["superresolve", "downsample", "interpolate"])
def test_too_little_space_for_the_output(
    command: Command, place: Place, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=15_000))
    build = {
        "superresolve": superresolve("--like", place.patient.static),
        "downsample": lambda p: ("downsample", p.patient.dynamic, p.out(), "--fraction", FRACTION),
        "interpolate": interpolate_like(lambda p: p.patient.static),
    }[case]
    assert_refused(command, place, build(place), "on its disk, and 0.0143 MiB are free; free some space")


FULL_DISK: dict[str, Build] = {
    "downsample .nii.gz": downsample("--fraction", FRACTION),
    "downsample .mha": downsample("--fraction", FRACTION, out="o.mha"),
    "downsample .nrrd": downsample("--fraction", FRACTION, out="o.nrrd"),
    "downsample series": lambda p: ("downsample", p.patient.dynamic, p.out("o.seq.nrrd"), "--fraction", FRACTION),
    "downsample to a folder": lambda p: ("downsample", p.patient.dynamic, p.out("o"), "--fraction", FRACTION),
    "interpolate": interpolate_like(lambda p: p.patient.static),
    "finetune": finetune("--fraction", FRACTION, "--budget", "quick"),
    "import-checkpoint": lambda p: ("import-checkpoint", published(p), p.out("m.safetensors")),
    "evaluate": lambda p: ("evaluate", p.patient.low, p.patient.dynamic, "--output", p.out("e")),
    "phantom": lambda p: ("phantom", p.out("p"), "--time-points", 1),
}


@pytest.mark.usefixtures("few_steps")
@pytest.mark.parametrize("case", FULL_DISK)
def test_a_full_disk(command: Command, place: Place, case: str) -> None:
    arguments = FULL_DISK[case](place)
    before = tree(place.folder)
    with files_of_at_most(3000):
        outcome = command(*arguments, *QUIET)
    *_, sentence = outcome.err.splitlines()  # libraries that write images print lines of their own before
    assert_plain(replace(outcome, err=sentence), "space")
    left = {name for name in tree(place.folder) if name not in before}
    assert not [name for name in left if "." in name], "no file, whole or in part"


def test_a_full_disk_in_the_middle_of_a_series(command: Command, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    real, written = sitk.WriteImage, []

    def write(image: sitk.Image, name: str, *more: object) -> None:
        written.append(name)
        if len(written) > 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(image, name, *more)

    monkeypatch.setattr(sitk, "WriteImage", write)
    arguments = superresolve("--like", place.patient.static)(place)
    outcome = command(*arguments, *QUIET)
    assert_plain(outcome, "No space left on device")
    assert "free some space" in outcome.err
    assert {name for name in tree(place.folder) if ".writing" in name or name == "out.nii.gz"} == set()
    monkeypatch.undo()
    outcome = command(*arguments, "--resume", *QUIET)
    assert (outcome.code, outcome.err) == (0, "")
    assert list(tree(place.folder)) == ["out.nii.gz"] or set(tree(place.folder)) == {"out.nii.gz", "out.json"}


# Models


MODEL_PLACES: dict[str, Callable[[Place, Path], tuple[object, ...]]] = {
    "superresolve": lambda p, bad: ("superresolve", p.patient.low, p.out(), "--model", bad),
    "finetune": lambda p, bad: (
        *("finetune", p.patient.static, "--fraction", FRACTION),
        *("--output", p.out("m.safetensors"), "--model", bad),
    ),
    "info": lambda _, bad: ("info", bad),
}
NOT_NAMED_AS_A_MODEL = {"folder": "holds no images", "malicious zip": "damaged or not an image", "image": ""}
"""What `info` takes for images, by the fault, and how it refuses them; the last one it describes."""


@pytest.mark.parametrize("where", MODEL_PLACES)
@pytest.mark.parametrize("fault", BAD_MODELS)
def test_a_bad_model(command: Command, place: Place, fault: str, where: str) -> None:
    build, phrase = BAD_MODELS[fault]
    arguments = MODEL_PLACES[where](place, build(place))
    if where == "info":
        phrase = NOT_NAMED_AS_A_MODEL.get(fault, phrase)
    if phrase:
        assert_refused(command, place, arguments, phrase)
    else:
        assert command(*arguments).out.startswith("A volume of")
    assert not place.out("marker").exists()


@pytest.mark.parametrize("fault", BAD_CHECKPOINTS)
def test_a_bad_checkpoint(command: Command, place: Place, fault: str) -> None:
    build, phrase = BAD_CHECKPOINTS[fault]
    arguments = ("import-checkpoint", build(place), place.out("m.safetensors"))
    assert_refused(command, place, arguments, phrase)
    assert not place.out("marker").exists()


def test_the_malice_works_where_it_is_not_refused(place: Place) -> None:
    with malicious("bad.pth", "pickle")(place).open("rb") as stream:
        pickle.load(stream)
    assert place.out("marker").exists()


def test_missing_pretrained_model(command: Command, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("SRDynamicMRILib.models.pretrained._PLACES", (place.out("nowhere"),))
    assert_refused(command, place, ("superresolve", place.patient.low, place.out()), "name a model with --model")


# Too little memory


@pytest.mark.parametrize("error", [CUDA_OUT, CPU_OUT, MemoryError()], ids=["cuda", "cpu", "numpy"])
@pytest.mark.parametrize("case", ["superresolve", "superresolve by patches", "finetune"])
def test_no_memory_at_all(
    command: Command, place: Place, monkeypatch: pytest.MonkeyPatch, error: Exception, case: str
) -> None:
    limit(monkeypatch, 0, error)
    more = {"superresolve": ("--fraction", 0.25), "superresolve by patches": ("--stride", 12, 12, 12)}.get(case)
    build = superresolve(*more) if more else finetune("--fraction", FRACTION, "--budget", "quick")
    before = set(tree(place.folder))
    outcome = command(*build(place), *QUIET)
    assert_plain(outcome, "not enough memory")
    left = set(tree(place.folder)) - before
    assert not [name for name in left if not name.startswith("out.nii.gz.frames")]


@pytest.mark.parametrize(
    ("more", "most", "said"),
    [((), 48 * 8 * 100, "smaller tiles"), (("--stride", 24, 24, 24), 2 * 24**3, "fewer patches")],
)
def test_little_memory_is_enough(
    command: Command, place: Place, monkeypatch: pytest.MonkeyPatch, more: tuple[object, ...], most: int, said: str
) -> None:
    low = read_volume(place.patient.low_volume)
    times = 1 if more else 3  # tiles need a width beyond their margins
    wide = Volume(np.tile(low.data, (1, 1, times)), replace(low.geometry, shape=(8, 24, 32 * times)))
    write_volume(wide, place.out("wide.nii.gz"))
    arguments = ("superresolve", place.out("wide.nii.gz"), *place.model, "--fraction", FRACTION, *more)
    assert command(*arguments, place.out("enough.nii.gz"), *QUIET).code == 0
    # The first attempt takes all 8 x 48 x 192 voxels at once.
    monkeypatch.setattr(UNet3D, "maps_at_once", (1 << 30) // (8 * 48 * 194 * 4 * FEATURES))
    limit(monkeypatch, most, CUDA_OUT)
    outcome = command(*arguments, place.out("short.nii.gz"), "--progress", "json")
    assert (outcome.code, outcome.err) == (0, "")
    assert said in outcome.messages()
    enough, short = (read_volume(place.out(f"{name}.nii.gz")).data for name in ("enough", "short"))
    np.testing.assert_allclose(short, enough, atol=1e-3 * float(enough.max()))


# As a real process


def test_a_real_process_ends_with_2_and_a_sentence(place: Place) -> None:
    arguments = [str(a) for a in superresolve("--frames", "9")(place)]
    for progress in ("none", "json"):
        process = subprocess.run(
            [sys.executable, "-m", "SRDynamicMRILib", *arguments, "--progress", progress],
            capture_output=True,
            text=True,
            check=False,
        )
        assert_plain(Outcome(process.returncode, process.stdout, process.stderr), "do not exist")
        if progress == "none":
            assert process.stdout == ""
        else:
            assert Outcome(0, process.stdout, "").events[-1]["event"] == "error"


def test_a_fault_of_the_software_is_not_blamed_on_the_input(
    command: Command, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit(monkeypatch, 0, ZeroDivisionError("oops"))
    outcome = command(*superresolve()(place), *QUIET)
    assert outcome.code == 1
    assert len(outcome.err.splitlines()) == 1
    assert "please report it" in outcome.err
