"""What each command of the command line does; `cli` reads its arguments."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from argparse import Namespace
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from ..acquisition.consistency import fidelity_maps, in_words
from ..acquisition.interpolation import high_resolution_grid, interpolate
from ..acquisition.kspace import check_fraction, downsample, low_resolution_size
from ..acquisition.recognise import AcquiredMatrix, at_acquired_matrix, recognise_acquired_matrix
from ..benchmark.folder import BenchmarkFolder
from ..benchmark.run import Benchmark, find_subjects, run_benchmark
from ..demo import run_demo
from ..errors import InputError
from ..evaluation.evaluation import align, write_json
from ..evaluation.outputs import RESULT, write_evaluation
from ..inference.intensities import unusual
from ..inference.model_choice import inference_of, kept_share, model_and_grid, other_fraction
from ..inference.series import FrameFolder, super_resolve_series, unfaithful, usable_time_points
from ..io.described_images import write_images
from ..io.files import (
    beside,
    check_room,
    file_name,
    only_volume,
    open_series,
    read_series,
    write_series,
    write_volume,
)
from ..io.locking import alone
from ..io.paths import make_folder
from ..io.sidecar import NOTICE, check_acquired, recorded_frames
from ..io.times import frame_numbers, frame_ranges, frames_text
from ..models.budgets import budget_named
from ..models.checkpoints import Model, load_model, save_model
from ..models.import_checkpoint import import_checkpoint
from ..models.pretrained import PERCEPTUAL_NETWORK, base_model, shipped_file, start_model
from ..models.prior_copy import PriorCopy, voxels_sha256
from ..models.recipes import recipe_named
from ..phantom import abdomen
from ..prior.similarity import SIMILARITY, Fit, fit_of, misfit, spread
from ..process.devices import device_named
from ..process.distributed import is_first
from ..progress import JsonProgress, Progress
from ..training.fine_tuning import (
    STRENGTH_OF_POOR_FIT,
    adapt_prior,
    check_detail,
    fine_tune,
    kept_by_fraction,
    kept_size,
    match_prior,
)
from ..training.main_training import MainTraining, train
from ..training.tensorboard import TensorBoardProgress
from ..training.vessel_training import VesselTraining, save_encoder, train_vessel_network, unseen_dice
from ..volume import FloatArray, Series, Volume
from .outputs import (
    Command,
    Outputs,
    alone_at_output,
    check_model_output,
    check_output_of,
    frames_folder,
    state_file,
)


def demo(arguments: Namespace, progress: Progress) -> Outputs:
    """Run the whole pipeline on the synthetic abdomen."""
    return run_demo(arguments.outdir, seed=arguments.seed, device=device_named(arguments.device), progress=progress)


def phantom(arguments: Namespace, progress: Progress) -> Outputs:
    """Write the synthetic abdomen: the planning scan and the dynamic series."""
    progress.stage("Making the phantom")
    made = abdomen(arguments.seed, time_points=arguments.time_points, needle=arguments.needle)
    outputs = {"static": arguments.outdir / "static.nii.gz", "dynamic": arguments.outdir / "dynamic.nii.gz"}
    make_folder(arguments.outdir)
    write_volume(made.static, outputs["static"])
    write_series(made.dynamic, outputs["dynamic"])
    if made.needle_tip is not None and made.needle_entry is not None:
        outputs["needle"] = arguments.outdir / "needle.json"
        positions = {"unit": "mm, LPS", "tip": made.needle_tip.tolist(), "entry": made.needle_entry.tolist()}
        write_json(positions, outputs["needle"])
    return outputs


def downsample_command(arguments: Namespace, progress: Progress) -> Outputs:
    """Keep the centre of k-space of a volume or series."""
    check_fraction(arguments.fraction)
    check_output_of([arguments.input], arguments.output)
    series = read_series(arguments.input)
    full = (series.geometry.shape[1], series.geometry.shape[2])
    size = low_resolution_size(full, arguments.fraction)
    geometry = series.geometry.with_matrix(size)
    check_room(arguments.output, geometry, len(series))
    progress.stage("Downsampling")
    result = series.map(lambda volume: downsample(volume, arguments.fraction), geometry)
    warnings = _tell(series.warnings, progress)
    facts = {"fraction": arguments.fraction, "full_matrix": full, "warnings": warnings}
    write_images(_counted(result, progress), arguments.output, facts)
    progress.log(
        f"{full[0]}x{full[1]} became {size[0]}x{size[1]}, voxels of "
        f"{geometry.spacing[0]:.2f} x {geometry.spacing[1]:.2f} x {geometry.spacing[2]:.2f} mm."
    )
    return {"output": arguments.output}


def interpolate_command(arguments: Namespace, progress: Progress) -> Outputs:
    """Interpolate a volume or series to the grid of another volume."""
    check_output_of([arguments.input, arguments.like], arguments.output)
    series = read_series(arguments.input)
    reference = read_series(arguments.like)
    like = reference.geometry
    warnings = _tell([*series.warnings, *reference.warnings], progress)
    if not high_resolution_grid(series.geometry, like).same_grid(like):
        progress.log(
            f"{arguments.like} has another field of view than {arguments.input}: the result is resampled to it."
        )
    check_room(arguments.output, like, len(series))
    progress.stage("Interpolating")
    result = series.map(lambda volume: interpolate(volume, like, arguments.method), like)
    write_images(_counted(result, progress), arguments.output, {"method": arguments.method, "warnings": warnings})
    return {"output": arguments.output}


@alone_at_output(state_file)
def train_command(arguments: Namespace, progress: Progress) -> Outputs:
    """Train a base model, or one for each fraction."""
    for fraction in arguments.fractions:
        check_fraction(fraction)
    check_model_output(arguments.output)
    given = {"features": arguments.features, "batch": arguments.batch, "learning_rate": arguments.learning_rate}
    recipe = replace(recipe_named(arguments.recipe), **{k: v for k, v in given.items() if v is not None})
    device = device_named(arguments.device)
    start = load_model(arguments.model) if arguments.model else None
    task = MainTraining(
        folders=arguments.data,
        synthetic=arguments.synthetic,
        weights=arguments.weights,
        fractions=arguments.fractions,
        steps=arguments.steps,
        seed=arguments.seed,
        validation_share=arguments.validation_share,
        validate_every=arguments.validate_every,
        patience=arguments.patience,
        precision=arguments.precision,
    )
    tasks = {arguments.output: task}
    if arguments.each_fraction:
        tasks = {
            arguments.output.with_stem(f"{arguments.output.stem}_{fraction:g}"): replace(task, fractions=[fraction])
            for fraction in arguments.fractions
        }
    for one in tasks.values():  # each may take hours
        one.check(recipe)
    for output, one in tasks.items():
        if arguments.resume and len(tasks) > 1 and output.exists() and not state_file(output).exists():
            progress.log(f"{output} is there already and is kept.")
            continue
        folder = arguments.tensorboard
        with _curves(folder / output.stem if folder and len(tasks) > 1 else folder, progress) as listener:
            model = train(
                one,
                recipe,
                device,
                listener,
                state_file(output),
                arguments.resume,
                arguments.perceptual_network or shipped_file(PERCEPTUAL_NETWORK),
                start,
            )
        if is_first():
            save_model(model, output, half_precision=arguments.half_precision)
            state_file(output).unlink(missing_ok=True)
    return {"model": arguments.output} if len(tasks) == 1 else {output.stem: output for output in tasks}


@alone_at_output(state_file)
def train_perceptual_command(arguments: Namespace, progress: Progress) -> Outputs:
    """Train the perceptual network."""
    check_model_output(arguments.output)
    task = VesselTraining(arguments.steps, arguments.seed, arguments.features)
    state = state_file(arguments.output)
    network = train_vessel_network(task, device_named(arguments.device), progress, state, arguments.resume)
    dice = unseen_dice(network, task.seed)
    save_encoder(network, task, dice, arguments.output)
    state.unlink(missing_ok=True)
    progress.log(f"Dice on {len(dice)} unseen angiograms: " + ", ".join(f"{value:.3f}" for value in dice) + ".")
    return {"model": arguments.output}


@alone_at_output(state_file)
def finetune_command(arguments: Namespace, progress: Progress) -> Outputs:
    """Fine-tune a model on the planning scan."""
    check_model_output(arguments.output)
    budget = budget_named(arguments.budget)
    if arguments.fraction is not None:
        check_fraction(arguments.fraction)
    if arguments.acquired_matrix is not None and arguments.like is None:
        raise InputError("The acquired matrix is that of the series; give the series too, with --like.")
    planning_scan = read_series(arguments.prior)
    check_acquired(arguments.prior, planning_scan.geometry, "the planning scan")
    prior = only_volume(planning_scan, arguments.prior)
    copy_of_prior = PriorCopy.of(prior)
    warnings = [*planning_scan.warnings, *unusual([prior], "the planning scan")]
    strength, fit = 1.0, None
    if arguments.like is not None:
        series = read_series(arguments.like)
        check_acquired(arguments.like, series.geometry, "fine-tuned for")
        acquired = _acquired_matrix(series, range(len(series)), arguments.acquired_matrix, progress)
        series = at_acquired_matrix(series, acquired)
        warnings += [*series.warnings, *acquired.warnings]
        compared = [series[number] for number in spread(len(series))]
        _check_not_the_series(arguments, prior, compared)
        prior = match_prior(prior, series.geometry, progress)
        kept = kept_size(prior.geometry, series.geometry)
        check_detail(prior.geometry, kept)
        fit = fit_of(copy_of_prior.volume, compared)
        warnings += misfit(fit)
        if fit is not None and not fit.is_good:
            strength = STRENGTH_OF_POOR_FIT
            progress.log("Fine-tuning therefore stays close to the base model.")
        elif not arguments.keep_contrast:
            adapted = adapt_prior(prior, compared[fit.best if fit else 0], progress)
            prior, strength = adapted.volume, adapted.strength
    else:
        kept = kept_by_fraction(prior.geometry, arguments.fraction)
        check_detail(prior.geometry, kept)
    share = kept_share(kept, prior.geometry)
    if arguments.model is not None:
        base = load_model(arguments.model)
        warnings += other_fraction(base, share)
    else:
        base = load_model(base_model(share) if budget.steps is None else start_model(share))
    _tell(warnings, progress)
    model = fine_tune(
        prior,
        base,
        kept,
        budget,
        seed=arguments.seed,
        device=device_named(arguments.device),
        progress=progress,
        state_file=state_file(arguments.output),
        resume=arguments.resume,
        perceptual_network=arguments.perceptual_network or shipped_file(PERCEPTUAL_NETWORK),
        strength=strength,
        precision=arguments.precision,
        copy_of_prior=copy_of_prior,
    )
    if fit is not None:
        model = model.with_info(metrics={**model.info.metrics, SIMILARITY: fit.similarity})
    save_model(model, arguments.output)
    state_file(arguments.output).unlink(missing_ok=True)
    return {"model": arguments.output}


@alone_at_output(frames_folder)
def superresolve_command(arguments: Namespace, progress: Progress) -> Outputs:
    """Super-resolve a volume or series."""
    frames = FrameFolder.beside(arguments.output)
    check_output_of([arguments.input, arguments.like], arguments.output, frames.path)
    series = open_series(arguments.input)
    check_acquired(arguments.input, series.geometry, "super-resolved again")
    wanted = frame_numbers(arguments.frames, len(series))
    numbers, unusable = usable_time_points(series, wanted, arguments.skip_unusable)
    acquired = _acquired_matrix(series, numbers, arguments.acquired_matrix, progress)
    series = at_acquired_matrix(series, acquired)
    model, grid = model_and_grid(arguments, series, acquired.geometry, progress)
    map_file = _fidelity_map_file(arguments, model)
    check_room(arguments.output, grid, len(numbers), frames.path)
    chosen = series.select(numbers)
    warnings = [*series.warnings, *acquired.warnings]
    warnings += other_fraction(model, kept_share(series.geometry.shape[1:], grid))
    compared: list[Volume] = []
    warnings += unusual(_kept_on_the_way(chosen, spread(len(chosen)), compared), "the series")
    warnings += _about_prior(model, compared, arguments.like, progress)
    skipped = {number: _without_names(sentence, number, arguments.input) for number, sentence in unusable.items()}
    if skipped:
        each = "; ".join(f"{number} ({why})" for number, why in skipped.items())
        warnings.append(f"{len(skipped)} of {len(wanted)} time points cannot be used and are left out: {each}.")
    warnings = _tell(warnings, progress)
    result, figures = super_resolve_series(
        series,
        numbers,
        model,
        grid,
        frames,
        device=device_named(arguments.device),
        inference=inference_of(model, arguments.stride, arguments.precision, arguments.shifts),
        progress=progress,
        resume=arguments.resume,
    )
    if not is_first():  # all have made the time points, one writes what they add up to
        return {}
    warnings += _tell(unfaithful(figures, model), progress)
    progress.stage("Writing")
    true = [figures[number] for number in numbers]
    facts = {"model": model.sha256, "parent": model.info.parent, "frames": numbers, "seed": arguments.seed}
    facts |= {"fidelity": [asdict(each) for each in true], "warnings": warnings, **acquired.facts()}
    if skipped:
        facts["skipped"] = [{"time_point": number, "why": why} for number, why in skipped.items()]
    outputs = {"output": arguments.output}
    if map_file is not None:
        write_images(fidelity_maps(result, chosen), map_file, {"image": "fidelity map", "model": model.sha256})
        outputs["fidelity map"] = map_file
    write_images(result, arguments.output, {"notice": NOTICE, **facts})
    progress.log(in_words(true))
    if progress.watched:  # whoever watches may still be reading the frames: they are theirs now
        return {**outputs, "frames": frames.path}
    frames.remove()
    return outputs


def _without_names(sentence: str, number: int, path: Path) -> str:
    """What is wrong with a time point, without the advice and the path, which may hold a patient's name."""
    for name in (f"{path}{os.sep}", f"Time point {number} of {path} ", f"{path} "):
        sentence = sentence.replace(name, "")
    return sentence.partition(";")[0].removesuffix(".")


def _fidelity_map_file(arguments: Namespace, model: Model) -> Path | None:
    """Where the fidelity map goes: where the user wants it, and always where a model may change what was acquired."""
    path: Path | None = arguments.fidelity_map
    if path is None and not model.info.data_consistency:
        path = beside(arguments.output, "fidelity")
    if path is not None:
        check_output_of([arguments.input, arguments.like, arguments.output, frames_folder(arguments.output)], path)
    return path


def evaluate_command(arguments: Namespace, progress: Progress) -> Outputs:
    """Compare a result and baselines with the ground truth."""
    if arguments.figures:
        _require_matplotlib()
    _check_baselines([name for name, _ in arguments.baseline])
    truth = read_series(arguments.truth)
    methods = {**dict(arguments.baseline), RESULT: arguments.result}
    series = {name: read_series(path) for name, path in methods.items()}
    _tell([sentence for each in (truth, *series.values()) for sentence in each.warnings], progress)
    held = {name: recorded_frames(path, len(series[name])) for name, path in methods.items()}
    of_result = held[RESULT] if len(series[RESULT]) < len(truth) else None
    asked = frames_text(of_result) if of_result and arguments.frames is None else arguments.frames
    numbers = frame_numbers(asked, len(truth))
    chosen = {name: _same_frames(series[name], methods[name], len(truth), numbers, held[name]) for name in methods}
    truth = truth.select(numbers)
    chosen = align(chosen, truth, progress)
    make_folder(arguments.output.parent)
    with tempfile.TemporaryDirectory(dir=arguments.output.parent, prefix=".evaluating-") as name:
        made = write_evaluation(chosen, truth, Path(name), progress, arguments.result if arguments.figures else None)
        make_folder(arguments.output)
        return {name: path.replace(arguments.output / path.name) for name, path in made.items()}


def _check_baselines(names: Sequence[str]) -> None:
    """Raise `InputError` unless the baselines can be told apart, from the result and as files."""
    files = [file_name(name) for name in (*names, RESULT)]
    if len(set(files)) < len(files):
        message = f"Every baseline needs a name of its own, and none may be called {RESULT}; rename some."
        raise InputError(message)


def benchmark_command(arguments: Namespace, progress: Progress) -> Outputs:
    """Compare interpolation, base model and fine-tuned models on all subjects of a folder."""
    if arguments.figures:
        _require_matplotlib()
    fractions = list({f"{fraction:g}": fraction for fraction in arguments.fractions}.values())
    for fraction in fractions:
        check_fraction(fraction)
    bases = {fraction: load_model(arguments.model or base_model(fraction)) for fraction in fractions}
    budget = budget_named(arguments.budget)
    starts = bases
    if arguments.model is None and budget.steps is not None:
        starts = {fraction: load_model(start_model(fraction)) for fraction in fractions}
    benchmark = Benchmark(
        subjects=find_subjects(arguments.data, arguments.output, progress),
        bases=bases,
        starts=starts,
        budget=budget,
        frames=frame_ranges(arguments.frames),
        seed=arguments.seed,
        device=device_named(arguments.device),
        inference=inference_of(next(iter(bases.values())), None),
        perceptual_network=arguments.perceptual_network or shipped_file(PERCEPTUAL_NETWORK),
        figures=arguments.figures,
    )
    for fraction, base in bases.items():
        for sentence in other_fraction(base, fraction):
            progress.warn(sentence)
    if is_first():
        make_folder(arguments.output.parent)
    with alone(arguments.output) if is_first() else nullcontext():
        return run_benchmark(benchmark, BenchmarkFolder(arguments.output), progress=progress, resume=arguments.resume)


def info_command(arguments: Namespace, progress: Progress) -> Outputs:
    """Print what is known about a model."""
    model = load_model(arguments.model)
    prior = None if model.prior is None else {"sha256": model.prior.sha256, "copy": model.prior.volume.shape}
    facts = {
        "file": str(arguments.model),
        "sha256": model.sha256,
        "parameters": sum(p.numel() for p in model.network.parameters()),
        **asdict(model.info),
        "planning_scan": prior,
    }
    if isinstance(progress, JsonProgress):
        progress.log(json.dumps(facts))
    else:
        sys.stdout.write(json.dumps(facts, indent=2) + "\n")
    return {}


def import_checkpoint_command(arguments: Namespace, progress: Progress) -> Outputs:
    """Turn a published PyTorch checkpoint into a model."""
    check_model_output(arguments.output)
    save_model(import_checkpoint(arguments.input, tuple(arguments.fractions)), arguments.output)
    return {"model": arguments.output}


def _acquired_matrix(
    series: Series, numbers: Iterable[int], declared: tuple[int, int] | None, progress: Progress
) -> AcquiredMatrix:
    """What was acquired of a series, said if that is less than was stored.

    The first time point speaks for all, or where it cannot be used the first of the others that can.
    """
    for number in (0, *numbers):
        with suppress(InputError):
            series[number]
            break
    acquired = recognise_acquired_matrix(series.select([number]), declared)
    if acquired.interpolated or declared is not None:
        progress.log(acquired.in_words())
    return acquired


def _tell(warnings: Iterable[str], progress: Progress) -> list[str]:
    """Warn of every sentence, once."""
    told = list(dict.fromkeys(warnings))
    for sentence in told:
        progress.warn(sentence)
    return told


def _check_not_the_series(arguments: Namespace, prior: Volume, time_points: Sequence[Volume]) -> None:
    """Raise `InputError` if the planning scan is the very series it is to be made for."""
    if arguments.prior.samefile(arguments.like) or any(np.array_equal(prior.data, one.data) for one in time_points):
        message = (
            f"The planning scan {arguments.prior} is the series itself, so there is nothing to learn from it; "
            "give the high-resolution scan of the same patient."
        )
        raise InputError(message)


def _kept_on_the_way(series: Series, numbers: Sequence[int], kept: list[Volume]) -> Iterator[Volume]:
    """All volumes of a series, some of which are kept, so that no file is read again for them."""
    for number, volume in enumerate(series):
        if number in numbers:
            kept.append(volume)
        yield volume


def _about_prior(model: Model, time_points: Sequence[Volume], like: Path | None, progress: Progress) -> list[str]:
    """What to say of how a fine-tuned model's planning scan, and the one at hand if it is another, fit the series."""
    if not model.info.parent:
        return []
    found = []
    if model.prior is not None:
        found += misfit(fit_of(model.prior.volume, time_points), "The planning scan that the model was fine-tuned on")
    else:
        progress.log("The model holds no copy of its planning scan, so the series cannot be compared with it.")
        stored = model.info.metrics.get(SIMILARITY)
        if like is None and stored is not None:
            found += misfit(Fit(stored))
    if like is None:
        return found
    at_hand = read_series(like)[0]
    if model.prior is not None and voxels_sha256(at_hand) == model.prior.sha256:
        return found
    if model.prior is not None:
        found.append(f"The model was fine-tuned on another planning scan than {like}.")
    return found + misfit(fit_of(at_hand, time_points), f"The scan {like}")


def _same_frames(series: Series, path: Path, total: int, numbers: Sequence[int], held: Sequence[int] | None) -> Series:
    """The chosen time points of a series that holds all of them, those that its sidecar names, or just these."""
    if len(series) == total:
        return series.select(numbers)
    if held is None:
        return series
    if not set(numbers) <= set(held):
        message = (
            f"{path} holds time points {frames_text(held)} by its sidecar, but {frames_text(numbers)} are to be "
            "compared; choose among the former with --frames."
        )
        raise InputError(message)
    return series.select([held.index(number) for number in numbers])


def _counted(series: Series, progress: Progress) -> Series:
    """The series, telling of every volume that is made."""
    total = len(series)

    def load(number: int) -> FloatArray:
        voxels = series[number].data
        progress.step(number + 1, total)
        return voxels

    return Series(load, series.times, series.geometry, series.warnings)


def _require_matplotlib() -> None:
    """Raise `InputError` before the work if its figures could not be drawn."""
    from ..evaluation.report import Panel  # noqa: F401


@contextmanager
def _curves(folder: Path | None, progress: Progress) -> Iterator[Progress]:
    """The progress, drawn by TensorBoard too if a folder is given."""
    if folder is None or not is_first():
        yield progress
        return
    with TensorBoardProgress(folder, progress) as listener:
        yield listener


COMMANDS: dict[str, Command] = {
    "demo": demo,
    "phantom": phantom,
    "downsample": downsample_command,
    "interpolate": interpolate_command,
    "train": train_command,
    "train-perceptual": train_perceptual_command,
    "finetune": finetune_command,
    "superresolve": superresolve_command,
    "evaluate": evaluate_command,
    "benchmark": benchmark_command,
    "info": info_command,
    "import-checkpoint": import_checkpoint_command,
}

SHARED = frozenset({"benchmark", "superresolve", "train"})
"""Commands that the processes of ``torchrun`` do together; the first does the others alone."""
