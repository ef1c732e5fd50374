"""How a series was acquired, in one line for the panel; what is only assumed is left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..translation import _

if TYPE_CHECKING:
    from SRDynamicMRILib.acquisition.recognise import RecognisedAcquisition


def acquisition_in_words(acquired: RecognisedAcquisition) -> str:
    """Matrix, intensities, window, shutter, partial Fourier and SNR."""
    words = [_matrix(acquired), _("magnitudes") if acquired.magnitude else _("sign kept")]
    if acquired.sources["window"] != "assumed":
        flat = acquired.window.is_flat
        words.append(_("no window") if flat else _("window {name}").format(name=acquired.window))
    if acquired.shutter == "ellipse":
        words.append(_("elliptical shutter"))
    if acquired.partial_fourier < 1:
        words.append(_("partial Fourier {eighths:.3g}/8").format(eighths=8 * acquired.partial_fourier))
    if acquired.sources["noise"] != "assumed":
        words.append(_noise(acquired))
    return "; ".join(words) + "."


def _matrix(acquired: RecognisedAcquisition) -> str:
    matrix, stored = (f"{rows}x{columns}" for rows, columns in (acquired.matrix, acquired.stored))
    if not acquired.interpolated:
        return _("Acquired and stored {stored} (rows x columns)").format(stored=stored)
    return _("Acquired {matrix}, stored {stored} (rows x columns)").format(matrix=matrix, stored=stored)


def _noise(acquired: RecognisedAcquisition) -> str:
    if not acquired.noise:
        return _("no noise")
    if not acquired.snr:  # the body's signal is not known
        return _("noise {noise:.3g}").format(noise=acquired.noise)
    at_least = not acquired.has_air and acquired.sources["noise"] == "data"
    text = _("SNR {snr:.3g} or more") if at_least else _("SNR {snr:.3g}")
    return text.format(snr=acquired.snr)
