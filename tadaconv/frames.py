"""Frames as a batch of images, and the average over neighbouring frames.

Axes: B clips, C channels, T frames, H x W pixels. Between the layers a clip batch is a (B, C, T, H,
W) tensor whose memory is laid out as B, T, H, W, C (``torch.channels_last_3d``). In that layout the
frames can be folded into the batch without moving a byte, and what comes out is an ordinary
channels-last image batch:

    (B, C, T, H, W) --fold_frames--> (B * T, C, H, W) --conv2d--> (B * T, C', H', W')
    --unfold_frames--> (B, C', T, H', W')
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def fold_frames(x_BCTHW: Tensor) -> Tensor:
    """Turn clips into a channels-last batch of images.

    A view for tensors in ``channels_last_3d`` memory format; others are brought into it (one copy).

    Args:
        x_BCTHW: clips, (B, C, T, H, W).

    Returns:
        Images, (B * T, C, H, W), frame t of clip b at index b * T + t.

    >>> fold_frames(torch.zeros(2, 3, 8, 32, 48)).shape
    torch.Size([16, 3, 32, 48])
    """
    x_BCTHW = x_BCTHW.contiguous(memory_format=torch.channels_last_3d)
    return x_BCTHW.transpose(1, 2).flatten(0, 1)


def unfold_frames(images: Tensor, n_clips: int) -> Tensor:
    """Undo :func:`fold_frames`: images (B * T, C, H, W) to clips (B, C, T, H, W), always a view.

    >>> unfold_frames(torch.zeros(16, 3, 32, 48), n_clips=2).shape
    torch.Size([2, 3, 8, 32, 48])
    """
    return images.unflatten(0, (n_clips, -1)).transpose(1, 2)


def spatial_mean(x_BCTHW: Tensor) -> Tensor:
    """Mean over the pixels of each frame: (B, C, T, H, W) to (B, C, T).

    Channels-last clips are summed row by row, all channels of a pixel at once, which on CPU is ten
    times faster than a mean over the axes H and W; the result is then laid out as B, T, C.

    >>> spatial_mean(torch.ones(2, 3, 8, 4, 5)).shape
    torch.Size([2, 3, 8])
    """
    if not x_BCTHW.is_contiguous(memory_format=torch.channels_last_3d):
        return x_BCTHW.mean((3, 4))
    return x_BCTHW.permute(0, 2, 3, 4, 1).flatten(2, 3).mean(2).transpose(1, 2)


def gather_windows(x_BCTHW: Tensor, kernel_t: int, stride: int = 1) -> Tensor:
    """The frames around every stride-th frame as channels, with zeros outside the clip.

    Channel c * kernel_t + k holds channel c of the frame k - kernel_t // 2 away, the order of a (C,
    kernel_t) kernel.

    Args:
        x_BCTHW: clips, (B, C, T, H, W).
        kernel_t: frames of a window, odd.
        stride: frames from one window to the next.

    Returns:
        Tensor (B, C * kernel_t, ceil(T / stride), H, W).

    >>> gather_windows(torch.tensor([1.0, 2.0, 3.0]).view(1, 1, 3, 1, 1), kernel_t=3).view(3, 3)
    tensor([[0., 1., 2.],
            [1., 2., 3.],
            [2., 3., 0.]])
    """
    if (kernel_t, stride) == (1, 1):
        return x_BCTHW
    reach = kernel_t // 2
    padded = F.pad(x_BCTHW, (0, 0, 0, 0, reach, reach))
    n_frames = x_BCTHW.shape[2]
    return torch.stack([padded[:, :, k : k + n_frames : stride] for k in range(kernel_t)], dim=2).flatten(
        1, 2
    )


def temporal_average(x_BCTHW: Tensor) -> Tensor:
    """Mean of each frame and its two neighbours; outside the clip there are zeros.

    y[t] = (x[t - 1] + x[t] + x[t + 1]) / 3, at the first and the last frame as well. Any T >= 1
    will do.

    Source: TAda! (ICLR 2022), Eq. 7; what the paper calls strided average pooling has stride 1.

    Args:
        x_BCTHW: clips, (B, C, T, H, W).

    Returns:
        Tensor of the same shape.

    >>> temporal_average(torch.tensor([3.0, 6.0, 9.0]).view(1, 1, 3, 1, 1)).flatten()
    tensor([3., 6., 5.])
    """
    average: Tensor = _TemporalAverage.apply(x_BCTHW)
    return average


class _TemporalAverage(torch.autograd.Function):
    """The average with its gradient, which is the same average: the matrix of the three taps is
    symmetric.

    On CPU this is 5 times faster than autograd through shifted slices, and avg_pool3d is far slower
    still on channels-last tensors (and refuses T < 3).
    """

    @staticmethod
    def forward(ctx: Any, x_BCTHW: Tensor) -> Tensor:
        total = x_BCTHW.clone()
        total[:, :, 1:] += x_BCTHW[:, :, :-1]
        total[:, :, :-1] += x_BCTHW[:, :, 1:]
        return total.mul_(1 / 3)

    @staticmethod
    def backward(ctx: Any, grad_BCTHW: Tensor) -> Tensor:
        return temporal_average(grad_BCTHW)
