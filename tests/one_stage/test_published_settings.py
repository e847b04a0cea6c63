"""Every published configuration builds the published network and takes a training step."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from one_stage.labels import pyramid_points
from one_stage.losses import OneStageLossConstants, one_stage_losses
from one_stage.network import OneStageNetwork
from one_stage.weights import configured_architecture
from pipeline.stages import STAGES
from runtime.config import load_config

CONFIGS = Path(__file__).parents[2] / "configs"


@pytest.mark.parametrize(
    ("name", "channels", "classes", "millions"),
    [  # parameters as counted in the originals (OpenTAD's for HACS with ActionFormer)
        ("actionformer_thumos_i3d", 2048, 20, 29.3),
        ("actionformer_anet_tsp", 512, 1, 6.9),
        ("actionformer_hacs_slowfast", 2304, 1, 8.3),
        ("actionformer_ek100_verb", 2304, 97, 29.8),
        ("actionformer_ek100_noun", 2304, 300, 30.1),
        ("tridet_hacs_slowfast", 2304, 200, 51.9),
    ],
)
def test_builds_and_learns(name: str, channels: int, classes: int, millions: float) -> None:
    assert "one_stage" in STAGES  # whose import registers the sections
    config = load_config(CONFIGS / f"{name}.yaml", [])
    arch = configured_architecture(config.head, channels, (classes,), config.one_stage)
    network = OneStageNetwork(arch)
    count = sum(parameter.numel() for parameter in network.parameters())
    assert count / 1e6 == pytest.approx(millions, abs=0.06)
    length = 64
    valid = torch.ones(1, length, dtype=torch.bool)
    points = len(pyramid_points(length, arch.regression_ranges))
    learnt = torch.zeros(1, points, classes, dtype=torch.bool)
    learnt[:, ::7, 0] = True
    outputs = network(torch.randn(1, channels, length), valid)
    loss = one_stage_losses(outputs, valid, learnt, torch.ones(1, points, 2), OneStageLossConstants())["loss"]
    loss.backward()
    assert loss.isfinite()
    assert all(parameter.grad is not None for parameter in network.parameters())
