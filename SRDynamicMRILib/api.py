"""The library as its users mean it: fine-tune on a planning scan, super-resolve a series, interpolate, evaluate.

The command line, the benchmark, the demonstration and the Slicer module call these functions and nothing below them, so
that what is published is what users run: with the same checks, the same adaptation of the planning scan to the series
and the same warnings. Functions take a `Volume` wherever they take a `Series`.

    import SRDynamicMRILib as sr
    planning, series = sr.read_volume("planning.nii.gz"), sr.read_series("dynamic.nii.gz")
    model = sr.fine_tune(planning, series)
    result = sr.super_resolve(series, model, prior=planning)
    sr.write_series(result, "result.nii.gz")
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, overload

import numpy as np
import torch

from .acquisition.acquisition import Acquisition
from .acquisition.complex_image import as_magnitude, magnitudes
from .acquisition.complex_recognition import recognise_complex
from .acquisition.consistency import in_words
from .acquisition.fat import FatPhase
from .acquisition.interpolation import high_resolution_grid
from .acquisition.interpolation import interpolate as interpolate_volume
from .acquisition.recognise import DeclaredAcquisition, RecognisedAcquisition, recognise_acquisition
from .acquisition.windows import Window
from .complex_series import ComplexSeries
from .errors import InputError
from .evaluation.evaluation import Evaluation, KeepMap, align
from .evaluation.evaluation import evaluate as evaluate_series
from .geometry import FloatArray, Geometry
from .inference.intensities import unusual
from .inference.series import FrameFolder, inconsistent, super_resolve_series, usable_time_points
from .inference.suited import (
    check_takes_complex,
    known_to,
    other_acquisition,
    other_fraction,
    pretrained_model,
    result_grid,
    start_of_fine_tuning,
    suited_inference,
)
from .inference.tiling import Inference
from .io.room import check_disk
from .io.sidecar import NOTICE, check_acquired, frames_in
from .io.times import frames_text
from .models.budgets import TrainingBudget, budget_named
from .models.checkpoints import Model, identified, load_info, load_model
from .models.pretrained import PERCEPTUAL_NETWORK, base_model, pretrained_file
from .models.prior_copy import PriorCopy, voxels_sha256
from .networks.normalisation import intensity_scale
from .prior.fat_phase import find_fat_phase
from .prior.similarity import FORMER_SIMILARITY, SIMILARITY, Fit, fit_of, misfit, spread
from .process.devices import device_named
from .process.distributed import is_first
from .process.precision import Precision
from .progress import Progress, PythonWarnings, tell
from .training.fine_tuning import (
    STRENGTH_OF_POOR_FIT,
    adapt_prior,
    check_detail,
    match_prior,
)
from .training.fine_tuning import fine_tune as fine_tune_model
from .volume import Images, Series, Volume

RESULT = "result"
"""What `evaluate` calls the series it is about."""

IN_MEMORY = 512 * 2**20
"""Bytes of a series up to which its time points are kept once they were read, so that none is read twice."""

GivenModel = Model | Path | str
"""A model, or the name of its file."""


# Fine-tuning


def fine_tune(
    prior: Volume | Series,
    series: Volume | Series | ComplexSeries | None = None,
    *,
    fraction: float | None = None,
    acquired_matrix: tuple[int, int] | None = None,
    noise: float | None = None,
    window: Window | str | None = None,
    magnitude: bool | None = None,
    fat: FatPhase | None = None,
    model: GivenModel | None = None,
    budget: str | TrainingBudget = "standard",
    keep_contrast: bool = False,
    precision: Precision | None = None,
    perceptual_network: Path | None = None,
    seed: int = 0,
    device: str = "auto",
    progress: Progress | None = None,
    state_file: Path | None = None,
    resume: bool = False,
) -> Model:
    """Fine-tune a network on the planning scan of a patient (paper, section 2.3).

    The planning scan is compared with the series first. If it has another contrast, its intensities are made like those
    of the series; if it does not seem to show the same anatomy, a warning is given and fine-tuning stays close to the
    model that it begins with.

    Parameters
    ----------
    prior
        High-resolution planning scan ``(D, H, W)``.
    series
        The low-resolution series ``(D, h, w)`` that the model is for, or a time point of it; complex images, too.
    fraction
        Share of in-plane k-space that the series holds, in (0, 1], where there is no series yet.
    acquired_matrix
        Rows and columns ``(h, w)`` of the series that were acquired, where the scanner stored more; recognised if not
        given.
    noise
        Standard deviation of its noise in either channel of the complex image, at the acquired matrix before the
        window; estimated if not given.
    window
        How its samples were weighed, such as ``hann`` or ``fermi:0.1``; estimated if not given.
    magnitude
        Whether it holds magnitudes, or else keeps its sign; found out if not given.
    fat
        Whether fat and water cancel in magnitudes: ``in-phase``, ``opposed`` or ``unknown``; found out if not given.
    model
        Model to begin with; the pretrained one for this fraction if not given.
    budget
        How much training: ``quick``, ``standard``, ``long`` or ``paper``.
    keep_contrast
        Never change the planning scan's intensities.
    precision
        Of the convolutions; the fastest of the device if not given.
    perceptual_network
        Weights of the perceptual loss for the budget ``paper``; the pretrained ones if not given.
    seed
        Of all that is drawn at random.
    device
        ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps``, ...
    progress
        Told about every step; if not given, warnings are Python's.
    state_file
        Where the state of an unfinished run is kept; whoever gives it deletes it once the model is safe.
    resume
        Whether to go on from the state file, if there is one.

    Returns
    -------
        The model, to be given to `super_resolve` or to `save_model`. It holds a small copy of the planning scan.

    Raises
    ------
    InputError
        If the images do not go together, the planning scan has no finer detail than the series, or both `series` and
        `fraction` are given, or neither.

    Examples
    --------
    >>> model = fine_tune(planning, series, budget="quick", seed=1)
    """
    progress = progress or PythonWarnings()
    chosen_budget = budget if isinstance(budget, TrainingBudget) else budget_named(budget)
    chosen_device = device_named(device)
    prior = prior.only_volume() if isinstance(prior, Series) else prior
    check_acquired(prior, "the planning scan")
    if (series is None) == (fraction is None):
        raise InputError(
            "Fine-tuning needs either the series or the fraction of k-space that was acquired; give one of them."
        )
    copy_of_prior = PriorCopy.of(prior)
    declared = _declared(acquired_matrix, noise, window, magnitude)
    if series is not None:
        matched = _matched_to(prior, copy_of_prior, _given(series), declared, fat, keep_contrast, progress)
    elif declared.says_something or fat is not None:
        raise InputError("How a series was acquired needs the series; give the series too.")
    else:
        full = (prior.shape[1], prior.shape[2])
        matched = _MatchedPrior(prior, Acquisition.centre(full, fraction or 0.0))
        check_detail(prior.geometry, matched.acquisition.acquired_matrix)
    share = matched.acquisition.fraction
    warnings = [*prior.warnings, *unusual([prior], "the planning scan"), *matched.warnings]
    if model is not None:
        base = _model(model)
        warnings += other_fraction(base, share)
    else:
        base = load_model(start_of_fine_tuning(matched.acquisition, chosen_budget))
    if isinstance(series, ComplexSeries):
        check_takes_complex(base)
    tell(warnings, progress)
    tuned = fine_tune_model(
        matched.prior,
        base,
        known_to(base, matched.acquisition),
        chosen_budget,
        seed=seed,
        device=chosen_device,
        progress=progress,
        state_file=state_file,
        resume=resume,
        perceptual_network=perceptual_network or pretrained_file(PERCEPTUAL_NETWORK),
        strength=matched.strength,
        precision=precision,
        copy_of_prior=copy_of_prior,
    )
    if matched.fit is not None:
        tuned = tuned.with_info(metrics={**tuned.info.metrics, SIMILARITY: matched.fit.similarity})
    return identified(tuned)


@dataclass(frozen=True)
class _MatchedPrior:
    """The planning scan, matched to the series that fine-tuning is for.

    Parameters
    ----------
    prior
        The planning scan, made as like the series as can be.
    acquisition
        What makes an image like the series' of it.
    strength
        Share of the way from the model that it begins with; see `training.fine_tuning.fine_tune`.
    fit
        How well the planning scan fits the series.
    warnings
        What to say, in sentences.
    """

    prior: Volume
    acquisition: Acquisition
    strength: float = 1.0
    fit: Fit | None = None
    warnings: tuple[str, ...] = ()


def _matched_to(
    prior: Volume,
    copy_of_prior: PriorCopy,
    given: Series | ComplexSeries,
    declared: DeclaredAcquisition,
    fat: FatPhase | None,
    keep_contrast: bool,
    progress: Progress,
) -> _MatchedPrior:
    """Match a planning scan to a series: compare the two, and adapt the contrast where that differs."""
    stored = _magnitude(given)
    check_acquired(stored, "fine-tuned for")
    acquired = _recognised(given, range(len(given)), declared, progress, prior)
    series = _at_acquired_matrix(given, acquired)
    time_points = []
    for number in spread(len(series)):
        if np.array_equal(prior.data, stored[number].data):
            name = f"The planning scan {prior.name}".rstrip()
            message = (
                f"{name} is the series itself, so there is nothing to learn from it; "
                "give the high-resolution scan of the same patient."
            )
            raise InputError(message)
        time_points.append(series[number])
    warnings = [*stored.warnings, *acquired.warnings]
    prior = match_prior(prior, series.geometry, progress)
    acquisition = Acquisition.between(prior.geometry, series.geometry)
    check_detail(prior.geometry, acquisition.acquired_matrix)
    fit = fit_of(copy_of_prior.volume, time_points)
    most_alike = time_points[fit.best if fit else 0]
    strength = 1.0
    if fit is not None and not fit.is_good:
        strength = STRENGTH_OF_POOR_FIT
        progress.log("Fine-tuning therefore stays close to the base model.")
    elif not keep_contrast:
        adapted = adapt_prior(prior, most_alike, progress, magnitude=acquired.magnitude)
        prior, strength = adapted.volume, adapted.strength
    brighter = _scale(acquisition.downsample(prior.data)) / _scale(most_alike.data)
    acquisition = _as_seen(given, acquired.acquisition(acquired.matrix)).of_other_scan(
        acquisition.acquired_matrix, acquisition.full_matrix, brighter
    )
    if fat is not None:
        acquisition = replace(acquisition, fat=fat)
    elif acquisition.magnitude and strength > STRENGTH_OF_POOR_FIT:
        found = find_fat_phase(most_alike.data, prior.data, acquisition)
        progress.log(found.in_words())
        acquisition = replace(acquisition, fat=found.fat)
    return _MatchedPrior(prior, acquisition, strength, fit, (*warnings, *misfit(fit)))


def _scale(low_resolution: FloatArray) -> float:
    return intensity_scale(low_resolution, "percentile")


# Super-resolution


@overload
def super_resolve(series: Images, model: GivenModel | None = None, **settings: Any) -> Images: ...


@overload
def super_resolve(series: ComplexSeries, model: GivenModel | None = None, **settings: Any) -> Series: ...


def super_resolve(  # type: ignore[misc]  # the settings are the keywords below
    series: Volume | Series | ComplexSeries,
    model: GivenModel | None = None,
    *,
    prior: Volume | Series | None = None,
    like: Volume | Series | Geometry | None = None,
    fraction: float | None = None,
    acquired_matrix: tuple[int, int] | None = None,
    noise: float | None = None,
    window: Window | str | None = None,
    magnitude: bool | None = None,
    fast: bool = False,
    frames: Sequence[int] | None = None,
    skip_unusable: bool = False,
    stride: Sequence[int] | None = None,
    precision: Precision | None = None,
    device: str = "auto",
    progress: Progress | None = None,
) -> Volume | Series:
    """Super-resolve every time point of a series (paper, section 2.2).

    Each time point is read once, checked, and computed once; results are kept in a temporary folder until the series
    that is returned is no longer used.

    Parameters
    ----------
    series
        Low-resolution series, or a time point, ``(D, h, w)``; or complex images, of which the network gets the
        magnitude and the acquired k-space is put back with its phase.
    model
        A model, such as the one that `fine_tune` gave; the pretrained one for this fraction of k-space if not given.
    prior
        Planning scan of the patient. It gives the voxel size unless `like` does, and it is compared with the series and
        with the planning scan that the model was fine-tuned on; a warning tells of a wrong one.
    like
        A volume that has the voxel size wanted.
    fraction
        Share of in-plane k-space that the series holds, in (0, 1], where nothing else tells the voxel size.
    acquired_matrix
        Rows and columns ``(h, w)`` that were acquired, where the scanner stored more; recognised if not given.
    noise
        Standard deviation of its noise in either channel of the complex image, at the acquired matrix before the
        window; estimated if not given.
    window
        How its samples were weighed, such as ``hann`` or ``fermi:0.1``; estimated if not given.
    magnitude
        Whether it holds magnitudes, or else keeps its sign; found out if not given.
    fast
        Use the pretrained network for speed.
    frames
        Numbers of the time points to do; all if not given.
    skip_unusable
        Leave out time points that are black, damaged or not finite, and say so.
    stride
        Step ``(D, H, W)`` between overlapping patches, in place of whole volumes.
    precision
        Of the convolutions; the fastest of the device if not given.
    device
        ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps``, ...
    progress
        Told about every time point; if not given, warnings are Python's.

    Returns
    -------
        The result ``(D, H, W)`` over the field of view of the series, intensities in its unit: a volume for a volume,
        and magnitudes for complex images.
        Its ``facts`` have the ``model``, the ``warnings`` and, for every time point, the residual of data consistency
        and the synthesised share (`acquisition.consistency.Consistency`); they go to the sidecar when it is written.

    Raises
    ------
    InputError
        If an image cannot be used, images do not go together, or nothing tells the voxel size.

    Examples
    --------
    >>> result = super_resolve(series, model, prior=planning)
    >>> result.facts["consistency"][0]
    {'residual': 0.0, 'synthesised': 0.11}
    """
    job = prepare_super_resolution(
        series,
        model,
        prior=prior,
        like=like,
        fraction=fraction,
        acquired_matrix=acquired_matrix,
        noise=noise,
        window=window,
        magnitude=magnitude,
        fast=fast,
        frames=frames,
        skip_unusable=skip_unusable,
        stride=stride,
        precision=precision,
        device=device,
        progress=progress,
    )
    result = job.run()
    if not isinstance(series, Volume):
        return result
    return Volume(result[0].data, result.geometry, result.facts, result.warnings)


@dataclass(frozen=True)
class SuperResolution:
    """A super-resolution that is ready to be run: everything was read, checked and said, nothing was computed.

    Parameters
    ----------
    series
        All time points of the series: as stored where the model knows the acquisition, else at the acquired matrix;
        or complex images, as stored.
    numbers
        Those to do.
    model
        What does it.
    grid
        Where the results lie.
    acquisition
        How the series was acquired, as far as the model takes it into account.
    device, inference, progress
        As for `super_resolution.super_resolve`.
    facts
        What is known of the results before they are there.
    """

    series: Series | ComplexSeries
    numbers: Sequence[int]
    model: Model
    grid: Geometry
    acquisition: Acquisition
    device: torch.device
    inference: Inference
    progress: Progress
    facts: Mapping[str, Any]

    @property
    def acquired(self) -> Series | ComplexSeries:
        """The time points to do."""
        return self.series.select(self.numbers)

    def run(self, frames: FrameFolder | None = None, *, resume: bool = False, shared: bool = False) -> Series:
        """Compute every time point once.

        Parameters
        ----------
        frames
            Where finished time points are kept; a temporary folder, which goes with the series, if not given.
        resume
            Whether time points that the same job has finished there before are kept.
        shared
            Whether the processes of ``torchrun`` share the time points; all of them have to run the job then.

        Returns
        -------
            The results with their facts; of several processes, the first has the facts of all.
        """
        temporary = None
        if frames is None:
            temporary = tempfile.TemporaryDirectory(prefix="sr-dynamic-mri-")
            frames = FrameFolder(Path(temporary.name) / "frames")
            check_disk(frames.path, 4 * int(np.prod(self.grid.shape)) * len(self.numbers))
        result, figures = super_resolve_series(
            self.series,
            self.numbers,
            self.model,
            self.grid,
            frames,
            acquisition=self.acquisition,
            device=self.device,
            inference=self.inference,
            progress=self.progress,
            resume=resume,
            shared=shared,
        )
        facts = dict(self.facts)
        if is_first() or not shared:
            agreement = [figures[number] for number in self.numbers]
            facts["frames"], facts["consistency"] = list(self.numbers), [asdict(each) for each in agreement]
            facts["warnings"] = [
                *facts["warnings"],
                *tell(inconsistent(figures, self.model, self.acquisition), self.progress),
            ]
            self.progress.log(in_words(agreement))

        def keep(_: int, volume: Volume, _folder: object = temporary) -> Volume:  # which lives as long as the series
            return volume

        return result.when_loaded(keep).with_facts(**facts)


def prepare_super_resolution(
    series: Volume | Series | ComplexSeries,
    model: GivenModel | None = None,
    *,
    prior: Volume | Series | None = None,
    like: Volume | Series | Geometry | None = None,
    fraction: float | None = None,
    acquired_matrix: tuple[int, int] | None = None,
    noise: float | None = None,
    window: Window | str | None = None,
    magnitude: bool | None = None,
    fast: bool = False,
    frames: Sequence[int] | None = None,
    skip_unusable: bool = False,
    stride: Sequence[int] | None = None,
    precision: Precision | None = None,
    device: str = "auto",
    progress: Progress | None = None,
) -> SuperResolution:
    """Do all of `super_resolve`, which has the parameters, but the work itself."""
    progress = progress or PythonWarnings()
    chosen_device = device_named(device)
    given = _given(series).kept_in_memory(IN_MEMORY)
    stored = _magnitude(given)
    check_acquired(stored, "super-resolved again")
    wanted = list(range(len(given))) if frames is None else list(frames)
    numbers, unusable = usable_time_points(given, wanted, skip_unusable)
    declared = _declared(acquired_matrix, noise, window, magnitude)
    like = prior if like is None else like
    scan = None if prior is None else _series(prior)[0]
    acquired = _recognised(given, numbers, declared, progress, scan)
    low = _at_acquired_matrix(given, acquired)
    if model is not None and fast:
        raise InputError("The fast network is itself a model; give either a model or ask for the fast one.")
    chosen = None if model is None else identified(_model(model))
    info = load_info(base_model()) if chosen is None else chosen.info
    geometry = like if like is None or isinstance(like, Geometry) else like.geometry
    grid = result_grid(low.geometry, acquired.geometry, stored.facts, info, geometry, fraction, progress)
    acquisition = acquired.acquisition((grid.shape[1], grid.shape[2]))
    share = acquisition.fraction
    if chosen is None:  # the grid tells the fraction, and that the model
        chosen = load_model(pretrained_model(_as_seen(given, acquisition), fast))
    if isinstance(given, ComplexSeries):
        check_takes_complex(chosen)
    warnings = [*stored.warnings, *acquired.warnings, *other_fraction(chosen, share)]
    warnings += other_acquisition(chosen, _as_seen(given, acquisition), acquired.signal)
    compared: list[Volume] = []
    points = low.select(numbers)
    warnings += unusual(_kept_on_the_way(points, spread(len(points)), compared), "the series")
    at_hand = prior if prior is not None else like if chosen.info.parent and not isinstance(like, Geometry) else None
    warnings += _about_prior(chosen, compared, at_hand, progress)
    facts: dict[str, Any] = {"notice": NOTICE, "model": chosen.sha256, "parent": chosen.info.parent}
    if unusable:
        skipped = [
            {"time_point": number, "why": _without_names(sentence, number, stored.name)}
            for number, sentence in unusable.items()
        ]
        each = "; ".join(f"{one['time_point']} ({one['why']})" for one in skipped)
        warnings.append(f"{len(skipped)} of {len(wanted)} time points cannot be used and are left out: {each}.")
        facts["skipped"] = skipped
    facts |= {"warnings": tell(warnings, progress), **acquired.facts()}
    inference = suited_inference(chosen, stride, precision)
    to_do = given if chosen.network.knows_acquisition else low
    return SuperResolution(
        to_do, numbers, chosen, grid, known_to(chosen, acquisition), chosen_device, inference, progress, facts
    )


def _kept_on_the_way(series: Series, numbers: Sequence[int], kept: list[Volume]) -> Iterator[Volume]:
    """All volumes of a series, some of which are kept, so that none is made again for them."""
    for number, volume in enumerate(series):
        if number in numbers:
            kept.append(volume)
        yield volume


def _about_prior(
    model: Model, time_points: Sequence[Volume], prior: Volume | Series | None, progress: Progress
) -> list[str]:
    """What to say of how the planning scan of a fine-tuned model, and the one at hand, fit the series."""
    found = []
    if model.info.parent and model.prior is not None:
        found += misfit(fit_of(model.prior.volume, time_points), "The planning scan that the model was fine-tuned on")
    elif model.info.parent:
        progress.log("The model holds no copy of its planning scan, so the series cannot be compared with it.")
        stored = model.info.metrics.get(SIMILARITY, model.info.metrics.get(FORMER_SIMILARITY))
        if prior is None and stored is not None:
            found += misfit(Fit(stored))
    if prior is None:
        return found
    at_hand = prior if isinstance(prior, Volume) else prior[0]
    if model.prior is not None:
        if voxels_sha256(at_hand) == model.prior.sha256:
            return found
        found.append("The model was fine-tuned on another planning scan than the one given.")
    return found + misfit(fit_of(at_hand, time_points))


def _without_names(sentence: str, number: int, name: str) -> str:
    """What is wrong with a time point, without the advice and the path, which may hold a patient's name."""
    for words in (f"{name}/", f"{name}\\", f"Time point {number} of {name} ", f"{name} "):
        sentence = sentence.replace(words, "")
    return sentence.partition(";")[0].removesuffix(".")


# Without learning


def interpolate(
    series: Images,
    like: Volume | Series | Geometry,
    method: str = "zero_filled",
    *,
    progress: Progress | None = None,
) -> Images:
    """Bring a series to the grid of another volume without learning (paper, section 3).

    Parameters
    ----------
    series
        Low-resolution series, or a time point, ``(D, h, w)``.
    like
        A volume that has the grid wanted.
    method
        ``zero_filled`` (sinc), ``trilinear`` or ``area``.
    progress
        Told of the grid; if not given, warnings are Python's.

    Returns
    -------
        The interpolated series ``(D, H, W)``, each time point made when it is asked for; a volume for a volume.

    Raises
    ------
    InputError
        If the fields of view do not overlap or there is no such method.

    Examples
    --------
    >>> zero_filled = interpolate(series, like=planning)
    """
    progress = progress or PythonWarnings()
    grid = like if isinstance(like, Geometry) else like.geometry
    told = tell([*series.warnings, *(() if isinstance(like, Geometry) else like.warnings)], progress)
    if not high_resolution_grid(series.geometry, grid).same_grid(grid):
        progress.log("The requested grid has another field of view; the series is resampled to it.")
    result = _series(series).map(lambda volume: interpolate_volume(volume, grid, method), grid)
    result = result.with_facts(method=method, warnings=told)
    return result if isinstance(series, Series) else Volume(result[0].data, grid, result.facts)


# Evaluation


def evaluate(
    result: Volume | Series,
    truth: Volume | Series,
    *,
    baselines: Mapping[str, Volume | Series] | None = None,
    frames: Sequence[int] | None = None,
    progress: Progress | None = None,
    keep_map: KeepMap | None = None,
) -> Evaluation:
    """Compare a result, and baselines beside it, with the ground truth (paper, section 2.5).

    Parameters
    ----------
    result
        What is evaluated; called ``result``.
    truth
        The ground truth. Series on other grids are resampled to its own.
    baselines
        What else to compare with the ground truth, by name.
    frames
        Numbers of the time points of `truth` to compare; those that the result holds if not given.
    progress
        Told about every time point; if not given, warnings are Python's.
    keep_map
        Given every SSIM map ``(D, H, W)`` with the method's name and the number of the time point.

    Returns
    -------
        Metrics of every method at every time point, over the whole volume and over the body.

    Raises
    ------
    InputError
        If time points or grids do not go together.

    Examples
    --------
    >>> evaluation = evaluate(result, truth, baselines={"zero-filled": interpolate(series, like=planning)})
    >>> evaluation.mean_sd("result", "ssim", body=True)
    """
    progress = progress or PythonWarnings()
    methods, chosen = comparable(result, truth, baselines or {}, frames, progress)
    return evaluate_series(methods, chosen, progress, keep_map)


def comparable(
    result: Volume | Series,
    truth: Volume | Series,
    baselines: Mapping[str, Volume | Series],
    frames: Sequence[int] | None,
    progress: Progress,
) -> tuple[dict[str, Series], Series]:
    """Series by method, brought to the grid and the time points of the ground truth, and that; see `evaluate`."""
    if RESULT in baselines:
        message = f"Every baseline needs its own name, and none may be called {RESULT}; rename them."
        raise InputError(message)
    whole = _series(truth)
    methods = {**{name: _series(each) for name, each in baselines.items()}, RESULT: _series(result)}
    tell([sentence for each in (whole, *methods.values()) for sentence in each.warnings], progress)
    held = {name: frames_in(each.facts, len(each)) for name, each in methods.items()}
    of_result = held[RESULT] if len(methods[RESULT]) < len(whole) else None
    numbers = list(frames if frames is not None else of_result or range(len(whole)))
    if of_result and frames is None and max(of_result) >= len(whole):
        message = f"The result holds time points {frames_text(of_result)}, but the ground truth has {len(whole)}."
        raise InputError(message)
    chosen = {name: _same_time_points(methods[name], name, len(whole), numbers, held[name]) for name in methods}
    compared = whole.select(numbers)
    return align(chosen, compared, progress), compared


def _same_time_points(series: Series, name: str, total: int, numbers: Sequence[int], held: list[int] | None) -> Series:
    """The chosen time points of a series that holds all of them, those that its facts name, or just these."""
    if len(series) == total:
        return series.select(numbers)
    if held is None:
        return series
    if not set(numbers) <= set(held):
        message = (
            f"{series.name or name} holds time points {frames_text(held)} according to its sidecar, but "
            f"{frames_text(numbers)} were requested; choose among the former with --frames."
        )
        raise InputError(message)
    return series.select([held.index(number) for number in numbers])


# What all do


def _series(images: Volume | Series) -> Series:
    """A series; a volume is one of a single time point."""
    if isinstance(images, Series):
        return images
    return Series(lambda _: images.data, (0.0,), images.geometry, images.warnings, facts=images.facts, name=images.name)


def _model(model: GivenModel) -> Model:
    return model if isinstance(model, Model) else load_model(model)


def _declared(
    acquired_matrix: tuple[int, int] | None, noise: float | None, window: Window | str | None, magnitude: bool | None
) -> DeclaredAcquisition:
    """What a user says of how a series was acquired."""
    named = Window.named(window) if isinstance(window, str) else window
    return DeclaredAcquisition(acquired_matrix, named, noise, magnitude)


def _given(images: Volume | Series | ComplexSeries) -> Series | ComplexSeries:
    """What is given as a series."""
    return images if isinstance(images, ComplexSeries) else _series(images)


def _magnitude(given: Series | ComplexSeries) -> Series:
    """The series itself, or the magnitudes of complex images, as stored."""
    return given.magnitude if isinstance(given, ComplexSeries) else given


def _at_acquired_matrix(given: Series | ComplexSeries, acquired: RecognisedAcquisition) -> Series:
    """The series, or the magnitudes of complex images, at the acquired matrix."""
    if isinstance(given, ComplexSeries):
        return magnitudes(given, acquired.acquisition(), acquired.matrix)
    return acquired.at_acquired_matrix(given)


def _as_seen(given: Series | ComplexSeries, acquisition: Acquisition) -> Acquisition:
    """The acquisition of what a network is given: of complex images the magnitude."""
    return as_magnitude(acquisition) if isinstance(given, ComplexSeries) else acquisition


def _recognised(
    given: Series | ComplexSeries,
    numbers: Sequence[int],
    declared: DeclaredAcquisition,
    progress: Progress,
    prior: Volume | None = None,
) -> RecognisedAcquisition:
    """How a series was acquired, said; the planning scan, if given, shows what its spectrum would be.

    The first time point speaks for all, or where it cannot be used the first of the others that can.
    """
    number = 0
    for number in (0, *numbers):
        with suppress(InputError):
            given[number]
            break
    first = given.select([number])
    if isinstance(first, ComplexSeries):
        acquired: RecognisedAcquisition = recognise_complex(first, declared)
    else:
        acquired = recognise_acquisition(first, declared, prior)
    progress.log(acquired.in_words())
    return acquired


__all__ = [
    "SuperResolution",
    "comparable",
    "evaluate",
    "fine_tune",
    "interpolate",
    "prepare_super_resolution",
    "super_resolve",
]
