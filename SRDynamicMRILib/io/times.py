"""When the time points of a series were acquired: what image files and their sidecars say of it, and which are chosen.

One rule for all formats: times count only if there is one for every time point, all finite and ascending.
Otherwise the time points keep the order they have and are numbered 0, 1, 2, ... s.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import cast

import numpy as np
import SimpleITK as sitk

from ..errors import InputError
from .paths import read_bounded

_SECONDS = {"s": 1.0, "sec": 1.0, "ms": 1e-3, "msec": 1e-3, "us": 1e-6, "usec": 1e-6, "min": 60.0}
_ABOUT_TIME = re.compile(r"axis \d index values|NRRD_units\[(3|pixel)\]|MultiVolume\.\w+", re.ASCII)
_KEY = "VolumeTiming"

FOLDER_SIDECAR = "series.json"
"""Name of the sidecar in a folder of volumes."""

RECORD = "SRDynamicMRI"
"""Key of a sidecar under which this software says how an image was made."""

_OF_IMAGES = frozenset(
    f"""
    {RECORD} {_KEY} AcquisitionDateTime AcquisitionDuration AcquisitionMatrixPE AcquisitionNumber AcquisitionTime
    BaseResolution BodyPart BodyPartExamined CoilString ConversionSoftware ConversionSoftwareVersion DelayTime
    DeviceSerialNumber DwellTime EchoNumber EchoTime EchoTrainLength EffectiveEchoSpacing FlipAngle FrameDuration
    FrameTimesStart GeneratedBy ImageComments ImageOrientationPatientDICOM ImageType ImagingFrequency
    InPlanePhaseEncodingDirectionDICOM InstitutionName InstitutionalDepartmentName InversionTime MRAcquisitionType
    MagneticFieldStrength Manufacturer ManufacturersModelName Modality ParallelReductionFactorInPlane PartialFourier
    PatientPosition PhaseEncodingDirection PhaseEncodingSteps PixelBandwidth ProcedureStepDescription ProtocolName
    PulseSequenceDetails PulseSequenceName PulseSequenceType RawSources ReceiveCoilName ReconMatrixPE RepetitionTime SAR
    ScanOptions ScanningSequence SequenceName SequenceVariant SeriesDescription SeriesInstanceUID SeriesNumber
    SkullStripped SliceThickness SliceTiming SoftwareVersions SpacingBetweenSlices SpatialReference StationName
    StudyInstanceUID TaskName TotalReadoutTime
    """.split()
)
"""Keys that tell the sidecar of an image from other JSON: this software's, BIDS' and dcm2niix's."""


def usable_times(times: Sequence[float], count: int) -> list[float]:
    """Return the times if they are `count` finite, ascending numbers, otherwise nothing."""
    good = len(times) == count and all(map(math.isfinite, times)) and all(a < b for a, b in pairwise(times))
    return list(times) if good else []


def numbered(count: int) -> list[float]:
    """Return times for a series that has none: 0, 1, 2, ... s."""
    return [float(number) for number in range(count)]


def index_times(header: sitk.ImageFileReader, count: int) -> list[float]:
    """Return the times in seconds that Slicer wrote into an image file; empty if there are none to use.

    Slicer's Sequences module keeps them in the key ``axis 3 index values`` (0 where the list axis is the
    first) with the unit in the list axis' unit; its older MultiVolume in ``MultiVolume.FrameLabels``. An
    unknown unit is taken for seconds.

    Parameters
    ----------
    header
        Reader of the file, its header read.
    count
        Number of time points.
    """
    metadata = {key: header.GetMetaData(key) for key in header.GetMetaDataKeys() if _ABOUT_TIME.fullmatch(key)}
    values = next((v for k, v in metadata.items() if re.fullmatch(r"axis \d index values", k)), None)
    units = next((v for k, v in metadata.items() if re.fullmatch(r"NRRD_units\[(3|pixel)\]", k)), "")
    if values is None:
        values = metadata.get("MultiVolume.FrameLabels", "").replace(",", " ")
        units = metadata.get("MultiVolume.FrameIdentifyingDICOMTagUnits", "")
    seconds = index_seconds(values.split(), units)
    return seconds if len(seconds) == count else []


def index_seconds(values: Sequence[str], unit: str) -> list[float]:
    """Return the index values of a sequence in seconds; empty if they are not ascending numbers.

    Parameters
    ----------
    values
        One for every time point, as text.
    unit
        Of the values; an unknown one is taken for seconds.
    """
    try:
        numbers = [float(word) for word in values]
    except ValueError:
        return []
    scale = _SECONDS.get(unit.strip().lower(), 1.0)
    return usable_times([number * scale for number in numbers], len(numbers))


def axis_times(header: sitk.ImageFileReader, count: int) -> list[float]:
    """Return the times in seconds that origin and spacing of the fourth axis give; empty for a 3D image.

    ITK has already turned NIfTI's milliseconds and microseconds into seconds.
    """
    if header.GetDimension() != 4:
        return []
    start, step = header.GetOrigin()[3], header.GetSpacing()[3]
    if header.GetImageIO() == "NiftiImageIO":
        # NIfTI keeps float32: the shortest number that rounds to it is the one that was meant.
        start, step = float(str(np.float32(start))), float(str(np.float32(step)))
    return usable_times([start + step * number for number in range(count)], count)


def frame_ranges(text: str | None) -> list[slice]:
    """Time points named by a list of ``A:B`` (from A to before B, as in Python) and ``A``; all if there is no list.

    Raises
    ------
    InputError
        If the text is no such list, or not in ascending order and without repeats.
    """
    if text is None:
        return [slice(0, None)]
    ranges: list[slice] = []
    for part in text.split(","):
        match = re.fullmatch(r"(\d*)(:?)(\d*)", part)
        if not match or part in ("", ":"):
            message = f"Give time points as 0:5, 3 or 0:3,5:9, not as {text!r}."
            raise InputError(message)
        first = int(match[1] or 0)
        last = first + 1 if not match[2] else int(match[3]) if match[3] else None
        if ranges and (ranges[-1].stop is None or first < ranges[-1].stop):
            message = f"Give time points in ascending order and only once each, such as 0:3,5:9, not as {text!r}."
            raise InputError(message)
        ranges.append(slice(first, last))
    return ranges


def frame_numbers(text: str | None, count: int) -> list[int]:
    """Numbers of the time points that `frame_ranges` names in a series of `count`.

    Raises
    ------
    InputError
        If the text names none, or time points that do not exist.
    """
    numbers: list[int] = []
    for part in frame_ranges(text):
        stop = count if part.stop is None else part.stop
        if not part.start < stop <= count:
            message = f"Time points {text} do not exist: the series has {count}, numbered from 0 to {count - 1}."
            raise InputError(message)
        numbers += range(part.start, stop)
    return numbers


def frames_text(numbers: Sequence[int]) -> str:
    """The list that `frame_numbers` reads as these ascending numbers."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1]:
            runs[-1][1] += 1
        else:
            runs.append([number, number + 1])
    return ",".join(str(first) if stop == first + 1 else f"{first}:{stop}" for first, stop in runs)


def fit_an_axis(times: Sequence[float]) -> bool:
    """Whether an origin and a spacing say all about these times.

    A single time point fits only at 0, because formats drop a fourth axis of length 1.
    """
    if len(times) == 1:
        return times[0] == 0.0
    even = np.linspace(times[0], times[-1], len(times))
    step = (times[-1] - times[0]) / (len(times) - 1)
    return bool(np.abs(even - times).max() <= 1e-6 * step)


def sidecar_of(path: Path) -> Path:
    """JSON file that belongs to an image file: the same name with another ending, as in BIDS."""
    return path.with_name(Path(path.name.removesuffix(".gz")).stem + ".json")


def read_sidecar(path: Path) -> dict[str, object]:
    """Content of a JSON sidecar; empty if there is none or it is something else."""
    try:
        content = json.loads(read_bounded(path).decode("utf-8"))
    except (OSError, ValueError, RecursionError):  # the latter from absurdly nested JSON
        return {}
    return content if isinstance(content, dict) else {}


def sidecar_times(path: Path, count: int) -> list[float]:
    """Return the times in seconds of a sidecar's ``VolumeTiming`` (BIDS); empty if there are none to use."""
    values = read_sidecar(path).get(_KEY)
    if not isinstance(values, list) or not all(type(value) in (int, float) for value in values):
        return []
    with suppress(OverflowError):  # an integer beyond all floats
        return usable_times([float(value) for value in values], count)
    return []


def check_sidecar(path: Path) -> None:
    """Raise `InputError` if writing a sidecar would lose a file of that name that describes no image."""
    if not path.exists() and not path.is_symlink():
        return
    content: object = None
    with suppress(OSError, ValueError, RecursionError):
        content = json.loads(read_bounded(path).decode("utf-8"))
    ours = isinstance(content, dict) and not any(key.endswith(("@schema", "$schema")) for key in content)
    if not ours or (content and not _OF_IMAGES.intersection(cast("dict[str, object]", content))):
        message = (
            f"{path} would be replaced by the description of the output, but is another kind of file; "
            "choose another name for the output."
        )
        raise InputError(message)


def others_facts(path: Path) -> dict[str, object]:
    """What others have written into a sidecar: all but how and when an image of this software's was made."""
    return {key: value for key, value in read_sidecar(path).items() if key not in (RECORD, _KEY)}


def write_sidecar(path: Path, facts: Mapping[str, object], times: Sequence[float] = ()) -> None:
    """Write a sidecar with some facts and, if given, ``VolumeTiming`` in seconds."""
    content = {**facts, _KEY: list(times)} if times else dict(facts)
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def belies(sidecar: Mapping[str, object]) -> bool:
    """Whether a sidecar says how or when an image was made, which is untrue once another takes its place."""
    return _KEY in sidecar or RECORD in sidecar
