"""What a model takes into account of an acquisition."""

from __future__ import annotations

from dataclasses import replace

import pytest

from SRDynamicMRILib.acquisition.acquisition import Acquisition
from SRDynamicMRILib.acquisition.windows import Window
from SRDynamicMRILib.inference.suited import known_to
from SRDynamicMRILib.models.checkpoints import Model
from SRDynamicMRILib.models.model_info import ModelInfo, new_network

STORED = Acquisition((16, 12), (32, 24), (32, 24), window=Window("hann"), noise=2.0, magnitude=True)
CUT = Acquisition((16, 12), (32, 24))


@pytest.mark.parametrize(
    ("architecture", "data_consistency", "known"),
    [
        ("ConditionedSubPixelNetwork", False, STORED),
        ("UNet3D", True, replace(CUT, magnitude=True)),
        ("UNet3D", False, CUT),
    ],
)
def test_a_model_knows_what_it_was_made_for(architecture: str, data_consistency: bool, known: Acquisition) -> None:
    info = ModelInfo(architecture=architecture, features=4, factor=2, data_consistency=data_consistency)
    assert known_to(Model(new_network(info), info), STORED) == known
