"""The job that choices and files make."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from SRDynamicMRILib.requests import REQUESTS

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
    """The job that the choices ask for.

    Parameters
    ----------
    kind
        What it does.
    files
        Its inputs and output.
    choices
        Of the user.
    fraction
        Of k-space that the series holds, for a result without a planning scan.

    Raises
    ------
    TypeError
        If a file that the job needs was not prepared.
    """
    given, asked = _files_by_option(kind, files), options(kind, choices)
    optional = ("prior",) if kind is Kind.SUPER_RESOLVE else ()
    if missing := [name for name, file in given.items() if file is None and name not in optional]:
        message = f"files that the job needs were not prepared: {', '.join(missing)}"
        raise TypeError(message)
    if kind is Kind.SUPER_RESOLVE:
        asked["fraction"] = fraction if files.prior is None else None
    return Job(REQUESTS[kind.value](**given, **asked))


def options(kind: Kind, choices: Choices) -> dict[str, Any]:
    """What a kind of job is asked besides its files: each choice for which its request has a field of that name."""
    names = {one.name for one in fields(REQUESTS[kind.value])}
    found = {one.name: getattr(choices, one.name) for one in fields(Choices) if one.name in names}
    others: dict[Kind, dict[str, Any]] = {
        Kind.FINE_TUNE: {"model": choices.base_model},
        Kind.SUPER_RESOLVE: {"model": choices.model, "frames": choices.frames},
        Kind.DOWNSAMPLE: {"fraction": choices.simulated_fraction},
        Kind.INTERPOLATE: {"method": "zero_filled"},
    }
    declared = choices.acquisition.options() if kind in (Kind.FINE_TUNE, Kind.SUPER_RESOLVE) else {}
    return {**found, **declared, **others.get(kind, {})}


def _files_by_option(kind: Kind, files: Files) -> dict[str, Any]:
    """The files of a job, by the names of its request's fields."""
    by_option: dict[Kind, dict[str, Any]] = {
        Kind.FINE_TUNE: {"prior": files.prior, "series": files.series, "output": files.output},
        Kind.SUPER_RESOLVE: {"input": files.series, "prior": files.prior, "output": files.output},
        Kind.EVALUATE: {
            "result": files.result,
            "truth": files.truth,
            "baseline": tuple(files.baselines.items()),
            "output": files.output,
        },
        Kind.PHANTOM: {"outdir": files.output},
        Kind.DOWNSAMPLE: {"input": files.series, "output": files.output},
        Kind.INTERPOLATE: {"input": files.series, "like": files.prior, "output": files.output},
        Kind.IMPORT_MODEL: {"input": files.checkpoint, "output": files.output},
    }
    return by_option[kind]
