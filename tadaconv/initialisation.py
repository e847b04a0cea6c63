"""Random initial weights: ResNets, and the families that follow the transformers."""

from __future__ import annotations

from torch import nn

from tadaconv.operators import TAdaConv
from tadaconv.router import RouteFuncMLP
from tadaconv.router_v2 import RouteFuncTransformer

HEAD_STD = 0.01
TRANSFORMER_STD = 0.02


def initialise_(network: nn.Module) -> None:
    """Draw weights in place: Kaiming normal (fan out) for convolutions, standard deviation 0.01 for
    the head.

    Calibrated convolutions are drawn like the plain ones that they replace. That is a deliberate
    difference from the released code, which leaves TAdaConv with a bound many times smaller (1 /
    sqrt(Co * Ci * kh * kw)): harmless where trained weights are loaded, but a network trained from
    scratch would start with almost dead 3x3 layers. What makes TAda2D start as R2D stays: the
    router's last layer is zero (alpha = 1), so is the normalisation of the average.

    Batch normalisations are left as their classes made them.
    """
    for module in network.modules():
        if isinstance(module, TAdaConv):
            nn.init.kaiming_normal_(module.weight[0, 0], mode="fan_out", nonlinearity="relu")
        elif isinstance(module, nn.Conv3d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=HEAD_STD)
        if isinstance(module, nn.Conv3d | nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)
    _start_routers_neutral_(network)


def initialise_like_transformers_(network: nn.Module) -> None:
    """Draw weights in place: truncated normal of standard deviation 0.02, biases zero (ConvNeXt,
    ViT).

    Calibrated convolutions are drawn like plain ones here, too. Normalisations and embeddings are
    left as their classes made them.
    """
    for module in network.modules():
        if isinstance(module, TAdaConv | nn.Conv3d | nn.Linear):
            nn.init.trunc_normal_(module.weight, std=TRANSFORMER_STD)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    _start_routers_neutral_(network)


def _start_routers_neutral_(network: nn.Module) -> None:
    """Let routers give alpha = 1, those that are meant to."""
    for module in network.modules():
        if isinstance(module, RouteFuncMLP | RouteFuncTransformer):
            module.start_neutral_()
