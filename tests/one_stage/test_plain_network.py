"""The network against a plain writing of it, at a width that takes Winograd's convolutions."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from benchmarks.one_stage_plain import PlainActionFormer
from one_stage.architecture import Architecture
from one_stage.network import OneStageNetwork
from one_stage.products import WINOGRAD_CHANNELS

SMALL = Architecture(kind="actionformer", in_channels=24, class_towers=(3,), channels=32, windows=(5,) * 6)


@pytest.mark.parametrize("channels", [32, WINOGRAD_CHANNELS])
def test_maps_and_gradients_equal_those_of_the_plain_form(channels: int) -> None:
    torch.manual_seed(0)
    arch = dataclasses.replace(SMALL, channels=channels, in_channels=channels)
    network = OneStageNetwork(arch).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    plain = PlainActionFormer(network)
    valid = torch.arange(150) < torch.tensor([[150], [97]])
    feats = torch.randn(2, channels, 150) * valid[:, None]
    found, expected = network(feats, valid), plain(feats, valid)
    for name, levels in expected.items():
        for own, other in zip(found[name], levels, strict=True):
            torch.testing.assert_close(own, other, rtol=1e-4, atol=1e-4)
    for outputs in (found, expected):
        sum(level.square().mean() for levels in outputs.values() for level in levels).backward()
    gradients = {name.replace(".", "/"): value.grad for name, value in network.named_parameters()}
    for name, parameter in plain.weights.items():
        scale = float(parameter.grad.abs().max()) + 1e-4  # of key biases it is 0 but for rounding
        torch.testing.assert_close(gradients[name], parameter.grad, rtol=1e-3, atol=1e-3 * scale)
