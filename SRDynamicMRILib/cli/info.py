"""``sr-dynamic-mri info``: what is known about a model."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

from ..models.checkpoints import load_model
from ..progress import JsonProgress, Progress
from ..requests import InfoRequest
from .outputs import Outputs


def run(request: InfoRequest, progress: Progress) -> Outputs:
    """Print what is known about a model."""
    model = load_model(request.model)
    prior = None if model.prior is None else {"sha256": model.prior.sha256, "copy": model.prior.volume.shape}
    facts = {
        "file": str(request.model),
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
