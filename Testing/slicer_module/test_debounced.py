"""What is done once changes have come to rest."""

from __future__ import annotations

from helpers.processes import FakeTimer
from SRDynamicMRISlicer.debounced import REST, Debounced


def test_a_burst_of_changes_is_one() -> None:
    timer, done = FakeTimer(), []
    debounced = Debounced(timer, lambda: done.append(timer()))
    for _change in range(3):
        debounced.changed()
        timer.advance(0.5 * REST)
    assert done == []
    timer.advance(REST)
    assert len(done) == 1
    debounced.changed()
    timer.advance(2 * REST)
    assert len(done) == 2


def test_what_is_stopped_is_not_done() -> None:
    timer, done = FakeTimer(), []
    debounced = Debounced(timer, lambda: done.append(1))
    debounced.changed()
    debounced.stop()
    timer.advance(2 * REST)
    assert done == []
