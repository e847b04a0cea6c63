"""The residual branches: what happens inside a block, between its input and the addition of the shortcut.

Every branch is built as ``Branch(in_channels, width, out_channels, stride)``, keeps T, divides H and W by the
stride, and has the released parameter names: a, b, c and their batch normalisations. A new kind of block is
one more class here.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from tadaconv.frames import temporal_average
from tadaconv.layers import FrameConv
from tadaconv.operators import TAdaConv2d
from tadaconv.router import RouteFuncMLP


class R2DBranch(nn.Module):
    """Bottleneck of a per-frame ResNet: 1x1, 3x3 with the stride, 1x1."""

    def __init__(self, in_channels: int, width: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.a = FrameConv(in_channels, width)
        self.a_bn = nn.BatchNorm3d(width)
        self.b = FrameConv(width, width, kernel=3, stride=stride)
        self.b_bn = nn.BatchNorm3d(width)
        self.c = FrameConv(width, out_channels)
        self.c_bn = nn.BatchNorm3d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, T, H, W) to (B, out_channels, T, H', W')."""
        x = F.relu(self.a_bn(self.a(x)), inplace=True)
        x = F.relu(self.b_bn(self.b(x)), inplace=True)
        return self.c_bn(self.c(x))


class TAdaBranch(nn.Module):
    """Bottleneck of TAda2D: a 3x3 convolution calibrated per frame, then aggregation of neighbouring frames.

        x = relu(b_bn(y) + b_avgpool_bn(average of y over 3 frames)),   y = TAdaConv2d(x, router(x))

    Until they are trained, the router gives alpha = 1 and b_avgpool_bn gives 0: a fresh TAdaBranch is an
    R2DBranch.

    Source: TAda! (ICLR 2022), Sec. 4, Eq. 7; router of ratio 4 with kernels 3, 3 as in the released TAda2D.
    """

    def __init__(self, in_channels: int, width: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.a = FrameConv(in_channels, width)
        self.a_bn = nn.BatchNorm3d(width)
        self.b = TAdaConv2d(
            width, width, kernel_size=(1, 3, 3), stride=(1, stride, stride), padding=(0, 1, 1), bias=False
        )
        self.b_rf = RouteFuncMLP(width, ratio=4, kernels=(3, 3))
        self.b_bn = nn.BatchNorm3d(width)
        self.b_avgpool_bn = nn.BatchNorm3d(width)
        nn.init.zeros_(self.b_avgpool_bn.weight)
        self.c = FrameConv(width, out_channels)
        self.c_bn = nn.BatchNorm3d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, T, H, W) to (B, out_channels, T, H', W')."""
        x = F.relu(self.a_bn(self.a(x)), inplace=True)
        x = self.b(x, self.b_rf(x))
        x = F.relu(self.b_bn(x) + self.b_avgpool_bn(temporal_average(x)), inplace=True)
        return self.c_bn(self.c(x))
