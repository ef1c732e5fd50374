"""``sr-dynamic-mri interpolate``: another grid, without learning."""

from __future__ import annotations

from ..api import interpolate
from ..io.files import check_room, open_series, read_series, write_images
from ..progress import Progress, counted
from ..requests import InterpolateRequest
from .outputs import Outputs, check_output_of


def run(request: InterpolateRequest, progress: Progress) -> Outputs:
    """Interpolate a volume or series to the grid of another volume."""
    check_output_of([request.input, request.like], request.output)
    series, like = read_series(request.input), open_series(request.like)
    check_room(request.output, like.geometry, len(series))
    result = interpolate(series, like, request.method, progress=progress)
    progress.stage("Interpolating")
    write_images(counted(result, progress), request.output)
    return {"output": request.output}
