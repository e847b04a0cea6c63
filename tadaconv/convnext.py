"""ConvNeXts over clips, whose depthwise convolutions are TAdaConvs.

    clips (B, 3, T, H, W) --patches of 3 frames, 4 x 4 pixels, every second frame--> stages --mean,
    norm--> head

TAdaConvNeXtV2 has TAdaConv v2, aggregation of frames and the QuickGELU; TAdaConvNeXt, the first
version, a plain router and no aggregation. Names of the parameters are the released ones.

Source: ConvNeXt (Liu et al., CVPR 2022); TAda! (ICLR 2022), Sec. 5; Temporally-Adaptive Models
(arXiv 2308.05787). No configuration or weights of the first version are public: its stem, depths
and rates are those of the second here, its router that of TAda2D.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn

from tadaconv.frames import temporal_average
from tadaconv.heads import ClassificationHead, NumClasses
from tadaconv.initialisation import initialise_like_transformers_
from tadaconv.inputs import NetworkInput
from tadaconv.layers import ChannelLinear, ChannelNorm, DropPath, PatchConv, QuickGELU
from tadaconv.network import VideoNetwork
from tadaconv.operators import TAdaConv2d
from tadaconv.operators_v2 import TAdaConv2dV2
from tadaconv.router import RouteFuncMLP
from tadaconv.router_v2 import RouteFuncTransformer

LAYER_SCALE = 1e-6
"""Initial value of gamma."""


INPUT = NetworkInput(clip=(16, 256, 256), frame_step=5)


@dataclass(frozen=True, kw_only=True)
class ConvNeXtSpec:
    """What distinguishes one ConvNeXt from another; the defaults are TAdaConvNeXtV2-tiny."""

    depths: tuple[int, ...] = (3, 3, 9, 3)
    """Blocks in each stage."""
    widths: tuple[int, ...] = (96, 192, 384, 768)
    """Channels in each stage."""
    version: int = 2
    """1: TAdaConvNeXt, 2: TAdaConvNeXtV2."""
    head_dim: int = 48
    """Channels of one attention head in the routers; version 2 only."""
    drop_path: float = 0.2
    """Probability of dropping the last block's branch in training; it grows linearly from 0."""

    input: NetworkInput = INPUT
    """Pixels and usual clip."""

    def build(self, num_classes: NumClasses, input_size: tuple[int, int, int] | None = None) -> VideoNetwork:
        """The network, with random weights; it takes any input size and disregards the one
        given."""
        network = ConvNeXt(ConvNeXtBackbone(self), ClassificationHead(self.widths[-1], num_classes))
        initialise_like_transformers_(network)
        return network


class TAdaConvNeXtBlock(nn.Module):
    """x + branch: depthwise 7x7 TAdaConv, norm, and two linear layers with a GELU between them."""

    def __init__(self, channels: int, drop_path: float) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.full((channels,), LAYER_SCALE))
        self.dwconv: nn.Module = TAdaConv2d(
            channels,
            channels,
            kernel_size=(1, 7, 7),
            padding=(0, 3, 3),
            groups=channels,
            cal_dim="cout",
        )
        self.dwconv_rf: nn.Module = RouteFuncMLP(channels, ratio=4, kernels=(3, 3))
        self.norm = ChannelNorm(channels)
        self.pwconv1 = ChannelLinear(channels, 4 * channels)
        self.act: nn.Module = nn.GELU()
        self.pwconv2 = ChannelLinear(4 * channels, channels)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T, H, W) to the same shape."""
        y = self.normalise(self.dwconv(x, self.dwconv_rf(x)))
        y = self.pwconv2(self.act(self.pwconv1(y)))
        return x + self.drop_path(y * self.gamma.view(-1, 1, 1, 1))

    def normalise(self, y: Tensor) -> Tensor:
        """What stands behind the depthwise convolution."""
        normalised: Tensor = self.norm(y)
        return normalised


class TAdaConvNeXtV2Block(TAdaConvNeXtBlock):
    """The same with TAdaConv v2, and norm(y) + norm_avgpool(average of y over 3 frames) behind
    it."""

    def __init__(self, channels: int, drop_path: float, head_dim: int) -> None:
        super().__init__(channels, drop_path)
        self.dwconv = TAdaConv2dV2(
            channels,
            channels,
            kernel_size=(1, 7, 7),
            padding=(0, 3, 3),
            groups=channels,
            cal_dim="cout",
        )
        self.dwconv_rf = RouteFuncTransformer(channels, ratio=2, kernels=(3, 3), head_dim=head_dim)
        self.norm_avgpool = ChannelNorm(channels)
        nn.init.zeros_(self.norm_avgpool.weight)
        self.act = QuickGELU()

    def normalise(self, y: Tensor) -> Tensor:
        """See the class."""
        normalised: Tensor = self.norm(y) + self.norm_avgpool(temporal_average(y))
        return normalised


class ConvNeXtBackbone(nn.Module):
    """Stem, stages with a downsampling in front of each but the first, and the norm of the mean."""

    def __init__(self, spec: ConvNeXtSpec) -> None:
        super().__init__()
        widths = spec.widths
        stem = nn.Sequential(PatchConv(3, widths[0], kernel=(3, 4), stride_frames=2), ChannelNorm(widths[0]))
        self.downsample_layers = nn.ModuleList([stem])
        for before, after in pairwise(widths):
            halving = nn.Sequential(ChannelNorm(before), PatchConv(before, after, kernel=(1, 2)))
            self.downsample_layers.append(halving)
        rates = iter(torch.linspace(0, spec.drop_path, sum(spec.depths), device="cpu").tolist())
        self.stages = nn.ModuleList(
            nn.Sequential(*(_block(spec, width, next(rates)) for _ in range(depth)))
            for depth, width in zip(spec.depths, widths, strict=True)
        )
        self.norm = nn.LayerNorm(widths[-1], eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        """Clips (B, 3, T, H, W) to features (B, C)."""
        for downsample, stage in zip(self.downsample_layers, self.stages, strict=True):
            x = stage(downsample(x))
        feats_BC: Tensor = self.norm(x.mean((2, 3, 4)))
        return feats_BC


class ConvNeXt(VideoNetwork):
    """Backbone and classification head."""

    def feature_map(self) -> nn.Module:
        """The last stage's output, (B, C, T', h, w)."""
        return cast(ConvNeXtBackbone, self.backbone).stages[-1]


def _block(spec: ConvNeXtSpec, channels: int, drop_path: float) -> nn.Module:
    if spec.version == 1:
        return TAdaConvNeXtBlock(channels, drop_path)
    return TAdaConvNeXtV2Block(channels, drop_path, spec.head_dim)
