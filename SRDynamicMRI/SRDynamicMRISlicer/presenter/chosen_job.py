"""The job that choices and files make."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from ..jobs.job import (
    DownsampleRequest,
    EvaluateRequest,
    FineTuneRequest,
    ImportModelRequest,
    InterpolateRequest,
    Job,
    Kind,
    PhantomRequest,
    Request,
    SuperResolveRequest,
)
from .choices import Choices

REQUESTS: Mapping[Kind, type[Request]] = {
    Kind.FINE_TUNE: FineTuneRequest,
    Kind.SUPER_RESOLVE: SuperResolveRequest,
    Kind.EVALUATE: EvaluateRequest,
    Kind.PHANTOM: PhantomRequest,
    Kind.DOWNSAMPLE: DownsampleRequest,
    Kind.INTERPOLATE: InterpolateRequest,
    Kind.IMPORT_MODEL: ImportModelRequest,
}


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
    """The job that the choices ask for.

    Parameters
    ----------
    kind
        What it does.
    files
        Its inputs and output; those that the request has no field for are left out.
    choices
        Of the user.
    fraction
        Of k-space that the series holds, for a result without a planning scan.
    """
    request = REQUESTS[kind]
    names = {one.name for one in fields(request)}
    given = {one.name: getattr(files, one.name) for one in fields(Files) if one.name in names}
    asked = options(kind, choices)
    if kind is Kind.SUPER_RESOLVE:
        asked["fraction"] = fraction if files.prior is None else None
    elif missing := [name for name, path in given.items() if path is None]:
        message = f"files that the job needs were not prepared: {', '.join(missing)}"
        raise TypeError(message)
    return Job(request(**given, **asked))


def options(kind: Kind, choices: Choices) -> dict[str, Any]:
    """What a kind of job is asked besides its files: each choice for which its request has a field of that name."""
    names = {one.name for one in fields(REQUESTS[kind])}
    found = {one.name: getattr(choices, one.name) for one in fields(Choices) if one.name in names}
    if kind is Kind.FINE_TUNE:
        return {**found, "model": choices.base_model}
    if kind is Kind.SUPER_RESOLVE:
        return {**found, "model": choices.model, "frames": choices.frames}
    return {**found, "fraction": choices.simulated_fraction} if kind is Kind.DOWNSAMPLE else found
