"""``sr-dynamic-mri train``: main training."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from ..acquisition.matrices import check_fraction
from ..models.checkpoints import load_model, save_model
from ..models.pretrained import PERCEPTUAL_NETWORK, pretrained_file
from ..models.recipes import recipe_named
from ..process.devices import device_named
from ..process.distributed import is_first
from ..progress import Progress
from ..requests import TrainRequest
from ..training.main_training import MainTraining, train
from ..training.tensorboard import TensorBoardProgress
from .outputs import Outputs, alone_at_output, check_model_output, state_file


@alone_at_output(state_file)
def run(request: TrainRequest, progress: Progress) -> Outputs:
    """Train a base model, or one for each fraction."""
    for fraction in request.fractions:
        check_fraction(fraction)
    check_model_output(request.output)
    recipe = recipe_named(request.recipe)
    recipe = replace(
        recipe,
        features=recipe.features if request.features is None else request.features,
        batch=recipe.batch if request.batch is None else request.batch,
        learning_rate=recipe.learning_rate if request.learning_rate is None else request.learning_rate,
    )
    device = device_named(request.device)
    start = load_model(request.model) if request.model else None
    task = MainTraining(
        folders=request.data,
        synthetic=request.synthetic,
        weights=request.weights,
        fractions=request.fractions,
        steps=request.steps,
        seed=request.seed,
        validation_share=request.validation_share,
        validate_every=request.validate_every,
        patience=request.patience,
        precision=request.precision,
    )
    tasks = {request.output: task}
    if request.each_fraction:
        tasks = {
            request.output.with_stem(f"{request.output.stem}_{fraction:g}"): replace(task, fractions=[fraction])
            for fraction in request.fractions
        }
    for one in tasks.values():  # each may take hours
        one.check(recipe)
    for output, one in tasks.items():
        if request.resume and len(tasks) > 1 and output.exists() and not state_file(output).exists():
            progress.log(f"{output} already exists and is kept.")
            continue
        folder = request.tensorboard
        with _curves(folder / output.stem if folder and len(tasks) > 1 else folder, progress) as listener:
            model = train(
                one,
                recipe,
                device,
                listener,
                state_file(output),
                request.resume,
                request.perceptual_network or pretrained_file(PERCEPTUAL_NETWORK),
                start,
            )
        if is_first():
            save_model(model, output, half_precision=request.half_precision)
            state_file(output).unlink(missing_ok=True)
    return {"model": request.output} if len(tasks) == 1 else {output.stem: output for output in tasks}


@contextmanager
def _curves(folder: Path | None, progress: Progress) -> Iterator[Progress]:
    """The progress, drawn by TensorBoard too if a folder is given."""
    if folder is None or not is_first():
        yield progress
        return
    with TensorBoardProgress(folder, progress) as listener:
        yield listener
