"""What a training tells, as curves in TensorBoard."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..progress import Progress


class TensorBoardProgress(Progress):
    """Passes everything on, and draws losses and validation figures.

    Parameters
    ----------
    folder
        Where TensorBoard looks for the curves.
    listener
        Is told everything too.

    Raises
    ------
    InputError
        If TensorBoard is not installed.
    """

    def __init__(self, folder: Path, listener: Progress) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ModuleNotFoundError as error:
            message = "The log needs TensorBoard; install the extra with: pip install SRDynamicMRI[training]."
            raise InputError(message) from error
        self._writer: Any = SummaryWriter(str(folder))
        self._listener = listener
        self.watched = listener.watched

    def __enter__(self) -> TensorBoardProgress:
        return self

    def __exit__(self, *error: object) -> None:
        self._writer.close()

    def stage(self, name: str) -> None:
        """Pass on."""
        self._listener.stage(name)

    def step(self, done: int, total: int) -> None:
        """Pass on."""
        self._listener.step(done, total)

    def log(self, message: str) -> None:
        """Pass on."""
        self._listener.log(message)

    def warn(self, message: str) -> None:
        """Pass on."""
        self._listener.warn(message)

    def loss(self, step: int, value: float) -> None:
        """Draw and pass on."""
        self._writer.add_scalar("loss", value, step)
        self._listener.loss(step, value)

    def validation(self, step: int, scores: Mapping[str, float]) -> None:
        """Draw and pass on."""
        for name, value in scores.items():
            self._writer.add_scalar(name.replace(" ", "/"), value, step)
        self._writer.flush()
        self._listener.validation(step, scores)
