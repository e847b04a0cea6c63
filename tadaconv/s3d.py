"""S3D-G: Inception over clips, its convolutions factorised into space and time, its channels gated.

    clips (B, 3, T, H, W) --> block1 (stem) --> block2 --> block3 .. block5 (inception blocks)
    --mean--> (B, 1024)

Released files hold every layer twice, under a block (block3.1) and under its name in Inception
(Mixed_3b); so does this network, and the parameters behind both names are the same. Where a file's
copies differ, the block's is taken.

Source: Rethinking Spatiotemporal Feature Learning (Xie et al., ECCV 2018); names as in the released
TAdaConv code.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tadaconv.heads import ClassificationHead, NumClasses
from tadaconv.inputs import NetworkInput
from tadaconv.layers import ClipConv
from tadaconv.network import MapNetwork, VideoNetwork

CONV_STD = 0.01
"""Standard deviation of the initial convolutions, as released."""
NUM_FEATURES = 1024
INPUT = NetworkInput(clip=(16, 224, 224), frame_step=5)

# Channels of an inception block: in; branch0; branch1 reduced, out; branch2 reduced, out; branch3.
Widths = tuple[int, int, int, int, int, int, int]
MIXED: dict[str, Widths] = {
    "3b": (192, 64, 96, 128, 16, 32, 32),
    "3c": (256, 128, 128, 192, 32, 96, 64),
    "4b": (480, 192, 96, 208, 16, 48, 64),
    "4c": (512, 160, 112, 224, 24, 64, 64),
    "4d": (512, 128, 128, 256, 24, 64, 64),
    "4e": (512, 112, 144, 288, 32, 64, 64),
    "4f": (528, 256, 160, 320, 32, 128, 128),
    "5b": (832, 256, 160, 320, 32, 128, 128),
    "5c": (832, 384, 192, 384, 48, 128, 128),
}


@dataclass(frozen=True, kw_only=True)
class S3DSpec:
    """S3D with or without gates."""

    gated: bool = True
    """Whether the outputs of an inception block's branches are gated (S3D-G)."""
    input: NetworkInput = INPUT
    """Pixels and usual clip."""

    def build(self, num_classes: NumClasses, input_size: tuple[int, int, int] | None = None) -> VideoNetwork:
        """The network, with random weights; it takes any input size from 5 frames and 17 pixels
        on."""
        network = MapNetwork(S3DBackbone(self.gated), ClassificationHead(NUM_FEATURES, num_classes))
        for module in network.modules():
            if isinstance(module, ClipConv):
                nn.init.normal_(module.weight, std=CONV_STD)
        return network


class PointConv(nn.Module):
    """A 1x1x1 convolution, its normalisation and ReLU."""

    norm_of = {"conv": "bn"}  # noqa: RUF012  (constant; see HasNorms)

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = ClipConv(in_channels, out_channels)
        self.bn = nn.BatchNorm3d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, T, H, W) to (B, out_channels, T, H, W)."""
        return F.relu(self.bn(self.conv(x)), inplace=True)


class SeparableConv(nn.Module):
    """A spatial, then a temporal convolution of one size and stride, each with its normalisation
    and ReLU."""

    norm_of = {"conv1": "bn1", "conv2": "bn2"}  # noqa: RUF012

    def __init__(self, in_channels: int, out_channels: int, size: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = ClipConv(in_channels, out_channels, (1, size), stride)
        self.conv2 = ClipConv(out_channels, out_channels, (size, 1), stride_frames=stride)
        self.bn1, self.bn2 = nn.BatchNorm3d(out_channels), nn.BatchNorm3d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, T, H, W) to (B, out_channels, T', H', W')."""
        x = F.relu(self.bn1(self.conv1(x)), inplace=True)
        return F.relu(self.bn2(self.conv2(x)), inplace=True)


class Gate(nn.Module):
    """x * sigmoid(fc(mean of x over the clip)), a factor for every channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        factors_BC = torch.sigmoid(self.fc(x.mean((2, 3, 4))))
        return x * factors_BC[:, :, None, None, None]


class InceptionBlock(nn.Module):
    """Four branches side by side, each perhaps gated; their channels are joined."""

    def __init__(self, widths: Widths, gated: bool) -> None:
        super().__init__()
        before, b0, b1_reduced, b1, b2_reduced, b2, b3 = widths
        self.branch0 = nn.Sequential(PointConv(before, b0))
        self.branch1 = nn.Sequential(PointConv(before, b1_reduced), SeparableConv(b1_reduced, b1, size=3))
        self.branch2 = nn.Sequential(PointConv(before, b2_reduced), SeparableConv(b2_reduced, b2, size=3))
        self.branch3 = nn.Sequential(nn.MaxPool3d(3, stride=1, padding=1), PointConv(before, b3))
        for number, channels in enumerate((b0, b1, b2, b3)):
            self.add_module(f"gating_b{number}", Gate(channels) if gated else nn.Identity())

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T, H, W) to (B, sum of the branches' channels, T, H, W)."""
        branches = (
            self.get_submodule(f"gating_b{number}")(self.get_submodule(f"branch{number}")(x))
            for number in range(4)
        )
        return torch.cat(tuple(branches), dim=1)


class S3DBackbone(nn.Module):
    """Five blocks, and their layers by Inception's names."""

    def __init__(self, gated: bool) -> None:
        super().__init__()
        spatial_pool = ((1, 3, 3), (1, 2, 2), (0, 1, 1))
        self.Conv_1a = SeparableConv(3, 64, size=7, stride=2)
        self.block1 = nn.Sequential(self.Conv_1a)
        self.Conv_2b, self.Conv_2c = PointConv(64, 64), SeparableConv(64, 192, size=3)
        self.block2 = nn.Sequential(nn.MaxPool3d(*spatial_pool), self.Conv_2b, self.Conv_2c)
        pools = (nn.MaxPool3d(*spatial_pool), nn.MaxPool3d(3, stride=2, padding=1), nn.MaxPool3d(2, stride=2))
        for number, pool in zip("345", pools, strict=True):
            mixed = {name: widths for name, widths in MIXED.items() if name[0] == number}
            for name, widths in mixed.items():
                self.add_module(f"Mixed_{name}", InceptionBlock(widths, gated))
            layers = [self.get_submodule(f"Mixed_{name}") for name in mixed]
            self.add_module(f"block{number}", nn.Sequential(pool, *layers))

    def forward(self, x: Tensor) -> Tensor:
        """Clips (B, 3, T, H, W) to feature maps (B, 1024, T', H', W').

        Raises:
            ValueError: if nothing would be left of the clip.
        """
        if x.shape[2] < 5 or min(x.shape[3:]) < 17:
            raise ValueError(
                f"S3D takes clips of at least 5 frames of 17 x 17 pixels, got {tuple(x.shape[2:])}"
            )
        for number in range(1, 6):
            x = self.get_submodule(f"block{number}")(x)
        return x
