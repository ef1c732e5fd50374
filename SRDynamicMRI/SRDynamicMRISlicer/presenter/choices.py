"""What the user has set in the panel."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .chosen_images import InputFacts
from .panel_choices import TimePoints


@dataclass(frozen=True)
class Choices:
    """What the user has set.

    Parameters
    ----------
    base_model
        File of the model to fine-tune or use; None for the shipped one.
    tuned_model, tuned_on
        File of the subject's fine-tuned model, and the id of the planning scan it was fine-tuned on; None and empty
        where there is none.
    use_tuned
        Whether to super-resolve with the fine-tuned model, where there is one.
    budget
        Of fine-tuning: quick, standard, long or paper.
    keep_contrast
        Whether the planning scan's intensities are never matched to the series.
    device
        auto, cpu, cuda:0, ...
    frames
        Time points to super-resolve.
    first, last
        The range of time points, numbered from 0, both included.
    shown
        The time point that the viewers show.
    fraction
        Share of in-plane k-space that the series holds, where nothing else tells.
    simulated_fraction
        Share of in-plane k-space that a simulated series keeps.
    seed
        Of everything random.
    """

    base_model: Path | None = None
    tuned_model: Path | None = None
    tuned_on: str = ""
    use_tuned: bool = True
    budget: str = "standard"
    keep_contrast: bool = False
    device: str = "auto"
    frames: TimePoints = TimePoints.ALL
    first: int = 0
    last: int = 0
    shown: int = 0
    fraction: float | None = None
    simulated_fraction: float = 0.0625
    seed: int = 0

    @property
    def model(self) -> Path | None:
        """File of the model to super-resolve with; None for the shipped one."""
        return self.tuned_model if self.use_tuned and self.tuned_model is not None else self.base_model

    def frame_range(self, time_points: int) -> tuple[int, int]:
        """First and last time point to super-resolve, in a series of so many."""
        ranges = {
            TimePoints.ALL: (0, time_points - 1),
            TimePoints.RANGE: (self.first, self.last),
            TimePoints.SHOWN: (self.shown, self.shown),
        }
        return ranges[self.frames]

    def frames_text(self) -> str:
        """The time points as the command line has them."""
        ranged, shown = f"{self.first}:{self.last + 1}", f"{self.shown}"
        return {TimePoints.ALL: "", TimePoints.RANGE: ranged, TimePoints.SHOWN: shown}[self.frames]

    def fraction_of(self, inputs: InputFacts) -> float | None:
        """Share of in-plane k-space that the series holds; None where nothing tells."""
        return self.fraction if self.fraction is not None else inputs.fraction
