"""Folders of DICOM slices."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK as sitk
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian

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


def recode(path: Path, syntax: str, pixels: int | None = None) -> None:
    """Write a file with another transfer syntax, perhaps with fewer bytes of pixels."""
    image = pydicom.dcmread(path)
    if syntax == ExplicitVRBigEndian:
        image.PixelData = np.frombuffer(image.PixelData, "<i2").astype(">i2").tobytes()
    image.PixelData = image.PixelData[:pixels]
    image.file_meta.TransferSyntaxUID = syntax
    pydicom.dcmwrite(
        path,
        image,
        implicit_vr=syntax == ImplicitVRLittleEndian,
        little_endian=syntax != ExplicitVRBigEndian,
        force_encoding=True,
    )
