"""``sr-dynamic-mri import-checkpoint``: a published PyTorch checkpoint as a model."""

from __future__ import annotations

from ..models.checkpoints import save_model
from ..models.import_checkpoint import import_checkpoint
from ..progress import Progress
from ..requests import ImportCheckpointRequest
from .outputs import Outputs, check_model_output


def run(request: ImportCheckpointRequest, progress: Progress) -> Outputs:
    """Turn a published PyTorch checkpoint into a model."""
    check_model_output(request.output)
    save_model(import_checkpoint(request.input, request.fractions), request.output)
    return {"model": request.output}
