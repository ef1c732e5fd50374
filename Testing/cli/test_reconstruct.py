"""``reconstruct``: what it writes of an ISMRMRD file, and what it refuses."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers.command_line import JSON, QUIET, Command
from helpers.kspace_files import small_scan
from helpers.patient import Patient
from ismrmrd import xsd

from SRDynamicMRILib.io.complex_images import read_complex
from SRDynamicMRILib.io.files import read_series
from SRDynamicMRILib.io.ismrmrd import read_ismrmrd
from SRDynamicMRILib.io.times import RECORD


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    """A file of two time points."""
    return small_scan(time_points=2).write(tmp_path / "k.h5")


def test_the_magnitude_with_its_sidecar(scan: Path, command: Command, tmp_path: Path) -> None:
    out = tmp_path / "m.nii.gz"
    outcome = command("reconstruct", scan, out, *JSON)
    assert outcome.code == 0
    images, _ = read_ismrmrd(scan)
    np.testing.assert_allclose([v.data for v in read_series(out)], [np.abs(image) for image in images], rtol=1e-5)
    assert read_series(out).geometry.same_grid(images.magnitude.geometry)
    facts = json.loads((tmp_path / "m.json").read_text())[RECORD]
    assert facts["kspace"]["acquired_matrix"] == [24, 32] and facts["full_matrix"] == [48, 64]
    assert facts["warnings"] == list(images.magnitude.warnings)
    assert "Acquired matrix 24x32 of 48x64; 4 coils combined." in outcome.messages()
    assert outcome.events[-1]["outputs"] == {"output": str(out)}


def test_the_phase_beside_it(scan: Path, command: Command, tmp_path: Path) -> None:
    out, phase = tmp_path / "m.nii.gz", tmp_path / "p.seq.nrrd"
    assert command("reconstruct", scan, out, "--phase-output", phase, *QUIET).code == 0
    images, _ = read_ismrmrd(scan)
    np.testing.assert_allclose(list(read_complex(out, phase)), list(images), rtol=1e-3, atol=1e-2)


def test_complex_images(scan: Path, command: Command, tmp_path: Path) -> None:
    out = tmp_path / "c.nii.gz"
    assert command("reconstruct", scan, out, "--complex", *QUIET).code == 0
    images, _ = read_ismrmrd(scan)
    np.testing.assert_allclose(list(read_complex(out)), list(images), rtol=1e-3, atol=1e-2)


def test_the_images_can_be_super_resolved(scan: Path, patient: Patient, command: Command, tmp_path: Path) -> None:
    low, high = tmp_path / "m.nii.gz", tmp_path / "result.nii.gz"
    assert command("reconstruct", scan, low, *QUIET).code == 0
    assert command("superresolve", low, high, "--model", patient.model, *QUIET).code == 0
    assert read_series(high).geometry.shape == (2, 48, 64)


def radial(path: Path) -> Path:
    made = small_scan()
    made.encoding.trajectory = xsd.trajectoryType.RADIAL
    return made.write(path)


def undersampled(path: Path) -> Path:
    made = small_scan()
    made.keep(lambda line: line.idx.kspace_encode_step_1 != 7)
    return made.write(path)


def damaged(path: Path) -> Path:
    path = small_scan().write(path)
    path.write_bytes(path.read_bytes()[:3000])
    return path


def image(path: Path) -> Path:
    path.write_bytes(b"no HDF5")
    return path


BAD_FILES = {
    "radial": (radial, "has a radial trajectory"),
    "undersampled": (undersampled, "is undersampled"),
    "damaged": (damaged, "damaged"),
    "no HDF5": (image, "damaged or not an ISMRMRD file"),
    "missing": (lambda path: path, "There is no file or folder"),
}


@pytest.mark.parametrize(("make", "phrase"), BAD_FILES.values(), ids=list(BAD_FILES))
def test_a_bad_file(make: object, phrase: str, command: Command, tmp_path: Path) -> None:
    path = make(tmp_path / "k.h5")  # type: ignore[operator]
    before = sorted(tmp_path.iterdir())
    outcome = command("reconstruct", path, tmp_path / "o.nii.gz", *QUIET)
    assert outcome.code == 2 and phrase in outcome.err and outcome.err.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("arguments", "phrase"),
    [
        (("k.h5",), "has no file type that can be written"),
        (("m.jpeg",), "has no file type that can be written"),
        (("m.nrrd", "--complex"), "Complex images are written as NIfTI"),
        (("m.nii", "--complex", "--phase-output", "p.nii"), "not allowed with"),
        (("m.nii", "--phase-output", "m.nii"), "would replace"),
        (("m.nii", "--phase-output", "k.json"), "has no file type"),
        (("none/m.nii",), "There is no folder"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_bad_outputs(
    arguments: tuple[str, ...], phrase: str, scan: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(scan.parent)
    before = scan.read_bytes()
    outcome = command("reconstruct", "k.h5", *arguments, *QUIET)
    assert outcome.code == 2 and phrase in outcome.err and outcome.err.count("\n") == 1
    assert [file.name for file in scan.parent.iterdir()] == ["k.h5"] and scan.read_bytes() == before


def test_without_the_extra(scan: Path, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("h5py", "ismrmrd", "ismrmrd.xsd"):
        monkeypatch.setitem(sys.modules, name, None)
    outcome = command("reconstruct", scan, tmp_path / "o.nii.gz", *QUIET)
    assert outcome.code == 2 and 'pip install "SRDynamicMRI[kspace]"' in outcome.err
