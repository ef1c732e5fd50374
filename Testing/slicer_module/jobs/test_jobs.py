"""Jobs: which commands there are, and what can be gone on with."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import pytest
from SRDynamicMRISlicer.jobs.job import Job, Kind

from SRDynamicMRILib.requests import (
    REQUESTS,
    DownsampleRequest,
    EvaluateRequest,
    FineTuneRequest,
    ImportCheckpointRequest,
    InterpolateRequest,
    PhantomRequest,
    Request,
    SuperResolveRequest,
)

A, B, C = Path("/a b/ä.nii.gz"), Path("/b.nii.gz"), Path("/c.safetensors")

ASKED: dict[Kind, Request] = {
    Kind.FINE_TUNE: FineTuneRequest(prior=A, series=B, output=C),
    Kind.SUPER_RESOLVE: SuperResolveRequest(input=A, output=B),
    Kind.EVALUATE: EvaluateRequest(result=A, truth=B, output=C),
    Kind.PHANTOM: PhantomRequest(outdir=A),
    Kind.DOWNSAMPLE: DownsampleRequest(input=A, output=B, fraction=0.25),
    Kind.INTERPOLATE: InterpolateRequest(input=A, output=B, like=C, method="zero_filled"),
    Kind.IMPORT_MODEL: ImportCheckpointRequest(input=A, output=C),
}


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_is_a_command(kind: Kind) -> None:
    assert Job(ASKED[kind]).kind is kind
    assert type(ASKED[kind]) is REQUESTS[kind.value]


@pytest.mark.parametrize("kind", Kind)
def test_what_can_be_resumed_is_what_the_command_can_resume(kind: Kind) -> None:
    job = Job(ASKED[kind])
    assert job.can_be_resumed == ("resume" in {one.name for one in fields(job.request)})
    expected = replace(job.request, resume=True) if job.can_be_resumed else job.request
    assert job.resumed() == Job(expected)
