"""The small parts of the one-stage networks: masked convolution, norm over channels, towers, pool,
drop path.

Axes: B batch, C channels, T positions of a level. A mask is (B, 1, T) bool, true where there is a
feature.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from one_stage.padding import Padding

LONG = 4096
"""Positions of a piece."""


def masked(values_BCT: Tensor, mask_B1T: Tensor) -> Tensor:
    """Set the rows without a feature to zero."""
    return values_BCT * mask_B1T.to(values_BCT.dtype)


class SequenceNorm(nn.Module):
    """Layer norm over the channels of each position.

    Args:
        channels: C.
        eps: added to the variance.
    """

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, values_BCT: Tensor) -> Tensor:
        """Normalise every position."""
        rows_BTC = values_BCT.transpose(1, 2)
        return F.layer_norm(rows_BTC, self.weight.shape, self.weight, self.bias, self.eps).transpose(1, 2)


class MaskedConv1d(nn.Module):
    """Convolution of odd kernel that keeps the length (divided by the stride, rounded up) and masks
    its output.

    Args:
        in_channels: channels in.
        out_channels: channels out.
        kernel: odd.
        stride: 1 or 2.
        depthwise: every channel by itself.
        bias: false where a norm follows.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        *,
        stride: int = 1,
        depthwise: bool = False,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.conv = conv1d(in_channels, out_channels, kernel, stride=stride, depthwise=depthwise, bias=bias)

    def forward(self, values_BCT: Tensor, mask_B1T: Tensor) -> Tensor:
        """Convolve; the mask is that of the output."""
        return masked(convolve(self.conv, values_BCT), mask_B1T)


class Pointwise(nn.Conv1d):
    """Convolution of kernel 1 as a matrix product, which takes the layout that norms leave
    without a copy."""

    def forward(self, values_BCT: Tensor) -> Tensor:
        """Multiply each position."""
        return F.linear(values_BCT.transpose(1, 2), self.weight[:, :, 0], self.bias).transpose(1, 2)


class ChannelScale(nn.Conv1d):
    """Depthwise convolution of kernel 1: a factor and a summand a channel (torch would loop over
    the channels)."""

    def forward(self, values_BCT: Tensor) -> Tensor:
        """Scale each channel."""
        scaled = values_BCT * self.weight[:, 0]
        return scaled if self.bias is None else scaled + self.bias[:, None]


def conv1d(
    in_channels: int,
    out_channels: int,
    kernel: int,
    *,
    stride: int = 1,
    depthwise: bool = False,
    bias: bool = True,
) -> nn.Conv1d:
    """Return a convolution whose bias starts at 0, as everywhere in these networks."""
    if kernel % 2 == 0:
        raise ValueError(f"convolutions that keep the length need an odd kernel, got {kernel}")
    groups = in_channels if depthwise else 1
    make: type[nn.Conv1d] = nn.Conv1d
    if kernel == stride == 1:
        make = ChannelScale if depthwise else Pointwise
    conv = make(in_channels, out_channels, kernel, stride, kernel // 2, groups=groups, bias=bias)
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
    return conv


def run_tower(
    values_BCT: Tensor,
    mask_B1T: Tensor,
    convs: Iterable[nn.Module],
    norms: Iterable[nn.Module],
    padding: Padding,
) -> Tensor:
    """Apply pairs of convolution and norm, each followed by a ReLU."""
    for conv, norm in zip(convs, norms, strict=True):
        values_BCT = F.relu(norm(conv(values_BCT, mask_B1T)))
        if padding.after_tower_norms:
            values_BCT = masked(values_BCT, mask_B1T)
    return values_BCT


def convolve(conv: nn.Conv1d, values_BCT: Tensor) -> Tensor:
    """Convolve; in inference on long videos piece by piece, so that only pieces of the input are
    laid out anew."""
    length, reach = values_BCT.shape[2], conv.kernel_size[0] // 2
    if torch.is_grad_enabled() or length <= LONG or conv.stride != (1,):
        whole: Tensor = conv(values_BCT)
        return whole
    pieces = []
    for first in range(0, length, LONG):
        stop, low = min(first + LONG, length), max(first - reach, 0)
        piece = conv(values_BCT[:, :, low : min(stop + reach, length)])
        pieces.append(piece[:, :, first - low : stop - low])
    return torch.cat(pieces, dim=2)


def by_position(layers: nn.Module, values_BCT: Tensor) -> Tensor:
    """Apply layers that look at one position at a time; in inference on long videos piece by piece.

    The hidden values of an MLP are the largest of a network: in pieces they take no memory that
    grows with T.
    """
    if torch.is_grad_enabled() or values_BCT.shape[2] <= LONG:
        whole: Tensor = layers(values_BCT)
        return whole
    return torch.cat([layers(piece) for piece in values_BCT.split(LONG, dim=2)], dim=2)


def halve(values_BCT: Tensor, mask_B1T: Tensor, padding: Padding) -> Tensor:
    """Maximum over three rows around every second one, (B, C, ceil(T / 2)); zero where the new
    level has no feature.

    Rows without a feature hold 0, which the original lets win over negative values of the last
    valid row.
    """
    if padding.everywhere:
        values_BCT = values_BCT.masked_fill(~mask_B1T, -torch.inf)
    pooled = F.max_pool1d(values_BCT, 3, stride=2, padding=1)
    return pooled.masked_fill(~halved_mask(mask_B1T), 0.0)


def halved_mask(mask_B1T: Tensor) -> Tensor:
    """Return the mask of the next level."""
    return mask_B1T[..., ::2]


class ScaledDropPath(nn.Module):
    """A branch times a learnt scale a channel, in training left out for whole items of the batch.

    Args:
        channels: C.
        probability: of leaving out.
    """

    START = 1e-4

    def __init__(self, channels: int, probability: float) -> None:
        super().__init__()
        self.probability = probability
        self.scale = nn.Parameter(torch.full((channels,), self.START))

    def forward(self, values_BCT: Tensor) -> Tensor:
        """Scale, and in training drop."""
        scaled = values_BCT * self.scale[:, None]
        if not self.training or not self.probability:
            return scaled
        kept_B11 = scaled.new_empty(len(scaled), 1, 1).bernoulli_(1.0 - self.probability)
        return scaled * (kept_B11 / (1.0 - self.probability))


class LevelScale(nn.Module):
    """One learnt factor."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(1.0))

    def forward(self, values: Tensor) -> Tensor:
        """Multiply."""
        return values * self.scale


class MaskedGroupNorm(nn.Module):
    """Group norm of (B, C, T); with `padding.everywhere` its statistics are those of the rows with
    a feature.

    Args:
        channels: C.
        padding: see there.
        groups: channels of a group share their statistics.
        affine: whether weight and bias are learnt.
    """

    EPS = 1e-5

    def __init__(self, channels: int, padding: Padding, groups: int, *, affine: bool = True) -> None:
        super().__init__()
        self.groups, self.padding = groups, padding
        self.weight = nn.Parameter(torch.ones(channels)) if affine else None
        self.bias = nn.Parameter(torch.zeros(channels)) if affine else None

    def forward(self, values_BCT: Tensor, mask_B1T: Tensor) -> Tensor:
        """Normalise each group of channels over its rows; the values behind the last feature
        must be zero."""
        if not self.padding.everywhere:
            return F.group_norm(values_BCT, self.groups, self.weight, self.bias, self.EPS)
        batch, channels, length = values_BCT.shape
        grouped_BGX = values_BCT.reshape(batch, self.groups, -1, length)
        inside = mask_B1T[:, :, None].to(values_BCT.dtype)
        count = inside.sum((2, 3), keepdim=True).clamp(min=1) * grouped_BGX.shape[2]
        mean = (grouped_BGX * inside).sum((2, 3), keepdim=True) / count
        centred = (grouped_BGX - mean) * inside
        variance = centred.square().sum((2, 3), keepdim=True) / count
        normed = (centred / (variance + self.EPS).sqrt()).reshape(batch, channels, length)
        if self.weight is None or self.bias is None:
            return normed
        return torch.addcmul(self.bias[:, None], normed, self.weight[:, None])
