"""The job that choices and files make."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..jobs import job as jobs
from ..jobs.job import Job, Kind
from .choices import Choices


@dataclass(frozen=True)
class Files:
    """The files of a job: its inputs, written from the scene, and the name of its output.

    Parameters
    ----------
    output
        File or folder to make.
    prior, series, truth, result, checkpoint
        Inputs that the job needs.
    baselines
        Series to compare the result with, by name.
    """

    output: Path
    prior: Path | None = None
    series: Path | None = None
    truth: Path | None = None
    result: Path | None = None
    checkpoint: Path | None = None
    baselines: Mapping[str, Path] = field(default_factory=dict)


def chosen_job(kind: Kind, files: Files, choices: Choices, fraction: float | None) -> Job:
    """The job that the choices ask for; `fraction` says the resolution of a result where there is no planning scan."""
    if kind is Kind.FINE_TUNE:
        return jobs.fine_tune_job(
            _given(files.prior),
            _given(files.series),
            files.output,
            model=choices.base_model,
            budget=choices.budget,
            device=choices.device,
            seed=choices.seed,
            keep_contrast=choices.keep_contrast,
        )
    if kind is Kind.SUPER_RESOLVE:
        return jobs.super_resolve_job(
            _given(files.series),
            files.output,
            model=choices.model,
            prior=files.prior,
            fraction=fraction if files.prior is None else None,
            frames=choices.frames_text(),
            device=choices.device,
            seed=choices.seed,
        )
    if kind is Kind.EVALUATE:
        return jobs.evaluate_job(_given(files.result), _given(files.truth), files.output, baselines=files.baselines)
    if kind is Kind.INTERPOLATE:
        return jobs.interpolate_job(_given(files.series), files.output, like=_given(files.prior))
    if kind is Kind.DOWNSAMPLE:
        return jobs.downsample_job(_given(files.series), files.output, fraction=choices.simulated_fraction)
    if kind is Kind.IMPORT_MODEL:
        return jobs.import_model_job(_given(files.checkpoint), files.output)
    return jobs.phantom_job(files.output, seed=choices.seed)


def _given(path: Path | None) -> Path:
    if path is None:
        raise TypeError("a file that the job needs was not prepared")
    return path
