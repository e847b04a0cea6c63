"""Names of the ResNets of torchvision and timm, translated to ours.

conv1.weight, bn1.*                      backbone.conv1.a.weight, backbone.conv1.a_bn.*
layer1.0.conv2.weight, layer1.0.bn2.*    backbone.conv2.res_1.conv_branch.b.weight, ....b_bn.*
layer1.0.downsample.0.weight, .1.*       backbone.conv2.res_1.short_cut.weight, ....short_cut_bn.*
fc.*                                     unchanged: its classes are ImageNet's, no head here wants them
"""

from __future__ import annotations

import re
from collections.abc import Container, Mapping

from torch import Tensor

_STEM = {"conv1": "backbone.conv1.a", "bn1": "backbone.conv1.a_bn"}
_IN_BLOCK = {
    "conv1": "conv_branch.a",
    "bn1": "conv_branch.a_bn",
    "conv2": "conv_branch.b",
    "bn2": "conv_branch.b_bn",
    "conv3": "conv_branch.c",
    "bn3": "conv_branch.c_bn",
    "downsample.0": "short_cut",
    "downsample.1": "short_cut_bn",
}
_BLOCK_KEY = re.compile(r"layer(\d+)\.(\d+)\.(\w+(?:\.[01])?)\.(\w+)")


def is_torchvision_resnet(state: Mapping[str, Tensor]) -> bool:
    """Whether the keys are those of a torchvision ResNet."""
    return "conv1.weight" in state and "layer1.0.conv1.weight" in state


def from_torchvision(key: str, ours: Container[str] = ()) -> str:
    """Our name of a torchvision parameter; names it does not know stay as they are.

    Args:
        key: the parameter's name.
        ours: names in the network. Where it has b1 and b2 in place of b, R(2+1)D, the name is b1's.

    >>> from_torchvision("layer3.0.downsample.1.running_mean")
    'backbone.conv4.res_1.short_cut_bn.running_mean'
    """
    if match := _BLOCK_KEY.fullmatch(key):
        layer, block, module, parameter = match.groups()
        if module in _IN_BLOCK:
            start = f"backbone.conv{int(layer) + 1}.res_{int(block) + 1}"
            name = f"{start}.{_IN_BLOCK[module]}.{parameter}"
            spatial = name.replace(".b.", ".b1.").replace(".b_bn.", ".b1_bn.")
            return spatial if spatial in ours else name
    module, _, parameter = key.rpartition(".")
    return f"{_STEM[module]}.{parameter}" if module in _STEM else key
