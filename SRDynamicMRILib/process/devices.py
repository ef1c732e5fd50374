"""Where to compute."""

from __future__ import annotations

import os

import torch

from ..errors import InputError
from .distributed import local_device
from .precision import Precision

_MOST_THREADS = 64
"""Of a computer with fewer cores: a script for a larger one still runs, but no system is asked for thousands."""


def device_named(name: str) -> torch.device:
    """Return the device to compute on.

    Parameters
    ----------
    name
        ``auto`` (a CUDA GPU if there is one, else the CPU; each process of ``torchrun`` takes its own), ``cpu``,
        ``cuda``, ``cuda:1``, ...

    Raises
    ------
    InputError
        If there is no such device here.
    """
    if name == "auto":
        return local_device()
    try:
        device = torch.device(name)
        torch.empty(1, device=device).cpu()
    except (RuntimeError, AssertionError, ValueError, NotImplementedError) as error:
        message = f"There is no device {name} on this computer; use auto or cpu."
        raise InputError(message) from error
    return device


def fastest_precision(device: torch.device) -> Precision:
    """Return bfloat16 where a device multiplies it faster than float32: a step of fine-tuning then takes half the time.

    Other CPUs can compute with bfloat16 too, but only by way of float32.
    """
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.get_device_capability(device) >= (8, 0) else "float32"
    # PyTorch has no public question for this; a version that drops these answers trains in float32.
    answers = [getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported")]
    supported = device.type == "cpu" and any(answer() for answer in answers if answer is not None)
    return "bfloat16" if supported else "float32"


def is_out_of_memory(error: BaseException) -> bool:
    """Whether PyTorch ran out of memory: on CPUs it says so in words only."""
    return isinstance(error, torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error)


def set_threads(number: int) -> None:
    """Compute with that many CPU threads.

    Raises
    ------
    InputError
        If there cannot be so many.
    """
    cores = os.cpu_count() or 1
    most = max(cores, _MOST_THREADS)
    if not 1 <= number <= most:
        message = (
            f"The number of threads must be from 1 to {most}, but it is {number}; more than the {cores} cores of "
            f"this computer do not make it faster."
        )
        raise InputError(message)
    torch.set_num_threads(number)
