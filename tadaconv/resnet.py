"""ResNets over clips: one definition, described by a small specification.

    clips (B, 3, T, H, W) --> conv1 (stem) --> conv2 .. conv5 (residual blocks) --mean--> (B, C) -->
    head

Names of modules and shapes of parameters are those of the released checkpoints
(backbone.conv2.res_1.conv_branch.a.weight). Any H, W and T >= 1 will do; T is kept up to the last
mean, but for the temporal strides of ir-CSN and the small networks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from tadaconv.branches import R2D, Bottleneck, Branch
from tadaconv.frames import fold_frames, unfold_frames
from tadaconv.heads import ClassificationHead, NumClasses
from tadaconv.initialisation import initialise_
from tadaconv.inputs import NetworkInput
from tadaconv.layers import ClipConv
from tadaconv.network import MapNetwork, VideoNetwork
from tadaconv.simple_branches import FactorisedStem, SimpleBranch

INPUT = NetworkInput(clip=(8, 256, 256), frame_step=8)


@dataclass(frozen=True, kw_only=True)
class ResNetSpec:
    """What distinguishes one ResNet from another; the defaults are the paper's R2D-50 (Table
    A1)."""

    branches: tuple[Branch | SimpleBranch, ...] = (R2D,) * 4
    """The residual branch of each stage."""
    depths: tuple[int, ...] = (3, 4, 6, 3)
    """Blocks in each stage."""
    widths: tuple[int, ...] = (64, 128, 256, 512)
    """Channels of the bottleneck in each stage."""
    expansion: int = 4
    """Output channels of a block over its width."""
    stem_width: int = 64
    """Channels after the stem."""
    stem_kernel: tuple[int, int] = (1, 7)
    """Kernel of the stem, in frames and pixels."""
    stem_stride: int = 2
    """Spatial stride of the stem."""
    stem_pool: bool = False
    """Whether a 3x3 max pooling of stride 2 ends the stem."""
    factorised_stem: bool = False
    """Whether a convolution over 3 frames follows the stem's own, with as many channels between as
    keep the number of weights of one 3x7x7 convolution."""
    strides: tuple[int, ...] = (2, 2, 2, 2)
    """Spatial stride of the first block of each stage."""
    strides_frames: tuple[int, ...] = (1, 1, 1, 1)
    """Temporal stride of the same."""
    drawn_as_layers: bool = False
    """Whether weights start as torch's layers draw them, as in the original's configurations of
    some networks."""
    zero_init_residual: bool = False
    """Whether the last normalisation of every branch starts at zero, so that blocks begin as
    their shortcuts."""

    input: NetworkInput = INPUT
    """Pixels and usual clip."""

    def build(self, num_classes: NumClasses, input_size: tuple[int, int, int] | None = None) -> VideoNetwork:
        """The network, with random weights; it takes any input size and disregards the one
        given."""
        return ResNet(self, num_classes)

    def out_channels(self, stage: int) -> int:
        """Channels after a stage; stage 0 is the stem."""
        return self.widths[stage - 1] * self.expansion if stage else self.stem_width


class Stem(nn.Module):
    """The first convolution, with its normalisation and ReLU, perhaps a max pooling."""

    norm_of: Mapping[str, str] = {"a": "a_bn"}

    def __init__(self, spec: ResNetSpec) -> None:
        super().__init__()
        self.a = ClipConv(3, spec.stem_width, spec.stem_kernel, spec.stem_stride)
        self.a_bn = nn.BatchNorm3d(spec.stem_width)
        self.pool = spec.stem_pool

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, T, H, W) to (B, stem_width, T, H', W')."""
        return self.pooled(F.relu(self.a_bn(self.a(x)), inplace=True))

    def pooled(self, x: Tensor) -> Tensor:
        """What comes behind the ReLU: nothing, or the max pooling."""
        if not self.pool:
            return x
        pooled = F.max_pool2d(fold_frames(x), kernel_size=3, stride=2, padding=1)
        return unfold_frames(pooled, n_clips=x.shape[0])


class ResidualBlock(nn.Module):
    """relu(shortcut + branch); the shortcut is a convolution where the channels or the size
    change."""

    def __init__(
        self,
        branch: Branch | SimpleBranch,
        in_channels: int,
        width: int,
        out_channels: int,
        stride: int,
        stride_frames: int = 1,
    ) -> None:
        super().__init__()
        self.short_cut: nn.Module | None = None
        self.norm_of: dict[str, str] = {}
        if in_channels != out_channels or stride != 1:
            self.short_cut = ClipConv(in_channels, out_channels, stride=stride, stride_frames=stride_frames)
            self.short_cut_bn = nn.BatchNorm3d(out_channels)
            self.norm_of = {"short_cut": "short_cut_bn"}
        self.conv_branch = branch.build(in_channels, width, out_channels, stride, stride_frames)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, T, H, W) to (B, out_channels, T', H', W')."""
        shortcut = x if self.short_cut is None else self.short_cut_bn(self.short_cut(x))
        # In place: nothing needs the branch's own output for its gradient.
        return F.relu(self.conv_branch(x).add_(shortcut), inplace=True)


def make_stage(spec: ResNetSpec, stage: int, in_channels: int) -> nn.Sequential:
    """Stage 1 .. 4 of a ResNet: blocks res_1, res_2, ...; the first of them changes channels and
    size."""
    index, out_channels = stage - 1, spec.out_channels(stage)
    blocks = nn.Sequential()
    for n in range(spec.depths[index]):
        block = ResidualBlock(
            spec.branches[index],
            in_channels if n == 0 else out_channels,
            spec.widths[index],
            out_channels,
            spec.strides[index] if n == 0 else 1,
            spec.strides_frames[index] if n == 0 else 1,
        )
        blocks.add_module(f"res_{n + 1}", block)
    return blocks


class ResNetBackbone(nn.Module):
    """Stem and stages: conv1, conv2, ..."""

    def __init__(self, spec: ResNetSpec) -> None:
        super().__init__()
        self.conv1 = FactorisedStem(spec.stem_width) if spec.factorised_stem else Stem(spec)
        for stage in range(1, len(spec.depths) + 1):
            self.add_module(f"conv{stage + 1}", make_stage(spec, stage, spec.out_channels(stage - 1)))

    def forward(self, x: Tensor) -> Tensor:
        """Clips (B, 3, T, H, W) to feature maps (B, C, T', H', W')."""
        for stage in self.children():
            x = stage(x)
        return x


class ResNet(MapNetwork):
    """Backbone, global mean and classification head.

    Args:
        spec: the network.
        num_classes: an int, or {"verb": n, "noun": m} for two heads.

    The paper's ablations are specifications too. TAda2D that calibrates output channels, in the
    last two stages only:

    >>> from dataclasses import replace
    >>> from tadaconv.branches import TADA2D, Calibration
    >>> cout = replace(TADA2D, calibration=Calibration(cal_dim="cout"))
    >>> ResNet(ResNetSpec(branches=(R2D, R2D, cout, cout)), num_classes=400).num_features
    2048
    """

    def __init__(self, spec: ResNetSpec, num_classes: NumClasses) -> None:
        num_features = spec.out_channels(len(spec.depths))
        super().__init__(ResNetBackbone(spec), ClassificationHead(num_features, num_classes))
        if not spec.drawn_as_layers:
            initialise_(self)
        if spec.zero_init_residual:
            zero_last_norms_(self)


def zero_last_norms_(network: nn.Module) -> None:
    """Start every residual branch at zero, in place: its block is then its shortcut."""
    for module in network.modules():
        if isinstance(module, Bottleneck):
            nn.init.zeros_(module.c_bn.weight)
