"""The loss of a fine-tuning as points to draw."""

from __future__ import annotations

MOST_POINTS = 400


class LossCurve:
    """Points of a curve that grows without end: every n-th is kept, and the latest, n being doubled when room is short.

    Parameters
    ----------
    most
        Number of points that may be kept, besides the latest.
    """

    def __init__(self, most: int = MOST_POINTS) -> None:
        self._most = most
        self._kept: list[tuple[int, float]] = []
        self._latest: tuple[int, float] | None = None
        self._seen = 0
        self._every = 1

    @property
    def points(self) -> tuple[tuple[int, float], ...]:
        """Steps and losses, steps ascending."""
        if self._latest is None or self._kept[-1:] == [self._latest]:
            return tuple(self._kept)
        return (*self._kept, self._latest)

    def add(self, step: int, loss: float) -> None:
        """Add a point; one that is not after the latest is left out."""
        if self._latest is not None and step <= self._latest[0]:
            return
        self._latest = (step, loss)
        if self._seen % self._every == 0:
            self._kept.append(self._latest)
        self._seen += 1
        if len(self._kept) > self._most:
            self._kept = self._kept[::2]
            self._every *= 2
