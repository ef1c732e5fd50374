"""The devices to choose from, asked of the graphics driver: PyTorch is not to be loaded into Slicer for that."""

from __future__ import annotations

from dataclasses import dataclass

from ..translation import _

PROGRAM = "nvidia-smi"
ARGUMENTS = ("--query-gpu=index,name,memory.free", "--format=csv,noheader,nounits")
"""Asks for number, name and free memory in MiB. The worker is told to count the cards as the driver does."""


@dataclass(frozen=True)
class Device:
    """Something to compute on.

    Parameters
    ----------
    key
        As the command line has it.
    title
        As the user knows it.
    """

    key: str
    title: str


def devices(answer: str = "") -> list[Device]:
    """All devices of this computer.

    Parameters
    ----------
    answer
        What `PROGRAM` has said; empty if there is no such program.
    """
    return [Device("auto", _("Automatic")), *_cards(answer), Device("cpu", _("CPU"))]


def with_chosen(found: list[Device], key: str) -> list[Device]:
    """The devices, and the one that was chosen even if this computer has it not: a scene may come from another one."""
    if any(device.key == key for device in found):
        return found
    return [*found, Device(key, _("{name} (not found on this computer)").format(name=key))]


def _cards(answer: str) -> list[Device]:
    found = []
    for line in answer.splitlines():
        number, _comma, rest = line.partition(",")
        name, _comma, free = rest.rpartition(",")
        try:
            key, memory = f"cuda:{int(number)}", float(free) / 1024
        except ValueError:  # a message of the driver, or a card that does not tell
            continue
        found.append(Device(key, _("{name} ({memory:.1f} GB free)").format(name=name.strip(), memory=memory)))
    return found
