"""``sr-dynamic-mri finetune``: a network for one patient."""

from __future__ import annotations

from ..api import fine_tune
from ..errors import InputError
from ..io.complex_images import open_images
from ..io.files import read_volume
from ..models.checkpoints import save_model
from ..progress import Progress
from ..requests import FineTuneRequest
from .outputs import Outputs, alone_at_output, check_model_output, state_file


@alone_at_output(state_file)
def run(request: FineTuneRequest, progress: Progress) -> Outputs:
    """Fine-tune a model on the planning scan."""
    check_model_output(request.output)
    sign = request.signed or None, request.magnitude
    given = (request.acquired_matrix, request.noise, request.window, *sign, request.fat)
    if any(each is not None for each in given) and request.series is None:
        raise InputError("How a series was acquired needs the series; give the series too, with --like.")
    if request.phase is not None and request.series is None:
        raise InputError("A phase needs the magnitude that it belongs to; give that too, with --like.")
    prior = read_volume(request.prior)
    model = fine_tune(
        prior,
        None if request.series is None else open_images(request.series, request.phase),
        fraction=request.fraction,
        acquired_matrix=request.acquired_matrix,
        noise=request.noise,
        window=request.window,
        magnitude=False if request.signed else request.magnitude,
        fat=request.fat,
        model=request.model,
        budget=request.budget,
        keep_contrast=request.keep_contrast,
        precision=request.precision,
        perceptual_network=request.perceptual_network,
        seed=request.seed,
        device=request.device,
        progress=progress,
        state_file=state_file(request.output),
        resume=request.resume,
    )
    save_model(model, request.output)
    state_file(request.output).unlink(missing_ok=True)
    return {"model": request.output}
