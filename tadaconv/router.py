"""The router: from the frames of a clip to one calibration factor per channel and frame.

Axes: B clips, C channels, T frames, H x W pixels.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from tadaconv.frames import spatial_mean


class RouteFuncMLP(nn.Module):
    """Calibration factors from the descriptors of each frame, its neighbours and the whole clip.

        v = mean of x over H, W          (B, C, T)
        g = mean of x over T, H, W       (B, C, 1)
        alpha = b(relu(bn(a(v + G(g))))) + 1

    with two temporal convolutions a: C -> C / ratio and b: C / ratio -> C and a linear layer G: C
    -> C. b starts at zero, so that at first alpha = 1 and the calibrated convolution is an ordinary
    one.

    Source: TAda! (ICLR 2022), Eq. 5 and 6, in the form of the released code: the paper adds the
    global descriptor after ``a``, the code (and every released weight) before it. The options
    behind ``bn_mmt`` are the paper's ablations (Table 3a, Fig. 3), of which no code is public;
    without them this is the released router.

    Args:
        c_in: C, channels of the input.
        ratio: reduction of the channels between ``a`` and ``b``.
        kernels: temporal kernel sizes of ``a`` and ``b``, odd.
        bn_eps: epsilon of the batch normalisation.
        bn_mmt: momentum of the batch normalisation.
        c_out: number of factors per frame; None: C. A TAdaConv tells its own as ``num_factors``.
        nonlinear: whether batch normalisation and ReLU stand between ``a`` and ``b``.
        global_context: whether g is added.
        share: part of the factors that is computed, 0 < share <= 1; the others, which come last,
            are 1.

    Raises:
        ValueError: if a kernel size is even, c_in is not at least ratio, or share is out of range.

    >>> import torch
    >>> router = RouteFuncMLP(c_in=64, ratio=4, kernels=[3, 3])
    >>> router(torch.randn(2, 64, 8, 14, 14)).shape
    torch.Size([2, 64, 8, 1, 1])
    """

    def __init__(
        self,
        c_in: int,
        ratio: int,
        kernels: Sequence[int],
        bn_eps: float = 1e-5,
        bn_mmt: float = 0.1,
        *,
        c_out: int | None = None,
        nonlinear: bool = True,
        global_context: bool = True,
        share: float = 1.0,
    ) -> None:
        super().__init__()
        if len(kernels) != 2 or any(k % 2 == 0 for k in kernels):
            raise ValueError(f"RouteFuncMLP: kernels must be two odd temporal sizes, got {list(kernels)}")
        if c_in < ratio:
            raise ValueError(f"RouteFuncMLP: c_in = {c_in} leaves no channel at ratio = {ratio}")
        if not 0 < share <= 1:
            raise ValueError(f"RouteFuncMLP: share must be above 0 and at most 1, got {share}")
        reduced = c_in // ratio
        self.c_out = c_in if c_out is None else c_out
        n_computed = max(1, round(share * self.c_out))
        self.g = nn.Conv3d(c_in, c_in, 1) if global_context else None
        self.a = nn.Conv3d(c_in, reduced, (kernels[0], 1, 1))
        self.bn = nn.BatchNorm1d(reduced, eps=bn_eps, momentum=bn_mmt) if nonlinear else None
        self.b = nn.Conv3d(reduced, n_computed, (kernels[1], 1, 1), bias=False)
        self.start_neutral_()

    def start_neutral_(self) -> None:
        """Set the last layer to zero, in place, so that alpha = 1."""
        nn.init.zeros_(self.b.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Factors alpha (B, c_out, T, 1, 1) for clips x (B, C, T, H, W)."""
        frames_BCT = spatial_mean(x)
        if self.g is not None:
            frames_BCT = frames_BCT + temporal_conv(frames_BCT.mean(2, keepdim=True), self.g)
        hidden = temporal_conv(frames_BCT, self.a)
        if self.bn is not None:
            hidden = F.relu(self.bn(hidden), inplace=True)
        change_BCT = temporal_conv(hidden, self.b)
        n_constant = self.c_out - change_BCT.shape[1]
        if n_constant:
            change_BCT = F.pad(change_BCT, (0, 0, 0, n_constant))
        return change_BCT[..., None, None] + 1


def temporal_conv(x_BCT: Tensor, conv: nn.Conv3d) -> Tensor:
    """Apply a (k, 1, 1) convolution, zero padded to the same T, to descriptors without spatial
    axes.

    As a matrix product: conv1d falls back to a slow kernel for a single clip.
    """
    weight = conv.weight.flatten(1)  # C' x (C * k)
    kernel = conv.kernel_size[0]
    windows = F.pad(x_BCT, (kernel // 2, kernel // 2)).unfold(2, kernel, 1)  # B x C x T x k
    return F.linear(windows.transpose(1, 2).flatten(2), weight, conv.bias).transpose(1, 2)
