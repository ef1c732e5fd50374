"""A job of the module: a request to SRDynamicMRILib, and what the module has to know of it."""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace

from SRDynamicMRILib.requests import FineTuneRequest, Request, SuperResolveRequest


class Kind(enum.Enum):
    """What a job does; the value is the command."""

    FINE_TUNE = "finetune"
    SUPER_RESOLVE = "superresolve"
    EVALUATE = "evaluate"
    PHANTOM = "phantom"
    DOWNSAMPLE = "downsample"
    INTERPOLATE = "interpolate"
    IMPORT_MODEL = "import-checkpoint"


@dataclass(frozen=True)
class Job:
    """One request to the worker.

    Parameters
    ----------
    request
        What it asks.
    """

    request: Request

    @property
    def kind(self) -> Kind:
        """What it does."""
        return Kind(self.request.command)

    @property
    def can_be_resumed(self) -> bool:
        """Whether an interrupted run leaves something to go on from."""
        return isinstance(self.request, FineTuneRequest | SuperResolveRequest)

    def resumed(self) -> Job:
        """The same job, going on where it was interrupted; one that cannot be resumed starts anew."""
        if isinstance(self.request, FineTuneRequest | SuperResolveRequest):
            return Job(replace(self.request, resume=True))
        return self
