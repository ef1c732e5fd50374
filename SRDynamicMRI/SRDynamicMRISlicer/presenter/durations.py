"""How long work will take: on this computer by what earlier work took, and while it runs by its own speed."""

from __future__ import annotations

import math
from collections.abc import Callable, MutableMapping

from SRDynamicMRILib.models.budgets import BUDGETS
from SRDynamicMRILib.models.recipes import PAPER

from ..translation import _
from .chosen_images import ImageFacts

START = 10.0
"""Seconds until a worker has loaded PyTorch and the images."""

# Longer than on most computers: it is better to be ready early. The GPU's are by a factor that any GPU reaches.
_STEP = {"default": 1.0, "paper": 20.0}
_VOXEL = 2e-5
_GPU = 0.1

_SHARE_OF_NEW = 0.5
_MEMORY = 15.0
_STEPS_IN_MEMORY = 4.0


def duration(seconds: float) -> str:
    """A time in words, as exact as an estimate is."""
    if seconds < 60:
        return _("{seconds} s").format(seconds=max(10, 5 * math.ceil(seconds / 5)))
    minutes = round(seconds / 60)
    if minutes < 60:
        return _("{minutes} min").format(minutes=minutes)
    return _("{hours} h {minutes} min").format(hours=minutes // 60, minutes=minutes % 60)


def result_voxels(series: ImageFacts, prior: ImageFacts | None, fraction: float | None) -> float:
    """Voxels of a super-resolved time point: the field of view of the series, the in-plane voxels of the prior."""
    low = math.prod(series.matrix)
    if prior is not None:
        return low * math.prod(series.spacing[:2]) / math.prod(prior.spacing[:2])
    return low / (fraction or 1.0)


def fine_tuning_steps(budget: str, prior: ImageFacts) -> int:
    """Optimisation steps of a budget; the paper's is one epoch over all patches of the planning scan.

    Raises
    ------
    KeyError
        If there is no such budget.
    """
    steps = BUDGETS[budget].steps
    if steps is not None:
        return steps
    patches = math.prod(max(n - p + 1, 1) for n, p in zip(prior.matrix[::-1], PAPER.patch, strict=True))
    return math.ceil(patches / PAPER.batch)


class Estimates:
    """Remembers how fast this computer is, from run to run.

    Parameters
    ----------
    store
        Where it is kept, such as the application's settings; may give back what it was given as text.
    """

    def __init__(self, store: MutableMapping[str, object]) -> None:
        self._store = store

    def fine_tuning(self, budget: str, device: str, prior: ImageFacts) -> float:
        """Seconds that fine-tuning will take."""
        key = self._step_key(budget, device)
        default = _STEP["paper" if budget == "paper" else "default"] * _factor(device)
        return START + fine_tuning_steps(budget, prior) * self._known(key, default)

    def super_resolution(self, device: str, voxels: float, time_points: int) -> float:
        """Seconds that super-resolution to so many voxels a time point will take."""
        return START + time_points * voxels * self._known(self._voxel_key(device), _VOXEL * _factor(device))

    def learn_step(self, budget: str, device: str, seconds: float) -> None:
        """Take note of the seconds that a step of fine-tuning has taken."""
        self._learn(self._step_key(budget, device), seconds)

    def learn_time_point(self, device: str, voxels: float, seconds: float) -> None:
        """Take note of the seconds that a super-resolved time point of so many voxels has taken."""
        self._learn(self._voxel_key(device), seconds / voxels)

    @staticmethod
    def _step_key(budget: str, device: str) -> str:
        return f"secondsPerStep/{'paper' if budget == 'paper' else 'default'}/{device}"

    @staticmethod
    def _voxel_key(device: str) -> str:
        return f"secondsPerVoxel/{device}"

    def _known(self, key: str, default: float) -> float:
        try:
            value = float(self._store[key])  # type: ignore[arg-type]
        except (KeyError, TypeError, ValueError):
            return default
        return value if math.isfinite(value) and value > 0 else default

    def _learn(self, key: str, seconds: float) -> None:
        if math.isfinite(seconds) and seconds > 0:
            before = self._known(key, seconds)
            self._store[key] = before + _SHARE_OF_NEW * (seconds - before)


def _factor(device: str) -> float:
    return _GPU if device.startswith("cuda") else 1.0


class TimeLeft:
    """How far a stage is and how long it will go on, from its steps so far; later steps count more.

    Parameters
    ----------
    clock
        Gives seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.restart()

    def restart(self) -> None:
        """Forget all: another stage begins now."""
        self.done = self.total = 0
        self.seconds_per_step: float | None = None
        self._last = self._clock()
        self._steps = self._seconds = 0.0

    def update(self, done: int, total: int) -> None:
        """Take note that so many steps are done."""
        now = self._clock()
        steps, passed = done - self.done, now - self._last
        # A stage whose first word is of many steps goes on where an earlier run was: nobody knows how long they took.
        known = steps > 0 and (self.done > 0 or steps == 1)
        self.done, self.total, self._last = done, total, now
        if known:
            # What is past fades within a quarter of a minute, or within some steps where these take longer.
            fading = math.exp(-passed / max(_MEMORY, _STEPS_IN_MEMORY * (self.seconds_per_step or 0.0)))
            self._steps = self._steps * fading + steps
            self._seconds = self._seconds * fading + passed
            self.seconds_per_step = self._seconds / self._steps

    @property
    def fraction(self) -> float | None:
        """Share of the steps that are done, 0 to 1; None where nothing is known."""
        return self.done / self.total if self.total else None

    @property
    def seconds(self) -> float | None:
        """Time left; None where nothing is known."""
        if self.seconds_per_step is None:
            return None
        return max(0.0, self.seconds_per_step * (self.total - self.done) - (self._clock() - self._last))
