"""Boundaries of a few points: as those of all points, and so are the gradients."""

from __future__ import annotations

import pytest
import torch

from one_stage.architecture import Architecture
from one_stage.labels import pyramid_points
from one_stage.network import OneStageNetwork
from one_stage.stage import KINDS

RANGES = ((0.0, 4.0), (4.0, 8.0), (8.0, 1e4))
LENGTH = 37


def network_of(kind: str, padding: str, kernel: int) -> OneStageNetwork:
    torch.manual_seed(0)
    arch = Architecture(
        kind=kind,  # type: ignore[arg-type]
        in_channels=6,
        class_towers=(3,),
        channels=16,
        stem_blocks=0 if kind == "temporalmaxer" else 2,
        regression_ranges=RANGES,
        windows=(5, 5, 5),
        drop_path=0.0,
        head_kernel=kernel,
        neck="none" if kind == "temporalmaxer" else "layer",
        bins=4 if kind == "tridet" else 0,
        padding=padding,
    )
    network = OneStageNetwork(arch).double()
    for weight in network.parameters():  # of everything: biases of norms are no zeros
        torch.nn.init.normal_(weight, std=0.3)
    return network


@pytest.mark.parametrize("padding", ["right", "as_released"])
@pytest.mark.parametrize("kernel", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_boundaries_of_some_points_are_those_of_all(kind: str, kernel: int, padding: str) -> None:
    network = network_of(kind, padding, kernel)
    feats = torch.randn(3, 6, LENGTH, dtype=torch.float64)
    valid = torch.arange(LENGTH) < torch.tensor([[LENGTH], [20], [1]])
    points = len(pyramid_points(LENGTH, RANGES))
    learning = torch.rand(3, points) < 0.1
    learning[0, 0] = learning[1, 0] = learning[0, -1] = learning[2, 36] = learning[2, 37] = True
    gradients = []
    for asked in (None, learning):
        outputs = network(feats, valid, asked)
        first, total = 0, torch.zeros((), dtype=torch.float64)
        for level, offsets in enumerate(outputs["offsets"]):
            own = learning[:, first : first + offsets.shape[2]]
            first += offsets.shape[2]
            total = total + sum((outputs[name][level] * _near(own, reach)[:, None]).square().sum()
                                for name, reach in _asked(network))  # fmt: skip
        network.zero_grad()
        total.backward()
        gradients.append([total.detach(), *(weight.grad for weight in network.parameters())])
    for whole, few in zip(*gradients, strict=True):
        if whole is not None:  # the class tower learns nothing here
            torch.testing.assert_close(few, whole)


def _asked(network: OneStageNetwork) -> list[tuple[str, int]]:
    bins = network.arch.bins
    return [("offsets", 0), ("start", bins), ("end", bins)] if bins else [("offsets", 0)]


def _near(points_BT: torch.Tensor, reach: int) -> torch.Tensor:
    near = points_BT.clone()
    for distance in range(1, reach + 1):
        near[:, distance:] |= points_BT[:, :-distance]
        near[:, :-distance] |= points_BT[:, distance:]
    return near


def test_half_precision_on_a_processor_comes_back() -> None:
    network = network_of("tridet", "right", 3).float()
    feats, valid = torch.randn(2, 6, 128), torch.ones(2, 128, dtype=torch.bool)
    whole = network(feats, valid)["offsets"][0]
    with torch.autocast("cpu", torch.bfloat16):
        half = network(feats, valid)["offsets"][0]
    assert (half - whole).abs().max() < 0.05 * whole.abs().max()
