"""The residual branches of shallow ResNets: two convolutions, plain or factorised, without a
bottleneck.

    R-2D3D     a (kt x 3 x 3), b (kt x 3 x 3)                           each with its batch normalisation, and a ReLU
    R(2+1)D    a1 (1 x 3 x 3), a2 (3 x 1 x 1), b1, b2 likewise          behind all but the last

The first convolution carries the spatial stride, and the temporal one too; factorised, the second
has the latter. Names of the parameters are those of the released code (Huang et al., MoSI, CVPR
2021).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from tadaconv.layers import ClipConv


@dataclass(frozen=True, kw_only=True)
class SimpleBranch:
    """Two convolutions; blocks have as many channels as their width."""

    frames: int = 3
    """Temporal kernel."""
    factorised: bool = False
    """Whether each is a spatial convolution and a temporal one behind it."""

    def build(
        self, in_channels: int, width: int, out_channels: int, stride: int, stride_frames: int = 1
    ) -> nn.Module:
        """The residual branch of a block of this width."""
        layers: dict[str, ClipConv] = {}
        for name, channels, strides in (
            ("a", in_channels, (stride, stride_frames)),
            ("b", out_channels, (1, 1)),
        ):
            if self.factorised:
                layers |= factorised(name, channels, out_channels, (self.frames, 3), strides)
            else:
                layers[name] = ClipConv(
                    channels, out_channels, (self.frames, 3), strides[0], stride_frames=strides[1]
                )
        return ConvChain(layers, ends_in_relu=False)


class ConvChain(nn.Module):
    """Convolutions, each with its batch normalisation, and ReLUs between them."""

    def __init__(self, layers: dict[str, ClipConv], *, ends_in_relu: bool) -> None:
        super().__init__()
        self.norm_of = {name: f"{name}_bn" for name in layers}
        self.ends_in_relu = ends_in_relu
        for name, conv in layers.items():
            self.add_module(name, conv)
            self.add_module(f"{name}_bn", nn.BatchNorm3d(conv.out_channels))

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, T, H, W) to (B, out_channels, T', H', W')."""
        left = len(self.norm_of)
        for name, norm in self.norm_of.items():
            x = self.get_submodule(norm)(self.get_submodule(name)(x))
            left -= 1
            if left or self.ends_in_relu:
                x = F.relu(x, inplace=True)
        return x


class FactorisedStem(ConvChain):
    """The first layers of R(2+1)D: 1 x 7 x 7 of spatial stride 2, then 3 x 1 x 1; no pooling."""

    def __init__(self, width: int) -> None:
        super().__init__(factorised("a", 3, width, (3, 7), (2, 1)), ends_in_relu=True)


def factorised(
    name: str, in_channels: int, out_channels: int, kernel: tuple[int, int], strides: tuple[int, int]
) -> dict[str, ClipConv]:
    """A spatial and a temporal convolution that together have as many weights as one over (kt, k,
    k).

    Source: R(2+1)D (Tran et al., CVPR 2018), Sec. 3.5.

    Args:
        name: of the convolution that they stand for; theirs are name1 and name2.
        in_channels: Ci.
        out_channels: Co.
        kernel: (kt, k).
        strides: spatial, temporal.

    >>> factorised("a", 3, 64, kernel=(3, 7), strides=(2, 1))["a1"].out_channels
    83
    """
    frames, pixels = kernel
    area = pixels * pixels
    middle = frames * area * in_channels * out_channels // (area * in_channels + frames * out_channels)
    return {
        f"{name}1": ClipConv(in_channels, middle, (1, pixels), strides[0]),
        f"{name}2": ClipConv(middle, out_channels, (frames, 1), stride_frames=strides[1]),
    }
