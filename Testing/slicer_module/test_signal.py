"""Signals: what is connected hears all, and a listener that fails is not silent."""

from __future__ import annotations

import pytest
from SRDynamicMRISlicer.signal import Signal

pytestmark = pytest.mark.usefixtures("lost_errors")


def test_signal_calls_all_in_order() -> None:
    signal: Signal[[int, str]] = Signal()
    heard: list[object] = []
    signal.connect(lambda n, s: heard.append((1, n, s)))
    signal.connect(lambda n, s: heard.append((2, n, s)))
    signal.emit(7, "x")
    assert heard == [(1, 7, "x"), (2, 7, "x")]
    signal.clear()
    signal.emit(8, "y")
    assert len(heard) == 2


def test_signal_calls_a_listener_once_and_not_after_disconnecting() -> None:
    signal: Signal[[]] = Signal()
    heard: list[int] = []

    def listener() -> None:
        heard.append(1)

    signal.connect(listener)
    signal.connect(listener)
    signal.emit()
    assert heard == [1]
    signal.disconnect(listener)
    signal.disconnect(listener)
    signal.emit()
    assert heard == [1]


def test_signal_listeners_may_disconnect_others_and_connect_more_while_it_emits() -> None:
    signal: Signal[[]] = Signal()
    heard: list[str] = []

    def second() -> None:
        heard.append("second")

    def third() -> None:
        heard.append("third")

    def first() -> None:
        heard.append("first")
        signal.disconnect(second)
        signal.connect(third)

    signal.connect(first)
    signal.connect(second)
    signal.emit()
    assert heard == ["first"], "what is connected meanwhile waits for the next time"
    signal.emit()
    assert heard == ["first", "first", "third"]


def test_a_failing_listener_stops_no_one_and_is_not_silent(lost_errors: list[BaseException]) -> None:
    signal: Signal[[]] = Signal()
    heard: list[int] = []

    def failing() -> None:
        raise ValueError("mine")

    signal.connect(failing)
    signal.connect(lambda: heard.append(1))
    signal.emit()
    assert heard == [1]
    assert [str(error) for error in lost_errors] == ["mine"]
    lost_errors.clear()
