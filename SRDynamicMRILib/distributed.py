"""Several processes at one job, started by ``torchrun``: who does what, and waiting for each other.

Without ``torchrun`` there is one process, and everything here does nothing.
"""

from __future__ import annotations

import datetime
import gc
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import Tensor
from torch import distributed as dist

from .errors import InputError

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
def process_group() -> Iterator[None]:
    """Join the other processes that ``torchrun`` has started, if it did.

    Raises
    ------
    InputError
        If this PyTorch cannot work with several processes.
    """
    if not started_by_torchrun():
        yield
        return
    if not dist.is_available():
        raise InputError("This PyTorch was built without distributed training; run the command without torchrun.")
    device = local_device()
    if device.type == "cuda":
        torch.cuda.set_device(device)
    # gloo beside NCCL: barriers and sums of numbers then work wherever the tensors are
    dist.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo", timeout=_PATIENCE)
    try:
        yield
        wait()  # none leaves while another still needs it
    finally:
        # DistributedDataParallel is part of a cycle: left to the interpreter's end, its threads can abort the process.
        gc.collect()
        dist.destroy_process_group()


def _running() -> bool:
    return dist.is_available() and dist.is_initialized()
