"""ResNets over clips: one definition, described by a small specification.

    clips (B, 3, T, H, W) --> conv1 (stem) --> conv2 .. conv5 (residual blocks) --mean--> (B, C) --> head

Names of modules and shapes of parameters are those of the released checkpoints
(backbone.conv2.res_1.conv_branch.a.weight). Any H, W and T >= 1 will do; T is kept up to the last mean.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from tadaconv.branches import R2DBranch, TAdaBranch
from tadaconv.heads import ClassificationHead, NumClasses
from tadaconv.initialisation import initialise_
from tadaconv.layers import FrameConv

BRANCHES = {"r2d": R2DBranch, "tada2d": TAdaBranch}


@dataclass(frozen=True, kw_only=True)
class ResNetSpec:
    """What distinguishes one ResNet from another; the defaults are the paper's ResNet-50 (Table A1)."""

    branch: str
    """Kind of the residual branch, a key of BRANCHES."""
    depths: tuple[int, ...] = (3, 4, 6, 3)
    """Blocks in each stage."""
    widths: tuple[int, ...] = (64, 128, 256, 512)
    """Channels of the bottleneck in each stage."""
    expansion: int = 4
    """Output channels of a block over its width."""
    stem_width: int = 64
    """Channels after the stem."""
    stem_kernel: int = 7
    """Spatial kernel of the stem, in pixels."""
    stem_stride: int = 2
    """Spatial stride of the stem; there is no max pooling."""
    strides: tuple[int, ...] = (2, 2, 2, 2)
    """Spatial stride of the first block of each stage."""


class Stem(nn.Module):
    """The first convolution, with its normalisation and ReLU."""

    def __init__(self, out_channels: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.a = FrameConv(3, out_channels, kernel, stride)
        self.a_bn = nn.BatchNorm3d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, T, H, W) to (B, out_channels, T, H', W')."""
        return F.relu(self.a_bn(self.a(x)), inplace=True)


class ResidualBlock(nn.Module):
    """relu(shortcut + branch); the shortcut is a convolution where the channels or the size change."""

    def __init__(self, branch: str, in_channels: int, width: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.short_cut: nn.Module | None = None
        if in_channels != out_channels or stride != 1:
            self.short_cut = FrameConv(in_channels, out_channels, stride=stride)
            self.short_cut_bn = nn.BatchNorm3d(out_channels)
        self.conv_branch = BRANCHES[branch](in_channels, width, out_channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, T, H, W) to (B, out_channels, T, H', W')."""
        shortcut = x if self.short_cut is None else self.short_cut_bn(self.short_cut(x))
        # In place: nothing needs the branch's own output for its gradient.
        return F.relu(self.conv_branch(x).add_(shortcut), inplace=True)


class Backbone(nn.Module):
    """Stem and stages: conv1, conv2, ..."""

    def __init__(self, spec: ResNetSpec) -> None:
        super().__init__()
        self.conv1 = Stem(spec.stem_width, spec.stem_kernel, spec.stem_stride)
        channels = spec.stem_width
        for index, (depth, width, stride) in enumerate(
            zip(spec.depths, spec.widths, spec.strides, strict=True)
        ):
            out_channels = width * spec.expansion
            stage = nn.Sequential()
            for n in range(depth):
                first = n == 0
                block = ResidualBlock(
                    spec.branch,
                    channels if first else out_channels,
                    width,
                    out_channels,
                    stride if first else 1,
                )
                stage.add_module(f"res_{n + 1}", block)
            self.add_module(f"conv{index + 2}", stage)
            channels = out_channels
        self.num_features = channels

    def forward(self, x: Tensor) -> Tensor:
        """Clips (B, 3, T, H, W) to feature maps (B, C, T, H', W')."""
        for stage in self.children():
            x = stage(x)
        return x


class ResNet(nn.Module):
    """Backbone, global mean and classification head.

    Args:
        spec: the network.
        num_classes: an int, or {"verb": n, "noun": m} for two heads.

    Attributes:
        num_features: C, length of the feature.
    """

    def __init__(self, spec: ResNetSpec, num_classes: NumClasses) -> None:
        super().__init__()
        self.backbone = Backbone(spec)
        self.num_features = self.backbone.num_features
        self.head = ClassificationHead(self.num_features, num_classes)
        initialise_(self)

    def forward_features(self, clips_BCTHW: Tensor) -> Tensor:
        """Features (B, C) of clips (B, 3, T, H, W): float32 RGB, already normalised."""
        return self.backbone(clips_BCTHW).mean((2, 3, 4))

    def forward(self, clips_BCTHW: Tensor) -> Tensor | dict[str, Tensor]:
        """Logits (B, classes) of clips (B, 3, T, H, W), or {"verb": (B, n), "noun": (B, m)} for two heads."""
        logits: Tensor | dict[str, Tensor] = self.head(self.forward_features(clips_BCTHW))
        return logits
