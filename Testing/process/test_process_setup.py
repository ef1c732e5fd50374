"""What holds from the first moment of a process: threads, Ctrl-C, standard streams, other processes of a job."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers.command_line import QUIET, Command
from helpers.operating_system import needs_posix
from helpers.patient import FRACTION, Patient
from helpers.project import ROOT

COMMAND = (sys.executable, "-m", "SRDynamicMRILib")
STANDBY = (sys.executable, "-m", "SRDynamicMRILib.cli.preloaded")
CONSOLE_SCRIPT = (sys.executable, "-c", "import sys; from SRDynamicMRILib.__main__ import main; sys.exit(main())")
STARTS = {"python -m": COMMAND, "console script": CONSOLE_SCRIPT, "standby": STANDBY}


def environment(*paths: Path, **variables: str) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.endswith(("_NUM_THREADS", "WAIT_POLICY"))}
    return {**own, "PYTHONPATH": os.pathsep.join(map(str, (*paths, ROOT))), **variables}


# Threads

SHOW_THREADS = """
import os, sys
sys.exit(os.environ.get("OMP_WAIT_POLICY", "-") + " " + os.environ.get("OPENBLAS_NUM_THREADS", "-"))
"""


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize(
    ("given", "found"),
    [({}, "PASSIVE 1"), ({"OMP_WAIT_POLICY": "ACTIVE", "OPENBLAS_NUM_THREADS": "3"}, "ACTIVE 3")],
    ids=["not given", "given"],
)
def test_threads_are_limited_before_numpy_is_loaded(
    tmp_path: Path, start: str, given: dict[str, str], found: str
) -> None:
    (tmp_path / "numpy.py").write_text(SHOW_THREADS)
    words = (*STARTS[start], "info", "none")
    ended = subprocess.run(words, env=environment(tmp_path, **given), capture_output=True, text=True, check=False)
    assert ended.stderr == f"{found}\n"


def test_the_program_is_started_the_same_way() -> None:
    assert 'sr-dynamic-mri = "SRDynamicMRILib.__main__:main"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")


SPENT = """
import os, sys, time
before = dict(os.environ)
import numpy as np, torch
from SRDynamicMRILib.acquisition.interpolation import non_negative, trilinear
torch.set_num_threads(1)
image = np.ones((24, 128, 96), np.float32)
trilinear(image, (256, 192))
non_negative(image, (256, 192), iterations=1)  # computes matrices once, by NumPy
time.sleep(1)
whole, own = time.process_time(), time.thread_time()
non_negative(image, (256, 192), iterations=2)
trilinear(image, (256, 192))
print((time.process_time() - whole) / (time.thread_time() - own))
assert dict(os.environ) == before, "the environment belongs to the user"
"""


@pytest.mark.skipif(os.cpu_count() == 1, reason="there is one core")
def test_resampling_in_python_uses_as_many_threads_as_pytorch_may() -> None:
    words = (sys.executable, "-c", SPENT)
    ended = subprocess.run(words, env=environment(), capture_output=True, text=True, check=True)
    assert float(ended.stdout) < 1.1, "no time of other threads, such as those of NumPy's BLAS"


# Ctrl-C while everything is loaded

SLOW = """
import os, time
os.write(2, b"loading\\n")
try:
    time.sleep(60)
except BaseException:
    raise ImportError("half a module")
"""


@needs_posix
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM], ids=lambda s: s.name)
@pytest.mark.parametrize("module", ["numpy", "torch"])
@pytest.mark.parametrize("start", STARTS)
def test_a_signal_while_modules_are_loaded_ends_the_process(
    tmp_path: Path, patient: Patient, start: str, module: str, sent: signal.Signals
) -> None:
    (tmp_path / f"{module}.py").write_text(SLOW)
    words = (*STARTS[start], "info", str(patient.model), "--progress", "json")
    pipe = subprocess.PIPE
    process = subprocess.Popen(words, env=environment(tmp_path), stdin=pipe, stdout=pipe, stderr=pipe, text=True)
    assert process.stderr is not None
    assert process.stderr.readline() == "loading\n"
    process.send_signal(sent)
    said, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (130, "Cancelled.\n")
    told = module == "torch" and start != "standby"  # the arguments are known by then
    assert said == ('{"event": "error", "message": "Cancelled."}\n' if told else "")


@needs_posix
def test_ctrl_c_stays_ignored_in_the_background(tmp_path: Path) -> None:
    (tmp_path / "numpy.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\nraise SystemExit(7)")
    words = ("sh", "-c", 'trap "" INT; exec "$@"', "sh", *COMMAND, "info", "none")
    ended = subprocess.run(words, env=environment(tmp_path), capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (7, "")


# Standard streams


def in_a_shell(redirection: str, *arguments: object, unbuffered: str = "") -> tuple[int, str, str]:
    words = ["sh", "-c", f'exec "$@" {redirection}', "sh", *COMMAND, *map(str, arguments)]
    variables = environment(PYTHONUNBUFFERED=unbuffered)
    ended = subprocess.run(words, env=variables, capture_output=True, text=True, check=False)
    assert "Traceback" not in ended.stderr
    assert "Exception ignored" not in ended.stderr
    return ended.returncode, ended.stdout, ended.stderr


@needs_posix
@pytest.mark.parametrize("unbuffered", ["", "1"], ids=["buffered", "unbuffered"])
@pytest.mark.parametrize("words", ["--version", "--help", "superresolve --help"])
@pytest.mark.parametrize("redirection", [">/dev/full", ">&-"])
def test_what_cannot_be_printed_is_an_error(redirection: str, words: str, unbuffered: str) -> None:
    code, _, errors = in_a_shell(redirection, *words.split(), unbuffered=unbuffered)
    assert code == 2
    assert errors.count("\n") == 1
    assert "written" in errors


@needs_posix
@pytest.mark.parametrize("words", ["--version", "--help"])
@pytest.mark.parametrize("redirection", ["2>/dev/full", "2>&-"])
def test_standard_error_is_not_needed_to_print(redirection: str, words: str) -> None:
    code, printed, _ = in_a_shell(redirection, words)
    assert code == 0
    assert "SRDynamicMRI" in printed or "sr-dynamic-mri" in printed


@needs_posix
@pytest.mark.parametrize("redirection", ["2>/dev/full", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_wrong_arguments_are_wrong_without_anybody_to_tell(redirection: str) -> None:
    assert in_a_shell(redirection, "downsample")[0] == 2


@needs_posix
@pytest.mark.parametrize("redirection", [">/dev/full", ">&-"])
def test_events_that_cannot_be_written_end_the_command(patient: Patient, tmp_path: Path, redirection: str) -> None:
    out = tmp_path / "o.nii.gz"
    arguments = ("downsample", patient.low, out, "--fraction", FRACTION, "--progress", "json")
    code, _, errors = in_a_shell(redirection, *arguments)
    assert code == 2
    assert errors.startswith("Standard output cannot be written to")
    assert errors.count("\n") == 1
    assert not out.exists()


@needs_posix
@pytest.mark.parametrize("redirection", [">/dev/full", ">&-", "2>/dev/full", "<&- >&- 2>&-"])
def test_a_command_that_needs_no_stream_goes_on(patient: Patient, tmp_path: Path, redirection: str) -> None:
    out = tmp_path / "o.nii.gz"
    code, printed, _ = in_a_shell(redirection, "downsample", patient.low, out, "--fraction", FRACTION)
    assert (code, printed) == (0, "")
    assert out.is_file()


# --progress json


@pytest.mark.parametrize(
    "words",
    ["downsample --progress json", "downsample --progress=json a b --fraction x", "none --progress json"],
)
def test_wrong_arguments_are_an_event_too(words: str) -> None:
    code, printed, errors = in_a_shell("", *words.split())
    assert code == 2
    assert errors.count("\n") == 1
    assert json.loads(printed) == {"event": "error", "message": errors.rstrip("\n")}


# Several processes

MEETING = """
import sys, time
from SRDynamicMRILib.process.distributed import process_group, rank, wait
from SRDynamicMRILib.process.setup import cancel_on_signals
cancel_on_signals()
with process_group(130):
    print("met", flush=True)
    if rank():
        time.sleep(60)
    wait()
"""


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def process_of_two(rank: int, port: int) -> subprocess.Popen[str]:
    job = {"WORLD_SIZE": "2", "RANK": str(rank), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    variables = environment(OMP_NUM_THREADS="1", **job)
    words = [sys.executable, "-c", MEETING]
    return subprocess.Popen(words, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def assert_ends_soon(process: subprocess.Popen[str], sent: signal.Signals) -> None:
    time.sleep(0.2)
    process.send_signal(sent)
    begun = time.monotonic()
    errors = process.communicate(timeout=60)[1]
    assert (process.returncode, errors.splitlines()[-1]) == (130, "Cancelled.")
    assert "Traceback" not in errors
    assert time.monotonic() - begun < 8, "before the time is over that a command has to put its things in order"


@needs_posix
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM], ids=lambda s: s.name)
def test_a_process_that_waits_for_the_others_to_start_can_be_ended(sent: signal.Signals) -> None:
    port = free_port()
    process = process_of_two(0, port)
    while process.poll() is None:
        with socket.socket() as other:
            if other.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.05)
    assert_ends_soon(process, sent)


def test_a_process_that_waits_for_the_others_to_finish_can_be_ended() -> None:
    port = free_port()
    first, other = process_of_two(0, port), process_of_two(1, port)
    try:
        assert first.stdout is not None
        assert first.stdout.readline() == "met\n"
        assert_ends_soon(first, signal.SIGTERM)
    finally:
        other.kill()
        other.communicate()


@pytest.mark.parametrize(
    ("job", "phrase"),
    [
        ({"WORLD_SIZE": "2"}, "RANK, MASTER_ADDR, MASTER_PORT"),
        ({"WORLD_SIZE": "2", "RANK": "0"}, "MASTER_ADDR, MASTER_PORT"),
        ({"RANK": "1"}, "WORLD_SIZE, MASTER_ADDR, MASTER_PORT"),
        ({"WORLD_SIZE": "two", "RANK": "0"}, "'two'"),
        ({"WORLD_SIZE": "2", "RANK": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}, "RANK has to be below"),
        ({"WORLD_SIZE": "2", "RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "none"}, "127.0.0.1:none"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else "",
)
def test_a_job_that_is_described_in_part_is_refused(
    command: Command,
    patient: Patient,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    job: dict[str, str],
    phrase: str,
) -> None:
    for name, value in job.items():
        monkeypatch.setenv(name, value)
    outcome = command("superresolve", patient.low, tmp_path / "o.nii.gz", *QUIET)
    assert (outcome.code, outcome.out) == (2, "")
    assert phrase in outcome.err
    assert outcome.err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_job_of_one_process_is_no_job(
    command: Command, patient: Patient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert command("downsample", patient.low, tmp_path / "o.nii.gz", "--fraction", FRACTION, *QUIET).code == 0


@pytest.mark.parametrize("threads", [0, -1, 5_000_000])
def test_impossible_numbers_of_threads(command: Command, patient: Patient, tmp_path: Path, threads: int) -> None:
    outcome = command("downsample", patient.low, tmp_path / "o.nii.gz", "--fraction", FRACTION, "--threads", threads)
    assert outcome.code == 2
    assert str(threads) in outcome.err
    assert outcome.err.count("\n") == 1
