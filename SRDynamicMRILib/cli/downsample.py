"""``sr-dynamic-mri downsample``: what a shorter acquisition would have given."""

from __future__ import annotations

from ..acquisition.acquisition import downsample
from ..acquisition.matrices import check_fraction
from ..io.files import check_room, read_series, write_images
from ..progress import Progress, counted, tell
from ..requests import DownsampleRequest
from .outputs import Outputs, check_output_of


def run(request: DownsampleRequest, progress: Progress) -> Outputs:
    """Keep the centre of k-space of a volume or series."""
    check_fraction(request.fraction)
    check_output_of([request.input], request.output)
    series = read_series(request.input)
    result = downsample(series, request.fraction)
    geometry = result.geometry
    full, size = series.geometry.shape[1:], geometry.shape[1:]
    check_room(request.output, geometry, len(series))
    progress.stage("Downsampling")
    told = tell(series.warnings, progress)
    facts = {"fraction": request.fraction, "full_matrix": list(full), "warnings": told}
    write_images(counted(result, progress).with_facts(**facts), request.output)
    progress.log(
        f"{full[0]}x{full[1]} became {size[0]}x{size[1]}, voxels of "
        f"{geometry.spacing[0]:.2f} x {geometry.spacing[1]:.2f} x {geometry.spacing[2]:.2f} mm."
    )
    return {"output": request.output}
