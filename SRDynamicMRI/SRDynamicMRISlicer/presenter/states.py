"""What the module may be doing, and what may follow it."""

from __future__ import annotations

import enum
from collections.abc import Mapping

from ..jobs.job import Kind


class State(enum.Enum):
    """What the module is doing."""

    NO_INPUT = enum.auto()
    READY = enum.auto()
    FINE_TUNING = enum.auto()
    SUPER_RESOLVING = enum.auto()
    SIMULATING = enum.auto()
    """Makes data: the phantom, a low-resolution series, an imported model."""
    EVALUATING = enum.auto()
    CANCELLING = enum.auto()
    FAILED = enum.auto()
    DONE = enum.auto()


STATE_OF = {
    Kind.FINE_TUNE: State.FINE_TUNING,
    Kind.SUPER_RESOLVE: State.SUPER_RESOLVING,
    Kind.EVALUATE: State.EVALUATING,
    Kind.INTERPOLATE: State.EVALUATING,
    Kind.PHANTOM: State.SIMULATING,
    Kind.DOWNSAMPLE: State.SIMULATING,
    Kind.IMPORT_MODEL: State.SIMULATING,
}
RUNNING = frozenset(STATE_OF.values())

_AFTER_RUNNING = frozenset({State.CANCELLING, State.FAILED, State.DONE})
TRANSITIONS: Mapping[State, frozenset[State]] = {
    # Without input one can still make some, or fail to.
    State.NO_INPUT: frozenset({State.READY, State.SIMULATING, State.FAILED}),
    State.READY: frozenset({State.NO_INPUT, State.FAILED}) | RUNNING,
    **dict.fromkeys(RUNNING, _AFTER_RUNNING),
    # What was finished before it could be cancelled is done.
    State.CANCELLING: frozenset({State.NO_INPUT, State.READY, State.DONE}),
    State.FAILED: frozenset({State.NO_INPUT, State.READY, State.FAILED}) | RUNNING,
    State.DONE: frozenset({State.NO_INPUT, State.READY, State.FAILED}) | RUNNING,
}


def check_transition(before: State, after: State) -> None:
    """Raise `RuntimeError` if a state does not follow another."""
    if after not in TRANSITIONS[before]:
        message = f"{after.name} does not follow {before.name}"
        raise RuntimeError(message)
