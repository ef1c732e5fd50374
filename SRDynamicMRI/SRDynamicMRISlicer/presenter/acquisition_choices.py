"""What the user declares of how the series was acquired; all else is recognised.

The library's part in it is loaded where something is declared: it takes long.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from SRDynamicMRILib.errors import InputError

from ..translation import _
from .chosen_images import ImageFacts
from .panel_choices import Intensities

if TYPE_CHECKING:
    from SRDynamicMRILib.acquisition.recognise import DeclaredAcquisition


@dataclass(frozen=True)
class AcquisitionChoices:
    """The fields of the panel, as they were filled in.

    Parameters
    ----------
    rows, columns
        Acquired matrix; 0 for as recognised.
    window
        What `Window.named` takes; empty for as recognised.
    noise
        A number as text; empty or negative for as recognised.
    intensities
        Magnitudes, or voxels that keep their sign.
    """

    rows: int = 0
    columns: int = 0
    window: str = ""
    noise: str = ""
    intensities: Intensities = Intensities.RECOGNISED

    def declared(self) -> DeclaredAcquisition:
        """The same for the library.

        Raises
        ------
        InputError
            If a field cannot be understood.
        """
        from SRDynamicMRILib.acquisition.recognise import DeclaredAcquisition
        from SRDynamicMRILib.acquisition.windows import Window

        if bool(self.rows) != bool(self.columns):
            raise InputError(_("Set rows and columns of the acquired matrix, or leave both as recognised."))
        matrix = (self.rows, self.columns) if self.rows else None
        window = Window.named(self.window) if self.window.strip() else None
        return DeclaredAcquisition(matrix, window, self._noise(), self.intensities.magnitude)

    def _noise(self) -> float | None:
        if not self.noise.strip():
            return None
        try:
            noise = float(self.noise)
        except ValueError as error:
            text = _("The noise is a number, but {noise} is none; give its standard deviation, such as 12.5.")
            raise InputError(text.format(noise=self.noise.strip())) from error
        return None if noise < 0 else noise

    @property
    def says_something(self) -> bool:
        """Whether any field was filled in."""
        return self != AcquisitionChoices()

    def fault(self, series: ImageFacts | None) -> str:
        """Why a series cannot have been acquired so; empty if it can."""
        if not self.says_something:
            return ""
        try:
            matrix = self.declared().acquired_matrix
        except InputError as error:
            return str(error)
        if matrix is None or series is None:
            return ""
        columns, rows, _slices = series.matrix
        if 2 <= matrix[0] <= rows and 2 <= matrix[1] <= columns:
            return ""
        text = _(
            "A series of {rows}x{columns} rows and columns cannot have an acquired matrix of {height}x{width}; "
            "set one that is not larger."
        )
        return text.format(rows=rows, columns=columns, height=matrix[0], width=matrix[1])

    def options(self) -> dict[str, Any]:
        """The same as options of a request; those that are left out have their defaults.

        Raises
        ------
        InputError
            As for `declared`.
        """
        if not self.says_something:
            return {}
        declared = self.declared()
        return {
            "acquired_matrix": declared.acquired_matrix,
            "window": None if declared.window is None else str(declared.window),
            "noise": declared.noise,
            "signed": declared.magnitude is False,
            "magnitude": declared.magnitude or None,
        }
