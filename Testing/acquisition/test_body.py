"""The body in an image: found in the phantom, whatever the unit."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from SRDynamicMRILib.acquisition.body import body_mask, body_signal
from SRDynamicMRILib.phantom import LABELS, abdomen


@pytest.mark.parametrize("seed", [0, 1])
def test_body_mask_is_the_body_and_a_rim_of_at_most_three_voxels(seed: int) -> None:
    patient = abdomen(seed, (10, 72, 96), (4.2, 4.2, 6.0), time_points=1)
    body = patient.labels != LABELS["air"]
    mask = body_mask(patient.static.data)
    assert mask.dtype == bool
    assert mask[body].mean() > 0.98
    distance = np.stack([ndimage.distance_transform_edt(~piece) for piece in body])
    assert distance[mask].max() <= 3
    assert mask[distance > 1].mean() < 0.08


def test_body_mask_does_not_depend_on_the_unit() -> None:
    image = abdomen(0, (4, 48, 64), (6.0, 6.0, 9.0), time_points=1).static.data
    np.testing.assert_array_equal(body_mask(image * np.float32(1000)), body_mask(image))


def test_body_mask_of_a_constant_volume_is_everything() -> None:
    assert body_mask(np.ones((3, 8, 8))).all()


def test_body_signal_is_the_mean_of_the_body_alone() -> None:
    patient = abdomen(0, (10, 72, 96), (4.2, 4.2, 6.0), time_points=1)
    image, body = patient.static.data, patient.labels != LABELS["air"]
    signal = float(image[body].mean())
    assert 0.85 * signal < body_signal(image) < signal, "the rim is darker"
    assert float(image.mean()) < 0.7 * signal
