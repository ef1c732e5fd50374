"""``sr-dynamic-mri downsample``: what a shorter acquisition would have given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..acquisition.matrices import size_in_words
from ..acquisition.scanner import ScanSettings, simulate
from ..acquisition.windows import Window
from ..errors import InputError
from ..io.files import check_room, read_series, write_images
from ..progress import Progress, counted, tell
from ..requests import DownsampleRequest
from .outputs import Outputs, check_output_of


def run(request: DownsampleRequest, progress: Progress) -> Outputs:
    """Keep the centre of k-space of a volume or series, as a scanner would have stored it."""
    settings = _settings(request)
    check_output_of([request.input, request.phase], request.output)
    series = read_series(request.input)
    phase = None if request.phase is None else read_series(request.phase)
    result = simulate(series, settings, phase=phase, seed=request.seed)
    geometry = result.geometry
    check_room(request.output, geometry, len(series))
    progress.stage("Downsampling")
    told = tell([*series.warnings, *(phase.warnings if phase else ())], progress)
    write_images(counted(result, progress).with_facts(warnings=told), request.output)
    progress.log(
        f"{size_in_words(series.geometry.shape[1:])} became {size_in_words(geometry.shape[1:])}, voxels of "
        f"{geometry.spacing[0]:.2f} x {geometry.spacing[1]:.2f} x {geometry.spacing[2]:.2f} mm."
    )
    if simulated := _in_words(result.facts["simulated"]):
        progress.log(simulated)
    return {"output": request.output}


def _settings(request: DownsampleRequest) -> ScanSettings:
    separate = request.fraction_rows is not None or request.fraction_columns is not None
    if separate == (request.fraction is not None):
        raise InputError(
            "Give either --fraction, the fraction of k-space to keep, or --fraction-rows and --fraction-columns."
        )
    given: dict[str, Any] = {
        "snr": request.snr,
        "store": request.store,
        "window": None if request.window is None else Window.named(request.window),
        "simulate_phase": request.simulate_phase or None,
        "magnitude": request.magnitude or None,
    }
    make = ScanSettings.like_scanner if request.like_scanner else ScanSettings
    return make(
        fraction=request.fraction,
        fraction_rows=request.fraction_rows,
        fraction_columns=request.fraction_columns,
        shutter=request.shutter,
        partial_fourier=request.partial_fourier,
        **{name: value for name, value in given.items() if value is not None},
    )


def _in_words(simulated: Mapping[str, Any]) -> str:
    """What was simulated beside the cut, in a sentence; empty if nothing was."""
    parts = []
    if simulated["stored_matrix"] != simulated["acquired_matrix"]:
        parts.append(f"an acquired matrix of {size_in_words(tuple(simulated['acquired_matrix']))}")
    if simulated["shutter"] != "rectangle":
        parts.append(f"the sampling pattern {simulated['shutter']}")
    if simulated["partial_fourier"] != 1:
        parts.append(f"partial Fourier of {simulated['partial_fourier']:g}")
    if simulated["window"] != "none":
        parts.append(f"the window {simulated['window']}")
    if simulated["snr"] is not None:
        parts.append(f"an SNR of {simulated['snr']:g} (SD of the noise {simulated['noise']:.4g})")
    if simulated["phase"] != "none":
        parts.append(f"a {simulated['phase']} phase")
    if simulated["magnitude"]:
        parts.append("magnitudes")
    if simulated["bits"] is not None:
        parts.append(f"{simulated['bits']} bits")
    return f"Simulated: {', '.join(parts)}." if parts else ""
