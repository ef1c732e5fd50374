"""Runs commands in forked processes and kills them when told: loading PyTorch, which takes seconds, is done once.

Reads a JSON object a line, ``{"arguments": [...], "said": FILE, "seconds": S}``, and answers each with
``{"code": C, "seconds": S}``; the code is negative where the process was killed, which it is after so many seconds.
Fine-tuning with the budget ``quick`` is short here and keeps its state at every step.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from dataclasses import replace

import torch

from SRDynamicMRILib.cli.program import load_commands, main
from SRDynamicMRILib.models import budgets
from SRDynamicMRILib.models.recipes import DEFAULT, RECIPES
from SRDynamicMRILib.training import optimisation

STEPS = 24


def run(arguments: list[str], said: str) -> None:
    """Be the forked process: run a command and end."""
    file = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(file, 1)
    os.dup2(file, 2)
    try:
        code = main(arguments)
    except BaseException:
        code = 99
    sys.stdout.flush()
    os._exit(code)


def outcome(child: int, seconds: float) -> tuple[int, float]:
    """Wait for the forked process, kill it when its time is over; exit code and seconds that it ran."""
    begun = time.monotonic()
    while time.monotonic() - begun < seconds:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status), time.monotonic() - begun
        time.sleep(0.0005)
    os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), time.monotonic() - begun


if __name__ == "__main__":
    load_commands()
    torch.set_num_threads(1)
    RECIPES["default"] = replace(DEFAULT, patch=(8, 16, 16))
    budgets.BUDGETS["quick"] = budgets.TrainingBudget("quick", STEPS)
    optimisation.optimise.__kwdefaults__["save_every"] = 0.0
    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if child == 0:
            run(order["arguments"], order["said"])
        code, took = outcome(child, order["seconds"])
        sys.stdout.write(json.dumps({"code": code, "seconds": took}) + "\n")
        sys.stdout.flush()
