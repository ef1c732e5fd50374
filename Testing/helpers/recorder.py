"""A listener to progress."""

from __future__ import annotations

from collections.abc import Mapping

from SRDynamicMRILib.progress import Progress


class Recorder(Progress):
    """Remembers what it is told, and can cancel the work after a step."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.stop_after = stop_after
        self.steps: list[tuple[int, int]] = []
        self.losses: list[tuple[int, float]] = []
        self.validations: list[tuple[int, dict[str, float]]] = []
        self.messages: list[str] = []

    def step(self, done: int, total: int) -> None:
        self.steps.append((done, total))
        if done == self.stop_after:
            raise KeyboardInterrupt

    def loss(self, step: int, value: float) -> None:
        self.losses.append((step, value))

    def validation(self, step: int, scores: Mapping[str, float]) -> None:
        self.validations.append((step, dict(scores)))

    def log(self, message: str) -> None:
        self.messages.append(message)
