"""Who the patient is stays in the images that were given: nothing of it is in any output, message or event."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from helpers.command_line import Command
from helpers.patient import FRACTION, SHAPE, SPACING, TIME_POINTS, Patient

from SRDynamicMRILib.acquisition.acquisition import downsample
from SRDynamicMRILib.io.files import read_series
from SRDynamicMRILib.io.times import sidecar_of
from SRDynamicMRILib.phantom import abdomen
from SRDynamicMRILib.volume import Series

IDENTIFIERS = {
    "0008|0050": "ZQACCESSION",
    "0008|0080": "ZQHOSPITAL",
    "0008|0081": "ZQSTREET",
    "0008|0090": "ZQREFERRER^A",
    "0008|1010": "ZQSTATION",
    "0008|1030": "ZQSTUDY",
    "0008|103e": "ZQSERIES",
    "0008|1050": "ZQPHYSICIAN^B",
    "0008|1070": "ZQOPERATOR^C",
    "0010|0010": "ZQFAMILY^ZQGIVEN",
    "0010|0020": "ZQ4711",
    "0010|0030": "19410203",
    "0010|1040": "ZQADDRESS",
    "0010|4000": "ZQCOMMENT",
    "0018|1000": "ZQSERIAL",
    "0020|0010": "ZQSTUDYID",
    "0020|4000": "ZQREMARK",
    "0040|0254": "ZQPROCEDURE",
}
MARKS = [value.encode() for value in (*IDENTIFIERS.values(), "ZQFAMILY", "ZQGIVEN")]


def write_dicom(series: Series, folder: Path) -> Path:
    """A DICOM folder that a scanner might have sent, in a place that is named after the patient."""
    folder.mkdir(parents=True)
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    geometry = series.geometry
    direction = np.reshape(geometry.direction, (3, 3))
    for time, volume in enumerate(series):
        for level, pixels in enumerate(volume.data):
            image = sitk.GetImageFromArray(np.round(10 * pixels).clip(0, 32767).astype(np.int16)[None])
            image.SetSpacing(geometry.spacing)
            values = {
                "0008|0060": "MR",
                "0008|0016": "1.2.840.10008.5.1.4.1.1.4",  # MR Image Storage
                "0008|0018": f"1.2.3.{time}.{level}",
                "0020|000d": "1.2.3",
                "0020|000e": "1.2.4",
                "0018|1060": f"{500 * time}",
                "0020|0037": "\\".join(f"{value:.8f}" for value in direction[:, :2].T.ravel()),
                "0020|0032": "\\".join(f"{value:.6f}" for value in geometry.position((0, 0, level))),
                **IDENTIFIERS,
            }
            for key, value in values.items():
                image.SetMetaData(key, value)
            writer.SetFileName(str(folder / f"ZQFAMILY_{time:02d}_{level:02d}.dcm"))
            writer.Execute(image)
    return folder


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, Path]:
    phantom = abdomen(1, SHAPE, SPACING, TIME_POINTS)
    series = {
        "planning": Series.of([phantom.static]),
        "truth": phantom.dynamic,
        "low": Series.of([downsample(volume, FRACTION) for volume in phantom.dynamic], phantom.dynamic.times),
    }
    place = tmp_path / "ZQFAMILY_ZQGIVEN"
    return {name: write_dicom(one, place / name) for name, one in series.items()}


def content(path: Path) -> bytes:
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


def test_the_identifiers_are_in_what_is_read(folders: dict[str, Path]) -> None:
    files = list(folders["planning"].iterdir())
    assert len(files) == SHAPE[0]
    assert len(read_series(folders["low"])) == TIME_POINTS
    for value in IDENTIFIERS.values():
        assert value.encode() in content(files[0])


@pytest.mark.parametrize(("ending", "progress"), [(".nii.gz", "json"), (".seq.nrrd", "bar")])
@pytest.mark.usefixtures("few_steps")
def test_they_are_in_nothing_that_comes_out(
    command: Command, patient: Patient, tmp_path: Path, folders: dict[str, Path], ending: str, progress: str
) -> None:
    out = tmp_path / "outputs"
    out.mkdir()
    model, result, easy = out / "m.safetensors", out / f"sr{ending}", out / f"zf{ending}"
    planning, low, truth = folders["planning"], folders["low"], folders["truth"]
    commands = (
        ("finetune", planning, "--like", low, "--output", model, "--model", patient.model, "--budget", "quick"),
        ("superresolve", low, result, "--model", model, "--like", planning, "--consistency-map", out / f"map{ending}"),
        ("interpolate", low, easy, "--like", planning, "--method", "zero_filled"),
        ("downsample", truth, out / f"down{ending}", "--fraction", FRACTION),
        ("evaluate", result, truth, "--baseline", f"zero-filled={easy}", "--output", out / "evaluation"),
        ("info", model),
    )
    for arguments in commands:
        outcome = command(*arguments, "--progress", progress)
        assert outcome.code == 0, outcome.err
        said = (outcome.out + outcome.err).encode()
        assert said
        assert not [mark for mark in MARKS if mark in said], said
    files = [path for path in out.rglob("*") if path.is_file()]
    names = {path.name for path in files}
    assert {"m.safetensors", result.name, sidecar_of(result).name, "report.html", "metrics.csv"} <= names
    for path in files:
        assert not [mark for mark in MARKS if mark in content(path)], path.name
