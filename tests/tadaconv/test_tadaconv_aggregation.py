"""The ways of aggregating neighbouring frames, alone and inside a block."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tadaconv.aggregation import POOLS, Aggregation
from tadaconv.branches import TADA2D, Bottleneck


def pooled(y: Tensor, pool: str) -> Tensor:
    kernel = {"kernel_size": (3, 1, 1), "stride": 1, "padding": (1, 0, 0)}
    average, maximum = F.avg_pool3d(y, **kernel), F.max_pool3d(y, **kernel)
    return {"avg": average, "max": maximum, "mix": (average + maximum) / 2}[pool]


@pytest.mark.parametrize("pool", POOLS)
def test_pools_over_three_frames(pool: str) -> None:
    y = torch.randn(2, 3, 5, 4, 3, dtype=torch.float64)
    torch.testing.assert_close(POOLS[pool](y), pooled(y, pool))
    one = torch.tensor([6.0]).view(1, 1, 1, 1, 1)
    assert POOLS[pool](one).item() == {"avg": 2, "max": 6, "mix": 4}[pool]


def norm(bn: nn.BatchNorm3d, y: Tensor) -> Tensor:
    return F.batch_norm(y, bn.running_mean, bn.running_var, bn.weight, bn.bias, eps=bn.eps)


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize(("shortcut", "separate_bn"), [(True, True), (True, False), (False, False)])
def test_aggregation_behind_the_convolution(pool: str, shortcut: bool, separate_bn: bool) -> None:
    aggregation = Aggregation(pool=pool, shortcut=shortcut, separate_bn=separate_bn)
    branch = Bottleneck(replace(TADA2D, aggregation=aggregation), 8, 8, 16, stride=1).double().eval()
    for parameter in branch.parameters():
        nn.init.normal_(parameter)
    y = torch.randn(2, 8, 4, 3, 3, dtype=torch.float64)
    bn = branch.get_submodule("b_bn")
    if separate_bn:
        expected = norm(bn, y) + norm(branch.get_submodule("b_avgpool_bn"), pooled(y, pool))
    else:
        expected = norm(bn, y * shortcut + pooled(y, pool))
    torch.testing.assert_close(branch.normalise("b", y), expected)
    assert ("b_avgpool_bn.weight" in branch.state_dict()) == separate_bn


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"pool": "min"}, "pool must be one of avg, max, mix, got 'min'"),
        ({"shortcut": False}, "set separate_bn=False"),
    ],
)
def test_impossible_aggregations_are_refused(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Aggregation(**arguments)
