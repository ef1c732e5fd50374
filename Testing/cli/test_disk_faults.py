"""The disk is full, cannot be written to, or its folder goes away: one sentence, and what is finished is kept.

The disks are real ones in memory, mounted in a mount namespace that ends with the command. Where a system does not
allow that, test_cli_errors.py still limits the size of files.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from helpers.patient import FRACTION, SHAPE, Patient

from SRDynamicMRILib.io.files import read_volume

NAMESPACE = ["unshare", "--mount", *([] if getattr(os, "geteuid", int)() == 0 else ["--map-root-user"])]


@cache
def can_mount() -> bool:
    call = [*NAMESPACE, "mount", "-t", "tmpfs", "none", "/mnt"]
    return (
        shutil.which("unshare") is not None and subprocess.run(call, check=False, capture_output=True).returncode == 0
    )


needs_mount = pytest.mark.skipif(not can_mount(), reason="this system lets nobody here mount a disk for a test")

SCRIPT = """
disk="$1"; kept="$2"; shift 2
$MOUNT "$disk"
"$@"; code=$?
cp -a "$disk/." "$kept"
exit $code
"""


def on_disk(mount: str, disk: Path, kept: Path, arguments: list[object]) -> tuple[int, list[dict[str, object]], str]:
    """Run a command with a disk of its own, of which a copy is kept; exit code, events and stderr."""
    disk.mkdir(exist_ok=True)
    kept.mkdir()
    command = [sys.executable, "-m", "SRDynamicMRILib", *map(str, arguments), "--progress", "json"]
    call = [*NAMESPACE, "sh", "-c", SCRIPT, "sh", disk, kept, *command]
    run = subprocess.run(call, check=False, capture_output=True, text=True, env={**os.environ, "MOUNT": mount})
    return run.returncode, [json.loads(line) for line in run.stdout.splitlines()], run.stderr


def superresolve(patient: Patient, out: Path) -> list[object]:
    return ["superresolve", patient.low, out, "--model", patient.model, "--fraction", FRACTION, "--threads", 1]


@needs_mount
def test_a_disk_that_is_too_small_is_noticed_before_the_work(patient: Patient, tmp_path: Path) -> None:
    disk, kept = tmp_path / "disk", tmp_path / "kept"
    size = 4 * SHAPE[0] * SHAPE[1] * SHAPE[2]  # one time point, uncompressed
    arguments = superresolve(patient, disk / "o.nii.gz")
    code, events, said = on_disk(f"mount -t tmpfs -o size={size} none", disk, kept, arguments)
    assert code == 2
    *_, sentence = said.splitlines()
    assert "takes at least 0.141 MiB on its disk" in sentence, "three time points twice, compressed to a quarter"
    assert not [event for event in events if event["event"] == "frame"]
    assert list(kept.iterdir()) == []


@needs_mount
def test_a_full_disk_keeps_what_is_finished(patient: Patient, tmp_path: Path) -> None:
    disk, kept = tmp_path / "disk", tmp_path / "kept"
    size = 4 * SHAPE[0] * SHAPE[1] * SHAPE[2]  # one time point, uncompressed
    mount = f"mount -t tmpfs -o size={2 * size + 2 * 4096 * 4} none"
    code, events, said = on_disk(mount, disk, kept, superresolve(patient, disk / "o.nii.gz"))
    assert code == 2
    *_, sentence = said.splitlines()
    assert "could not be written" in sentence
    assert sentence.endswith("free some space or choose another place.")
    assert "Traceback" not in said
    told = [Path(str(event["path"])).name for event in events if event["event"] == "frame"]
    frames = sorted((kept / "o.nii.gz.frames").glob("*.nii"))
    assert set(told) <= {frame.name for frame in frames}
    assert told
    for frame in frames:
        assert read_volume(frame).shape == SHAPE
    made = {file for frame in frames for file in (frame.name, frame.with_suffix(".sha256").name)}
    assert {path.name for path in kept.rglob("*")} == {"o.nii.gz.frames", "job.json", *made}


@needs_mount
@pytest.mark.parametrize("what", ["superresolve", "finetune", "downsample"])
def test_a_disk_that_cannot_be_written_to(patient: Patient, tmp_path: Path, what: str) -> None:
    """Root may write to any folder, but nobody to a disk that is mounted read-only."""
    disk, kept = tmp_path / "disk", tmp_path / "kept"
    arguments: dict[str, list[object]] = {
        "superresolve": superresolve(patient, disk / "o.nii.gz"),
        "finetune": [
            *("finetune", patient.static, "--fraction", FRACTION, "--model", patient.model),
            *("--output", disk / "m.safetensors"),
        ],
        "downsample": ["downsample", patient.static, disk / "o.nii.gz", "--fraction", FRACTION],
    }
    code, events, said = on_disk("mount -t tmpfs -o ro none", disk, kept, arguments[what])
    assert code == 2
    assert said.count("\n") == 1
    assert "Read-only file system" in said
    assert not [event for event in events if event["event"] in ("loss", "frame", "result")], (
        "found before the long work"
    )
    assert list(kept.iterdir()) == []


@pytest.mark.parametrize("gone", ["the frames", "the folder"])
def test_a_folder_that_goes_away_while_it_is_worked_in(patient: Patient, tmp_path: Path, gone: str) -> None:
    out = tmp_path / "results" / "o.nii.gz"
    out.parent.mkdir()
    words = [*superresolve(patient, out), "--stride", 4, 6, 8, "--progress", "json"]
    call = [sys.executable, "-m", "SRDynamicMRILib", *map(str, words)]
    with subprocess.Popen(call, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        assert run.stderr is not None
        for line in run.stdout:
            if json.loads(line)["event"] == "frame":
                # Moved at once, as deleting takes a moment in which more may be written.
                (out.parent if gone == "the folder" else Path(f"{out}.frames")).rename(tmp_path / "gone")
                break
        run.stdout.read()
        said = run.stderr.read()
    assert run.returncode == 2
    # ITK may say a line of its own, if the folder goes while it is about to write there.
    assert len([line for line in said.splitlines() if not line.startswith("** ERROR (nifti")]) == 1
    assert str(out) in said
    assert not out.exists()
