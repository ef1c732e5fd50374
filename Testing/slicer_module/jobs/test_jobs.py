"""Jobs, and the command line that reads their arguments."""

from __future__ import annotations

from pathlib import Path

import pytest
from SRDynamicMRISlicer.jobs.job import (
    DownsampleRequest,
    EvaluateRequest,
    FineTuneRequest,
    ImportModelRequest,
    InterpolateRequest,
    Job,
    Kind,
    PhantomRequest,
    SuperResolveRequest,
)

from SRDynamicMRILib.cli.program import build_parser
from SRDynamicMRILib.errors import InputError

WATCHED = ["--progress", "json", "--stop-with-stdin"]
A, B, C = Path("/a b/ä.nii.gz"), Path("/b.nii.gz"), Path("/c.safetensors")

JOBS = {
    "fine-tuning": (
        Job(FineTuneRequest(A, B, C, model=C, budget="quick", device="cuda:1", seed=3, keep_contrast=True)),
        ["finetune", str(A), "--like", str(B), "--output", str(C), "--model", str(C), "--budget", "quick"]
        + ["--device", "cuda:1", "--seed", "3", "--keep-contrast"],
    ),
    "fine-tuning by default": (
        Job(FineTuneRequest(A, B, C)),
        ["finetune", str(A), "--like", str(B), "--output", str(C), "--budget", "standard"]
        + ["--device", "auto", "--seed", "0"],
    ),
    "super-resolution": (
        Job(SuperResolveRequest(A, B, model=C, prior=A, frames="2:5")),
        ["superresolve", str(A), str(B), "--model", str(C), "--like", str(A), "--frames", "2:5"]
        + ["--device", "auto", "--seed", "0"],
    ),
    "super-resolution of a fraction": (
        Job(SuperResolveRequest(A, B, fraction=0.1)),
        ["superresolve", str(A), str(B), "--fraction", "0.1", "--device", "auto", "--seed", "0"],
    ),
    "evaluation": (
        Job(EvaluateRequest(A, B, C, baselines={"Zero-filled": A, "x=y": B})),
        ["evaluate", str(A), str(B), "--output", str(C), "--baseline", f"Zero-filled={A}", f"x=y={B}"],
    ),
    "evaluation alone": (Job(EvaluateRequest(A, B, C)), ["evaluate", str(A), str(B), "--output", str(C)]),
    "phantom": (Job(PhantomRequest(A, time_points=4)), ["phantom", str(A), "--time-points", "4", "--seed", "0"]),
    "downsampling": (Job(DownsampleRequest(A, B, fraction=0.25)), ["downsample", str(A), str(B), "--fraction", "0.25"]),
    "interpolation": (
        Job(InterpolateRequest(A, B, prior=C)),
        ["interpolate", str(A), str(B), "--like", str(C), "--method", "zero_filled"],
    ),
    "import": (Job(ImportModelRequest(A, C)), ["import-checkpoint", str(A), str(C)]),
}


@pytest.mark.parametrize("name", JOBS)
def test_arguments_are_those_of_the_command_line(name: str) -> None:
    job, expected = JOBS[name]
    assert job.arguments == ["-m", "SRDynamicMRILib", *expected, *WATCHED]
    parsed = build_parser().parse_args(job.arguments[2:])
    assert (parsed.command, parsed.progress, parsed.stop_with_stdin) == (job.kind.value, "json", True)


def test_every_kind_of_job_is_tried() -> None:
    assert {job.kind for job, _ in JOBS.values()} == set(Kind)


@pytest.mark.parametrize("kind", Kind)
def test_what_can_be_resumed_is_what_the_command_line_can_resume(kind: Kind) -> None:
    job = next(job for job, _ in JOBS.values() if job.kind is kind)
    resumed = job.resumed()
    assert resumed.arguments == [*job.arguments[:-3], "--resume", *WATCHED]
    assert job != resumed
    if job.can_be_resumed:
        assert build_parser().parse_args(resumed.arguments[2:]).resume
    else:
        with pytest.raises(InputError, match="--resume"):
            build_parser().parse_args(resumed.arguments[2:])
