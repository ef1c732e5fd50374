"""The parts of the panel that need neither Qt nor MRML."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from enum import Enum
from pathlib import Path

import pytest
from helpers.processes import FakeTimer
from SRDynamicMRISlicer.background import in_background
from SRDynamicMRISlicer.jobs import process_tree
from SRDynamicMRISlicer.jobs.graphics_cards import Device, devices, with_chosen
from SRDynamicMRISlicer.jobs.process_tree import kill_tree
from SRDynamicMRISlicer.panel import help_text
from SRDynamicMRISlicer.presenter import panel_choices
from SRDynamicMRISlicer.presenter.panel_choices import Arrangement, Metric, TrainingBudget
from SRDynamicMRISlicer.step_queue import StepQueue, at_once

from SRDynamicMRILib.errors import InputError
from SRDynamicMRILib.models.budgets import BUDGETS

# Ending processes


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and is not waited for does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def family(folder: Path) -> tuple[subprocess.Popen[bytes], list[int]]:
    """A process with a child and two grandchildren, all of which ignore polite requests."""
    code = textwrap.dedent(
        """
        import os, signal, subprocess, sys, time
        from pathlib import Path
        for name in ("SIGTERM", "SIGINT", "SIGHUP"):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
        depth, folder = int(sys.argv[1]), Path(sys.argv[2])
        for _ in range(depth):
            subprocess.Popen([sys.executable, __file__, str(depth - 1), str(folder)], start_new_session=True)
        (folder / str(os.getpid())).write_text("")
        time.sleep(600)
        """
    )
    file = folder / "a (b) c.py"
    file.write_text(code)
    places = folder / "running"
    places.mkdir()
    parent = subprocess.Popen([sys.executable, str(file), "2", str(places)])
    end = time.monotonic() + 60
    while len(list(places.iterdir())) < 5:
        assert time.monotonic() < end
        time.sleep(0.05)
    return parent, [int(path.name) for path in places.iterdir()]


def all_ended(pids: list[int]) -> bool:
    end = time.monotonic() + 10
    while any(map(alive, pids)):
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


@pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")
@pytest.mark.parametrize("with_proc", [True, False], ids=["as Linux", "as macOS"])
def test_a_process_is_killed_with_all_that_it_has_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, with_proc: bool
) -> None:
    if not with_proc:
        monkeypatch.setattr(process_tree, "_PROCESSES", tmp_path / "none")
    parent, pids = family(tmp_path)
    assert len(pids) == 5
    assert all(map(alive, pids))
    kill_tree(parent.pid)
    assert parent.wait(10) == -9
    assert all_ended(pids)
    assert alive(os.getpid())


def test_windows_kills_the_tree_without_opening_a_console(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that has ended makes taskkill fail, which is no error either."""
    commands: list[tuple[list[str], dict[str, object]]] = []

    def run(command: list[str], **settings: object) -> subprocess.CompletedProcess[bytes]:
        commands.append((command, settings))
        return subprocess.CompletedProcess(command, 128)

    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(subprocess, "CREATE_NO_WINDOW", 0x08000000, raising=False)
    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(os, "kill", lambda *_: pytest.fail("os.kill ends one process only on Windows"))
    kill_tree(4711)
    [(command, settings)] = commands
    assert command == ["taskkill", "/PID", "4711", "/T", "/F"]
    assert settings["creationflags"] == 0x08000000
    assert settings["check"] is False


@pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")
def test_what_has_ended_already_is_no_error() -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    kill_tree(ended.pid)


@pytest.mark.parametrize("pid", [0, -1])
def test_a_number_that_means_many_processes_is_refused(pid: int) -> None:
    with pytest.raises(ValueError, match="not the number of a process"):
        kill_tree(pid)


# Graphics cards


def test_cards_have_their_names_and_free_memory() -> None:
    answer = "0, NVIDIA GeForce RTX 3050 Ti Laptop GPU, 3891\n1, Card, with comma, 81559\n"
    assert devices(answer) == [
        Device("auto", "Automatic"),
        Device("cuda:0", "NVIDIA GeForce RTX 3050 Ti Laptop GPU (3.8 GB free)"),
        Device("cuda:1", "Card, with comma (79.6 GB free)"),
        Device("cpu", "CPU"),
    ]


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.",
        "0, Card, [N/A]\n",
        ",\n,,\n",
    ],
)
def test_without_a_card_that_answers_there_is_the_cpu(answer: str) -> None:
    assert [device.key for device in devices(answer)] == ["auto", "cpu"]


def test_a_device_of_another_computer_stays_chosen() -> None:
    found = with_chosen(devices(), "cuda:3")
    assert found[-1] == Device("cuda:3", "cuda:3 (not found on this computer)")
    assert with_chosen(devices(), "cpu") == devices()


# Steps


def test_steps_are_done_one_at_a_time_in_order() -> None:
    timer, done = FakeTimer(), []
    queue = StepQueue(timer)
    queue.add([lambda: done.append(1), lambda: queue.add([lambda: done.append(4)]), lambda: done.append(2)])
    queue.add([lambda: done.append(3)])
    assert (done, queue.waiting, timer.waiting) == ([], 4, 1)
    queue._next()
    assert (done, queue.waiting) == ([1], 3)
    timer.advance(1)
    assert done == [1, 2, 3, 4]
    assert (queue.waiting, timer.waiting) == (0, 0)


def test_a_failed_step_drops_those_after_it_and_no_later_ones(lost_errors: list[BaseException]) -> None:
    timer, done, failed = FakeTimer(), [], []
    queue = StepQueue(timer)
    queue.failed.connect(failed.append)

    def fail() -> None:
        raise ValueError("gone")

    queue.add([fail, lambda: done.append(1)])
    timer.advance(1)
    assert [str(error) for error in failed] == ["gone"]
    assert (done, queue.waiting, timer.waiting) == ([], 0, 0)
    queue.add([lambda: done.append(2)])
    timer.advance(1)
    assert done == [2]


def test_steps_that_are_dropped_are_not_done() -> None:
    timer, done = FakeTimer(), []
    queue = StepQueue(timer)
    queue.add([lambda: done.append(1)])
    queue.clear()
    timer.advance(1)
    assert done == []
    queue.add([lambda: done.append(2)])
    timer.advance(1)
    assert done == [2]


def test_a_step_that_goes_on_is_done_before_the_next(lost_errors: list[BaseException]) -> None:
    timer, done, failed = FakeTimer(), [], []
    queue = StepQueue(timer)
    queue.failed.connect(failed.append)

    def counting(name: str, ends_badly: bool = False) -> Iterator[None]:
        for number in range(2):
            done.append(f"{name}{number}")
            yield
        if ends_badly:
            raise ValueError(name)

    queue.add([lambda: counting("a"), lambda: done.append("b")])
    assert queue.waiting == 2
    timer.advance(1)
    assert done == ["a0", "a1", "b"]
    queue.add([lambda: counting("c", ends_badly=True), lambda: done.append("d")])
    timer.advance(1)
    assert done[3:] == ["c0", "c1"]
    assert [str(error) for error in failed] == ["c"]

    def dropped() -> Iterator[None]:
        queue.clear()
        yield
        done.append("e")

    queue.add([dropped])
    timer.advance(1)
    assert "e" not in done
    assert (queue.waiting, timer.waiting) == (0, 0)


# Beside the main thread


def test_work_in_the_background_returns_and_raises() -> None:
    caller = threading.get_ident()
    where = at_once(in_background(threading.get_ident))
    assert where != caller

    def fail() -> None:
        raise InputError("The file is gone.")

    with pytest.raises(InputError, match="is gone"):
        at_once(in_background(fail))


def test_each_step_waits_only_a_moment_for_work_in_the_background() -> None:
    go_on = threading.Event()
    steps = in_background(lambda: go_on.wait(60))
    next(steps)
    next(steps)
    go_on.set()
    assert at_once(steps) is True


# Lists


@pytest.mark.parametrize(
    "name", ["TrainingBudget", "TimePoints", "Arrangement", "CompareMode", "CompareWith", "Metric"]
)
def test_every_choice_of_a_list_has_its_words(name: str) -> None:
    choices: type[Enum] = getattr(panel_choices, name)
    words = [choice.label() for choice in choices]  # type: ignore[attr-defined]
    assert len(set(words)) == len(words)
    assert all(word[0].isupper() for word in words)


def test_budgets_to_choose_are_those_of_the_library() -> None:
    assert [budget.value for budget in TrainingBudget] == list(BUDGETS)


def test_choices_of_the_comparison_are_those_of_the_views() -> None:
    from SRDynamicMRISlicer.comparison.layouts import Layout
    from SRDynamicMRISlicer.scene.metrics_nodes import SHOWN

    assert {layout.value for layout in Arrangement} == {layout.value for layout in Layout}
    assert tuple(metric.value for metric in Metric) == SHOWN


def test_the_help_has_a_tutorial_and_the_warning() -> None:
    text = help_text.help_text()
    assert text.count("<li>") == 6
    assert "Not for diagnosis" in text
    assert "102196 (2021)" in help_text.acknowledgement()
