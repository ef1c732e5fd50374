"""Too little memory for a network."""

from __future__ import annotations

import pytest
import torch

from SRDynamicMRILib.networks.unet import UNet3D

CUDA_OUT = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")
CPU_OUT = RuntimeError(
    "[enforce fail at alloc_cpu.cpp:121] err == 0. DefaultCPUAllocator: can't allocate memory: "
    "you tried to allocate 800000000000 bytes. Error code 12 (Cannot allocate memory)"
)


class ShortOfMemory:
    """A forward pass for which there is memory only for few voxels at a time."""

    def __init__(self, voxels: int, error: Exception) -> None:
        self.voxels, self.error, self.real = voxels, error, UNet3D.forward

    def __call__(self, network: UNet3D, x: torch.Tensor) -> torch.Tensor:
        if x.numel() > self.voxels:
            raise self.error
        return self.real(network, x)


def limit(monkeypatch: pytest.MonkeyPatch, voxels: int, error: Exception) -> None:
    short = ShortOfMemory(voxels, error)
    monkeypatch.setattr(UNet3D, "forward", lambda network, x: short(network, x))
