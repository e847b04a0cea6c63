"""Plain layers over clips; the convolutions see frames as a batch of images.

Axes: B clips, Ci and Co channels, T frames, H x W pixels.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tadaconv.frames import fold_frames, gather_windows, unfold_frames


@runtime_checkable
class HasNorms(Protocol):
    """A module that names its batch normalisations, so that they can be folded for inference."""

    norm_of: Mapping[str, str]
    """Name of a convolution -> name of the normalisation right behind it, both among the
    children."""

    def get_submodule(self, target: str) -> nn.Module:
        """As of every module."""
        ...


class ClipConv(nn.Conv3d):
    """A ``Conv3d``, run as one conv2d over all frames for each frame that its kernel spans.

        y[t] = sum_k W[k] * x[s t + k - kt // 2],   T frames to ceil(T / s)

    The parameters keep the names and shapes of ``Conv3d``. On CPU, this form is a fifth faster for
    kernels of one frame and up to five times for 3x3x3, and unlike ``conv3d`` it leaves the memory
    channels-last.

    Args:
        in_channels: Ci.
        out_channels: Co.
        kernel: its size in frames (kt) and in pixels, both odd; padded by half of it.
        stride: spatial stride.
        bias: whether to add a bias.
        stride_frames: s, temporal stride.
        groups: of channels that are convolved by themselves; Ci of them: depthwise.

    >>> import torch
    >>> ClipConv(3, 16, kernel=(5, 7), stride=2)(torch.randn(2, 3, 8, 64, 64)).shape
    torch.Size([2, 16, 8, 32, 32])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: tuple[int, int] = (1, 1),
        stride: int = 1,
        bias: bool = False,
        stride_frames: int = 1,
        groups: int = 1,
    ) -> None:
        frames, pixels = kernel
        super().__init__(
            in_channels,
            out_channels,
            kernel_size=(frames, pixels, pixels),
            stride=(stride_frames, stride, stride),
            padding=(frames // 2, pixels // 2, pixels // 2),
            bias=bias,
            groups=groups,
        )

    def forward(self, x_BCTHW: Tensor) -> Tensor:
        """(B, Ci, T, H, W) to (B, Co, ceil(T / s), H', W')."""
        if self.stride[0] > 1:
            return self._strided(x_BCTHW)
        images, reach = fold_frames(x_BCTHW), self.kernel_size[0] // 2
        taps = self.weight.unbind(2)
        y = self._convolve(images, taps[reach], self.bias, x_BCTHW.shape[0])
        n_frames = x_BCTHW.shape[2]
        for offset in range(1, min(reach, n_frames - 1) + 1):  # a tap further away sees padding only
            earlier = self._convolve(images, taps[reach - offset], None, x_BCTHW.shape[0])
            later = self._convolve(images, taps[reach + offset], None, x_BCTHW.shape[0])
            y[:, :, offset:] += earlier[:, :, :-offset]
            y[:, :, :-offset] += later[:, :, offset:]
        return y

    def _strided(self, x_BCTHW: Tensor) -> Tensor:
        """The same where frames are left out: each tap sees those frames only that it is needed
        for."""
        n_clips, n_frames, stride = x_BCTHW.shape[0], x_BCTHW.shape[2], self.stride[0]
        reach, taps = self.kernel_size[0] // 2, self.weight.unbind(2)
        y = self._convolve(fold_frames(x_BCTHW[:, :, ::stride]), taps[reach], self.bias, n_clips)
        for offset in range(1, min(reach, n_frames - 1) + 1):
            first = -(-offset // stride)  # output frames before have only padding in front of them
            earlier = x_BCTHW[:, :, first * stride - offset : n_frames - offset : stride]
            if earlier.shape[2]:
                change = self._convolve(fold_frames(earlier), taps[reach - offset], None, n_clips)
                y[:, :, first : first + change.shape[2]] += change
            later = x_BCTHW[:, :, offset::stride]
            y[:, :, : later.shape[2]] += self._convolve(
                fold_frames(later), taps[reach + offset], None, n_clips
            )
        return y

    def _convolve(self, images: Tensor, kernel: Tensor, bias: Tensor | None, n_clips: int) -> Tensor:
        """One frame of the kernel, on every frame."""
        y = F.conv2d(images, kernel, bias, self.stride[1:], self.padding[1:], groups=self.groups)
        return unfold_frames(y, n_clips)


class PatchConv(nn.Conv3d):
    """A ``Conv3d`` with a stride along time as well, run as one conv2d over gathered frames.

    Time is padded by half the kernel, so T frames give ceil(T / stride) of them; height and width
    are cut into patches, without padding. Used by stems of patches, by downsampling and by the
    fusions of SlowFast.

    Args:
        in_channels: Ci.
        out_channels: Co.
        kernel: its size in frames, odd, and in pixels; the latter is the spatial stride too.
        stride_frames: stride along time.
        bias: whether to add a bias.

    >>> import torch
    >>> PatchConv(3, 96, kernel=(3, 4), stride_frames=2)(torch.randn(2, 3, 8, 64, 64)).shape
    torch.Size([2, 96, 4, 16, 16])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: tuple[int, int],
        stride_frames: int = 1,
        bias: bool = True,
    ) -> None:
        frames, pixels = kernel
        super().__init__(
            in_channels,
            out_channels,
            kernel_size=(frames, pixels, pixels),
            stride=(stride_frames, pixels, pixels),
            padding=(frames // 2, 0, 0),
            bias=bias,
        )

    def forward(self, x_BCTHW: Tensor) -> Tensor:
        """(B, Ci, T, H, W) to (B, Co, ceil(T / stride_frames), H // pixels, W // pixels)."""
        windows = gather_windows(x_BCTHW, self.kernel_size[0], self.stride[0])
        images = F.conv2d(fold_frames(windows), self.weight.flatten(1, 2), self.bias, self.stride[1:])
        return unfold_frames(images, n_clips=x_BCTHW.shape[0])


class ChannelNorm(nn.LayerNorm):
    """Layer normalisation over the channels of each position of (B, C, T, H, W); epsilon 1e-6."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=1e-6)

    def forward(self, x_BCTHW: Tensor) -> Tensor:
        """The same shape."""
        return super().forward(x_BCTHW.movedim(1, -1)).movedim(-1, 1)


class ChannelLinear(nn.Linear):
    """A linear layer over the channels of each position: (B, C, T, H, W) to (B, C', T, H, W)."""

    def forward(self, x_BCTHW: Tensor) -> Tensor:
        """See the class."""
        return super().forward(x_BCTHW.movedim(1, -1)).movedim(-1, 1)


class QuickGELU(nn.Module):
    """x * sigmoid(1.702 x), CLIP's approximation of the GELU."""

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        return x * torch.sigmoid(1.702 * x)


class DropPath(nn.Module):
    """Stochastic depth: in training, drops a residual branch for whole clips, and scales up the
    others.

    Args:
        probability: of dropping, 0 <= probability < 1.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, branch: Tensor) -> Tensor:
        """The same shape; axis 0 holds the clips."""
        if not self.training or self.probability == 0:
            return branch
        kept = 1 - self.probability
        mask = branch.new_empty(len(branch), *[1] * (branch.dim() - 1)).bernoulli_(kept)
        return branch * mask / kept
