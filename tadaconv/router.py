"""The router: from the frames of a clip to one calibration factor per channel and frame.

Axes: B clips, C channels, T frames, H x W pixels.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn


class RouteFuncMLP(nn.Module):
    """Calibration factors from the descriptors of each frame, its neighbours and the whole clip.

        v = mean of x over H, W          (B, C, T)
        g = mean of x over T, H, W       (B, C, 1)
        alpha = b(relu(bn(a(v + G(g))))) + 1

    with two temporal convolutions a: C -> C / ratio and b: C / ratio -> C and a linear layer G: C -> C. b
    starts at zero, so that at first alpha = 1 and the calibrated convolution is an ordinary one.

    Source: TAda! (ICLR 2022), Eq. 5 and 6, in the form of the released code: the paper adds the global
    descriptor after ``a``, the code (and every released weight) before it.

    Args:
        c_in: C, channels of the input and of the factors.
        ratio: reduction of the channels between ``a`` and ``b``.
        kernels: temporal kernel sizes of ``a`` and ``b``, odd.
        bn_eps: epsilon of the batch normalisation.
        bn_mmt: momentum of the batch normalisation.

    Raises:
        ValueError: if a kernel size is even or c_in is not at least ratio.

    >>> import torch
    >>> router = RouteFuncMLP(c_in=64, ratio=4, kernels=[3, 3])
    >>> router(torch.randn(2, 64, 8, 14, 14)).shape
    torch.Size([2, 64, 8, 1, 1])
    """

    def __init__(
        self, c_in: int, ratio: int, kernels: Sequence[int], bn_eps: float = 1e-5, bn_mmt: float = 0.1
    ) -> None:
        super().__init__()
        if len(kernels) != 2 or any(k % 2 == 0 for k in kernels):
            raise ValueError(f"RouteFuncMLP: kernels must be two odd temporal sizes, got {list(kernels)}")
        if c_in < ratio:
            raise ValueError(f"RouteFuncMLP: c_in = {c_in} leaves no channel at ratio = {ratio}")
        reduced = c_in // ratio
        self.g = nn.Conv3d(c_in, c_in, 1)
        self.a = nn.Conv3d(c_in, reduced, (kernels[0], 1, 1))
        self.bn = nn.BatchNorm1d(reduced, eps=bn_eps, momentum=bn_mmt)
        self.b = nn.Conv3d(reduced, c_in, (kernels[1], 1, 1), bias=False)
        nn.init.zeros_(self.b.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Factors alpha (B, C, T, 1, 1) for clips x (B, C, T, H, W)."""
        frames_BCT = x.mean((3, 4))
        clip_BC1 = frames_BCT.mean(2, keepdim=True)
        hidden = _temporal_conv(frames_BCT + _temporal_conv(clip_BC1, self.g), self.a)
        hidden = F.relu(self.bn(hidden), inplace=True)
        alpha_BCT = _temporal_conv(hidden, self.b) + 1
        return alpha_BCT[..., None, None]


def _temporal_conv(x_BCT: Tensor, conv: nn.Conv3d) -> Tensor:
    """Apply a (k, 1, 1) convolution, zero padded to the same T, to descriptors without spatial axes.

    As a matrix product: conv1d falls back to a slow kernel for a single clip.
    """
    weight = conv.weight.flatten(1)  # C' x (C * k)
    kernel = conv.kernel_size[0]
    windows = F.pad(x_BCT, (kernel // 2, kernel // 2)).unfold(2, kernel, 1)  # B x C x T x k
    return F.linear(windows.transpose(1, 2).flatten(2), weight, conv.bias).transpose(1, 2)
