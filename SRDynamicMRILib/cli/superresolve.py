"""``sr-dynamic-mri superresolve``: a series in high resolution."""

from __future__ import annotations

from pathlib import Path

from ..acquisition.complex_image import complex_consistency_maps
from ..acquisition.consistency import consistency_maps
from ..api import prepare_super_resolution
from ..complex_series import ComplexSeries
from ..inference.series import FrameFolder
from ..inference.suited import keeps_acquired
from ..io.complex_images import open_images
from ..io.files import beside, check_room, open_series, write_images
from ..io.times import frame_numbers
from ..process.distributed import is_first
from ..progress import Progress
from ..requests import SuperResolveRequest
from ..volume import Series
from .outputs import Outputs, alone_at_output, check_output_of, frames_folder


@alone_at_output(frames_folder)
def run(request: SuperResolveRequest, progress: Progress) -> Outputs:
    """Super-resolve a volume or series."""
    frames = FrameFolder.beside(request.output)
    check_output_of([request.input, request.phase, request.like, request.prior], request.output, frames.path)
    series = open_images(request.input, request.phase)
    job = prepare_super_resolution(
        series,
        request.model,
        prior=_opened(request.prior),
        like=_opened(request.like),
        fraction=request.fraction,
        acquired_matrix=request.acquired_matrix,
        noise=request.noise,
        window=request.window,
        magnitude=False if request.signed else request.magnitude,
        fast=request.fast,
        frames=frame_numbers(request.frames, len(series)),
        skip_unusable=request.skip_unusable,
        stride=request.stride,
        precision=request.precision,
        device=request.device,
        progress=progress,
    )
    map_file = _consistency_map_file(request, keeps_acquired(job.model, job.acquisition))
    check_room(request.output, job.grid, len(job.numbers), frames.path)
    result = job.run(frames, resume=request.resume, shared=True).with_facts(seed=request.seed)
    if not is_first():  # all have made the time points, one writes what they add up to
        return {}
    progress.stage("Writing")
    outputs = {"output": request.output}
    if map_file is not None:
        if isinstance(job.acquired, ComplexSeries):
            maps = complex_consistency_maps(result, job.acquired, job.acquisition)
        else:
            maps = consistency_maps(result, job.acquired, job.acquisition)
        write_images(maps.with_facts(image="data-consistency map", model=job.model.sha256), map_file)
        outputs["data-consistency map"] = map_file
    write_images(result, request.output)
    if progress.watched:  # whoever watches may still be reading the frames: they are theirs now
        return {**outputs, "frames": frames.path}
    frames.remove()
    return outputs


def _opened(path: Path | None) -> Series | None:
    return None if path is None else open_series(path)


def _consistency_map_file(request: SuperResolveRequest, acquired_is_kept: bool) -> Path | None:
    """Where the map goes: where the user wants it, and always where a result may differ from what was acquired."""
    path = request.consistency_map
    if path is None and not acquired_is_kept:
        path = beside(request.output, "consistency")
    if path is not None:
        inputs = [request.input, request.phase, request.like, request.prior]
        check_output_of([*inputs, request.output, frames_folder(request.output)], path)
    return path
