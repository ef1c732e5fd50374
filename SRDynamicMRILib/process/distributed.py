"""Several processes at one job, started by ``torchrun``: who does what, and waiting for each other.

Without ``torchrun`` there is one process, and everything here does nothing.
"""

from __future__ import annotations

import datetime
import gc
import os
import signal
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TypeVar

import torch
from torch import Tensor
from torch import distributed as dist

from ..errors import InputError
from .stop_with_stdin import GRACE

Item = TypeVar("Item")

_PATIENCE = datetime.timedelta(hours=12)
"""How long a process waits for the others: one may be fine-tuning while the rest have nothing left to do."""


def rank() -> int:
    """Number of this process, from 0."""
    return dist.get_rank() if _running() else 0


def ranks() -> int:
    """Number of processes."""
    return dist.get_world_size() if _running() else 1


def is_first() -> bool:
    """Whether this is the process that writes what all have made."""
    return rank() == 0


def share(items: Sequence[Item]) -> list[Item]:
    """The items that this process has to do: every `ranks`-th one."""
    return list(items[rank() :: ranks()])


def wait() -> None:
    """Wait until every process has come here.

    Raises
    ------
    InputError
        If one of the others has ended; it says why.
    """
    if not _running():
        return
    try:
        with _waiting():
            dist.barrier()
    except RuntimeError as error:
        message = "Another process of this job has ended early; see what it said, and start all of them again."
        raise InputError(message) from error


def mean_over_ranks(values: Tensor) -> Tensor:
    """Mean of a tensor over all processes."""
    if _running():
        values = values.clone()
        dist.all_reduce(values)
        values /= ranks()
    return values


def check_environment() -> None:
    """Raise `InputError` if the variables that ``torchrun`` sets are there in part only, or make no sense."""
    given = {name: os.environ[name] for name in ("WORLD_SIZE", "RANK") if name in os.environ}
    if not given or (given.get("WORLD_SIZE") == "1" and given.get("RANK", "0") == "0"):
        return
    names = " and ".join(given)
    for name, text in given.items():
        if not (text.isascii() and text.isdecimal()):
            message = f"{name} is {text!r} where a number is needed; start the processes with torchrun, or unset it."
            raise InputError(message)
    missing = [name for name in ("WORLD_SIZE", "RANK", "MASTER_ADDR", "MASTER_PORT") if not os.environ.get(name)]
    if missing:
        message = (
            f"With {names} set this process is one of several, but they cannot meet without {', '.join(missing)}; "
            f"start them with torchrun, or unset {names}."
        )
        raise InputError(message)
    if int(given["RANK"]) >= int(given["WORLD_SIZE"]):
        message = f"RANK has to be below WORLD_SIZE, {given['WORLD_SIZE']}, but is {given['RANK']}; use torchrun."
        raise InputError(message)


def started_by_torchrun() -> bool:
    """Whether this process is one of several."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def is_extra() -> bool:
    """Whether ``torchrun`` has started this process beside a first one."""
    return int(os.environ.get("RANK", "0")) > 0


def local_device() -> torch.device:
    """Own GPU of this process; the CPU for all where there are fewer GPUs than processes on this machine."""
    here = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    if torch.cuda.is_available() and here <= torch.cuda.device_count():
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    return torch.device("cpu")


@contextmanager
def process_group(exit_code: int) -> Iterator[None]:
    """Join the other processes that ``torchrun`` has started, if it did.

    Parameters
    ----------
    exit_code
        Of a process that a signal ends while it waits for the others.

    Raises
    ------
    InputError
        If this PyTorch cannot work with several processes, or they do not find one another.
    """
    if not started_by_torchrun():
        yield
        return
    if not dist.is_available():
        raise InputError("This PyTorch was built without distributed training; run the command without torchrun.")
    device = local_device()
    if device.type == "cuda":
        torch.cuda.set_device(device)
    with _ended_by_signals(exit_code):
        try:
            with _waiting():
                # gloo beside NCCL: barriers and sums of numbers then work wherever the tensors are
                backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
                dist.init_process_group(backend, timeout=_PATIENCE)
        except (RuntimeError, ValueError) as error:
            place = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
            reason = str(error).splitlines()[0].rstrip(".")
            message = f"The processes cannot meet at {place} ({reason}); start all of them with torchrun."
            raise InputError(message) from error
        try:
            yield
            wait()  # none leaves while another still needs it
        finally:
            # DistributedDataParallel is part of a cycle: left to the interpreter's end, its threads can abort the
            # process.
            gc.collect()
            dist.destroy_process_group()


_waits = threading.Event()
"""Set while this process waits for the others and has nothing else to do."""


@contextmanager
def _waiting() -> Iterator[None]:
    _waits.set()
    try:
        yield
    finally:
        _waits.clear()


@contextmanager
def _ended_by_signals(exit_code: int) -> Iterator[None]:
    """End the process on Ctrl-C and SIGTERM also where it waits in PyTorch, which does not let Python handle them.

    At once where it only waits; else, as a sum over the processes may wait too, when `GRACE` is over and it has not
    ended by itself.
    """
    if threading.current_thread() is not threading.main_thread():  # signals belong to that one
        yield
        return
    receiving, sending = socket.socketpair()  # on Windows, signals wake sockets only
    sending.setblocking(False)
    ended = threading.Event()

    def watch() -> None:
        while received := receiving.recv(1):
            if received[0] in (signal.SIGINT, signal.SIGTERM):
                if _waits.is_set() or not ended.wait(GRACE):
                    with suppress(OSError):
                        os.write(2, b"Cancelled.\n")
                    os._exit(exit_code)
                return

    before = signal.set_wakeup_fd(sending.fileno(), warn_on_full_buffer=False)
    watcher = threading.Thread(target=watch, name="signals", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        signal.set_wakeup_fd(before)
        sending.close()
        watcher.join()
        receiving.close()


def _running() -> bool:
    return dist.is_available() and dist.is_initialized()
