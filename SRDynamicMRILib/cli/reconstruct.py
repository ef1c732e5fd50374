"""``sr-dynamic-mri reconstruct``: images of the k-space of an ISMRMRD file."""

from __future__ import annotations

from ..acquisition.matrices import size_in_words
from ..complex_series import ComplexSeries
from ..errors import InputError
from ..io.complex_images import check_complex_output, write_complex
from ..io.files import check_apart, check_room, write_images
from ..io.ismrmrd import read_ismrmrd
from ..progress import Progress, counted, tell
from ..requests import ReconstructRequest
from .outputs import Outputs, check_output_of


def run(request: ReconstructRequest, progress: Progress) -> Outputs:
    """Write the magnitude, and the phase where it is asked for, or complex images."""
    if request.complex_output and request.phase_output is not None:
        raise InputError("Complex images hold the phase; give either --complex or --phase-output.")
    outputs = {"output": request.output}
    if request.phase_output is not None:
        outputs["phase"] = request.phase_output
        check_apart([request.phase_output], [request.output])
    for output in outputs.values():
        check_output_of([request.input], output)
    if request.complex_output:
        check_complex_output(request.output)
    progress.stage("Reconstructing")
    images, acquired = read_ismrmrd(request.input)
    images = images.with_facts(warnings=tell(images.magnitude.warnings, progress))
    for output in outputs.values():
        check_room(output, images.magnitude.geometry, len(images))
    if request.complex_output:
        write_complex(ComplexSeries(counted(images.magnitude, progress), images.phase), request.output)
    else:
        write_images(counted(images.magnitude, progress), request.output)
        if request.phase_output is not None:
            write_images(images.phase, request.phase_output)
    noise = "" if acquired.noise is None else ", in units of the noise"
    progress.log(
        f"Acquired matrix {size_in_words(acquired.acquired_matrix)} of {size_in_words(acquired.full_matrix)}; "
        f"{acquired.coils} coil{'' if acquired.coils == 1 else 's'} combined{noise}."
    )
    return outputs
