"""SlowFast: a slow ResNet over few frames, helped by a fast and thin one over all of them.

    clip (B, 3, T, H, W) --every alpha-th frame--> slow_conv1 --> ... slow_conv5 --mean--> 2048 --+
              |                                       ^ slowfast_fusion1 .. 4                     cat --> head
              +----------------------------------> fast_conv1 --> ... fast_conv5 --mean-->  256 --+

After the stem and the first three stages, the fast maps are brought to the slow frame rate by a
strided temporal convolution and appended to the slow channels.

Source: SlowFast (Feichtenhofer et al., ICCV 2019); names of the parameters as in the released
TAdaConv code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tadaconv.heads import ClassificationHead, NumClasses
from tadaconv.initialisation import initialise_
from tadaconv.inputs import NetworkInput
from tadaconv.layers import PatchConv
from tadaconv.network import VideoNetwork
from tadaconv.resnet import ResNetSpec, Stem, make_stage, zero_last_norms_

N_FUSIONS = 4
FUSED_WIDTH = 2
"""Channels that a fusion makes of each fast channel."""


INPUT = NetworkInput(clip=(32, 256, 256), frame_step=2)


@dataclass(frozen=True, kw_only=True)
class SlowFastSpec:
    """Two ResNets of equal depths and how they are joined."""

    slow: ResNetSpec
    fast: ResNetSpec
    alpha: int
    """Fast frames per slow frame."""
    fusion_frames: int
    """Temporal kernel of the fusions."""

    input: NetworkInput = INPUT
    """Pixels and usual clip."""

    def build(self, num_classes: NumClasses, input_size: tuple[int, int, int] | None = None) -> VideoNetwork:
        """The network, with random weights; it takes any input size and disregards the one
        given."""
        return SlowFast(self, num_classes)


class Fusion(nn.Module):
    """From fast maps (B, C, T, H, W) to maps at the slow frame rate, (B, 2 C, T / alpha, H, W)."""

    norm_of: Mapping[str, str] = {"conv_fast_to_slow": "bn"}

    def __init__(self, channels: int, frames: int, alpha: int) -> None:
        super().__init__()
        self.conv_fast_to_slow = PatchConv(
            channels, FUSED_WIDTH * channels, kernel=(frames, 1), stride_frames=alpha, bias=False
        )
        self.bn = nn.BatchNorm3d(FUSED_WIDTH * channels)

    def forward(self, fast: Tensor) -> Tensor:
        """See the class."""
        return F.relu(self.bn(self.conv_fast_to_slow(fast)), inplace=True)


class SlowFastBackbone(nn.Module):
    """Both paths and the fusions between them, up to the joint feature."""

    def __init__(self, spec: SlowFastSpec) -> None:
        super().__init__()
        self.alpha = spec.alpha
        self.slow_conv1, self.fast_conv1 = Stem(spec.slow), Stem(spec.fast)
        for stage in range(1, N_FUSIONS + 1):
            fast_channels = spec.fast.out_channels(stage - 1)
            fusion = Fusion(fast_channels, spec.fusion_frames, spec.alpha)
            slow_channels = spec.slow.out_channels(stage - 1) + FUSED_WIDTH * fast_channels
            self.add_module(f"slowfast_fusion{stage}", fusion)
            self.add_module(f"slow_conv{stage + 1}", make_stage(spec.slow, stage, slow_channels))
            self.add_module(f"fast_conv{stage + 1}", make_stage(spec.fast, stage, fast_channels))

    def forward(self, clips_BCTHW: Tensor) -> Tensor:
        """Fast clips (B, 3, T, H, W) to features (B, slow C + fast C).

        Raises:
            ValueError: if T is not a multiple of alpha.
        """
        n_frames = clips_BCTHW.shape[2]
        if n_frames % self.alpha:
            raise ValueError(
                f"SlowFast takes one of {self.alpha} frames for its slow path, so T must be a multiple of "
                f"{self.alpha}; got a clip of {n_frames} frames"
            )
        slow = self.slow_conv1(clips_BCTHW[:, :, :: self.alpha])
        fast = self.fast_conv1(clips_BCTHW)
        for stage in range(1, N_FUSIONS + 1):
            fused = self.get_submodule(f"slowfast_fusion{stage}")(fast)
            slow = self.get_submodule(f"slow_conv{stage + 1}")(torch.cat([slow, fused], dim=1))
            fast = self.get_submodule(f"fast_conv{stage + 1}")(fast)
        return torch.cat([slow.mean((2, 3, 4)), fast.mean((2, 3, 4))], dim=1)


class SlowFast(VideoNetwork):
    """The two paths and a head over their joint feature.

    Args:
        spec: the network.
        num_classes: an int, or {"verb": n, "noun": m} for two heads.
    """

    def __init__(self, spec: SlowFastSpec, num_classes: NumClasses) -> None:
        num_features = spec.slow.out_channels(N_FUSIONS) + spec.fast.out_channels(N_FUSIONS)
        head = ClassificationHead(num_features, num_classes, task_layers=("out1", "out2"))
        super().__init__(SlowFastBackbone(spec), head)
        initialise_(self)
        zero_last_norms_(self)

    def feature_map(self) -> nn.Module:
        """The slow path's last output, (B, C, T / alpha, h, w)."""
        return self.backbone.get_submodule("slow_conv5")
