"""What the user has set in the panel.

A field that has the name of a parameter (``keep_contrast`` for ``keepContrast``) is taken from the parameter node, and
a job whose request has a field of that name is given it. So an option is declared in four places: as a widget in the
.ui file, in `scene.parameters.Parameters`, here, and in the request.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from .acquisition_choices import AcquisitionChoices
from .chosen_images import ChosenImages
from .panel_choices import TimePoints


@dataclass(frozen=True)
class Choices:
    """What the user has set.

    Parameters
    ----------
    base_model
        File of the model to fine-tune or use; None for the pretrained one that fits best.
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
    time_point_selection
        Which time points to super-resolve.
    first_time_point, last_time_point
        The range of time points, numbered from 0, both included.
    shown
        The time point that the viewers show.
    fraction
        Of in-plane k-space that was acquired for the series, where nothing else tells.
    simulated_fraction
        Of in-plane k-space that a simulated series keeps.
    like_scanner
        Whether a simulated series is like a scanner's, with phase, noise and filter; else only its k-space is cut.
    seed
        Random seed.
    acquisition
        What is declared of how the series was acquired.
    """

    base_model: Path | None = None
    tuned_model: Path | None = None
    tuned_on: str = ""
    use_tuned: bool = True
    budget: str = "standard"
    keep_contrast: bool = False
    device: str = "auto"
    time_point_selection: TimePoints = TimePoints.ALL
    first_time_point: int = 0
    last_time_point: int = 0
    shown: int = 0
    fraction: float | None = None
    simulated_fraction: float = 0.0625
    like_scanner: bool = False
    seed: int = 0
    acquisition: AcquisitionChoices = field(default_factory=AcquisitionChoices)

    @property
    def model(self) -> Path | None:
        """File of the model to super-resolve with; None for the pretrained one that fits best."""
        return self.tuned_model if self.use_tuned and self.tuned_model is not None else self.base_model

    def time_point_range(self, time_points: int) -> tuple[int, int]:
        """First and last time point to super-resolve, in a series of so many."""
        ranges = {
            TimePoints.ALL: (0, time_points - 1),
            TimePoints.RANGE: (self.first_time_point, self.last_time_point),
            TimePoints.SHOWN: (self.shown, self.shown),
        }
        return ranges[self.time_point_selection]

    @property
    def frames(self) -> str | None:
        """The time points to super-resolve, as the command line has them; None for all."""
        ranged, shown = f"{self.first_time_point}:{self.last_time_point + 1}", f"{self.shown}"
        return {TimePoints.ALL: None, TimePoints.RANGE: ranged, TimePoints.SHOWN: shown}[self.time_point_selection]

    def fraction_of(self, images: ChosenImages) -> float | None:
        """Fraction of in-plane k-space that was acquired for the series; None where nothing tells."""
        return self.fraction if self.fraction is not None else images.fraction
