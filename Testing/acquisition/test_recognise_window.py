"""No window is asserted that is not there: the planning scan's spectrum and the air tell, and a doubt is said."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from SRDynamicMRILib.acquisition.acquisition import Acquisition
from SRDynamicMRILib.acquisition.body import body_signal
from SRDynamicMRILib.acquisition.phase import smooth_phase
from SRDynamicMRILib.acquisition.recognise import DeclaredAcquisition, RecognisedAcquisition, recognise_acquisition
from SRDynamicMRILib.acquisition.simulate import rounded, stored_image
from SRDynamicMRILib.acquisition.windows import Window
from SRDynamicMRILib.geometry import Geometry
from SRDynamicMRILib.phantom import abdomen
from SRDynamicMRILib.volume import Series, Volume

FULL, ACQUIRED = (144, 192), (48, 64)


@cache
def scans() -> tuple[Volume, Volume]:
    """A planning scan and a time point in another breathing state."""
    made = abdomen(3, (4, *FULL), (1.9, 1.9, 9.0), 2)
    geometry = Geometry((4, *FULL), (1.9, 1.9, 9.0))
    return Volume(made.static.data, geometry), Volume(made.dynamic[1].data, geometry)


def recognised(
    window: str, snr: float | None, *, planning: bool, stored: tuple[int, int] = ACQUIRED
) -> RecognisedAcquisition:
    prior, scan = scans()
    noise = body_signal(scan.data) / snr if snr else 0.0
    acquisition = Acquisition(ACQUIRED, FULL, stored, window=Window.named(window), noise=noise, magnitude=True)
    phase = smooth_phase((4, *FULL), np.random.default_rng(5))
    phase *= 2 / phase.std()
    image = rounded(stored_image(scan.data, acquisition, phase=phase, rng=np.random.default_rng(0)))
    series = Series.of([Volume(image, scan.geometry.with_matrix(stored))])
    return recognise_acquisition(series, DeclaredAcquisition(ACQUIRED), prior if planning else None)


@pytest.mark.parametrize("snr", [None, 20.0])
@pytest.mark.parametrize("planning", [True, False])
def test_where_there_is_no_window_none_is_asserted(snr: float | None, planning: bool) -> None:
    assert recognised("none", snr, planning=planning).window.is_flat


@pytest.mark.parametrize("snr", [None, 20.0])
def test_the_planning_scan_shows_a_window(snr: float | None) -> None:
    found = recognised("hann", snr, planning=True, stored=(96, 128))
    weights = [window.weights((64, 64)) for window in (found.window, Window("hann"))]
    assert np.sqrt(np.square(weights[0] - weights[1]).mean()) < 0.1


@pytest.mark.parametrize("planning", [True, False])
def test_ringing_is_no_noise(planning: bool) -> None:
    found = recognised("none", None, planning=planning)
    assert found.noise < found.signal / 60


@pytest.mark.parametrize("window", ["none", "hann"])
def test_noise_is_found_beside_ringing(window: str) -> None:
    expected = body_signal(scans()[1].data) / 20
    assert recognised(window, 20.0, planning=True).noise == pytest.approx(expected, rel=0.25)


def test_a_planning_scan_that_is_too_coarse_changes_nothing() -> None:
    _, scan = scans()
    coarse = Volume(scan.data[:, ::6, ::6], scan.geometry.with_matrix((24, 32)))
    series = Series.of([Volume(scan.data, scan.geometry)])
    assert recognise_acquisition(series, None, coarse) == recognise_acquisition(series)
