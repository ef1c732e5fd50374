"""``sr-dynamic-mri demo``: the whole pipeline on a synthetic abdomen."""

from __future__ import annotations

from ..demo import run_demo
from ..progress import Progress
from ..requests import DemoRequest
from .outputs import Outputs


def run(request: DemoRequest, progress: Progress) -> Outputs:
    """Run the whole pipeline on the synthetic abdomen."""
    return run_demo(request.outdir, seed=request.seed, device=request.device, progress=progress)
