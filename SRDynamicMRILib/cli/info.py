"""``sr-dynamic-mri info``: what is known about a model, or about an image and how it was acquired."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Any

from ..acquisition.complex_recognition import recognise_complex
from ..acquisition.recognise import RecognisedAcquisition, recognise_acquisition
from ..complex_series import ComplexSeries
from ..io.complex_images import open_images
from ..models.checkpoints import load_model
from ..progress import JsonProgress, Progress
from ..requests import InfoRequest
from .outputs import Outputs

_MODEL = ".safetensors"


def run(request: InfoRequest, progress: Progress) -> Outputs:
    """Print what is known about a model, volume or series."""
    if request.file.suffix == _MODEL:
        text = json.dumps(_of_model(request), indent=None if isinstance(progress, JsonProgress) else 2)
    else:
        text = _of_images(request, as_json=request.json or isinstance(progress, JsonProgress))
    if isinstance(progress, JsonProgress):
        progress.log(text)
    else:
        sys.stdout.write(text + "\n")
    return {}


def _of_model(request: InfoRequest) -> dict[str, Any]:
    model = load_model(request.file)
    prior = None if model.prior is None else {"sha256": model.prior.sha256, "copy": model.prior.volume.shape}
    return {
        "file": str(request.file),
        "sha256": model.sha256,
        "parameters": sum(p.numel() for p in model.network.parameters()),
        **asdict(model.info),
        "planning_scan": prior,
    }


def _of_images(request: InfoRequest, *, as_json: bool) -> str:
    images = open_images(request.file)
    acquired: RecognisedAcquisition
    if isinstance(images, ComplexSeries):
        series, acquired = images.magnitude, recognise_complex(images)
    else:
        series, acquired = images, recognise_acquisition(images)
    warnings = [*series.warnings, *acquired.warnings]
    depth, rows, columns = series.geometry.shape
    if as_json:
        facts = {
            "file": str(request.file),
            "time_points": len(series),
            "shape": [depth, rows, columns],
            "spacing": list(series.geometry.spacing),
            "times": list(series.times),
            **acquired.facts(),
            "warnings": warnings,
        }
        return json.dumps(facts)
    x, y, z = series.geometry.spacing
    number = "A volume" if len(series) == 1 else f"A series of {len(series)} time points"
    size = f"{number} of {depth} slices of {rows}x{columns} voxels, {x:.4g} x {y:.4g} x {z:.4g} mm."
    return "\n".join([size, acquired.in_words(), *(f"Warning: {warning}" for warning in warnings)])
