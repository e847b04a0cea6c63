"""The small parts of the one-stage networks: masked convolution, norm over channels, towers, pool,
drop path.

Axes: B batch, T positions of a level, C channels, side by side in memory: norms and products take
rows as they lie. A mask is (B, T, 1) bool, true where there is a feature.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from one_stage.padding import Padding
from one_stage.products import UNCHANGED, Preparation, as_image, as_rows, multiply

LONG = 2048
"""Positions of a piece."""


def masked(values_BTC: Tensor, mask_BT1: Tensor) -> Tensor:
    """Set the rows without a feature to zero."""
    return values_BTC * mask_BT1.to(values_BTC.dtype)


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

    def forward(self, values_BTC: Tensor) -> Tensor:
        """Normalise every position."""
        return self.normed(values_BTC, self.weight, self.bias)

    def normed(self, values_BTC: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """Normalise with other weights."""
        return F.layer_norm(values_BTC, weight.shape, weight, bias, self.eps)

    def preparation(self) -> Preparation:
        """Return this norm as what happens before a product."""
        return Preparation(self.normed, (self.weight, self.bias))

    def active(self, keep_BT1: Tensor) -> Preparation:
        """Return norm, mask and ReLU as what happens before a product."""
        return Preparation(self.normed, (self.weight, self.bias), keep_BT1, relu=True)


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

    def forward(self, values_BTC: Tensor, mask_BT1: Tensor, preparation: Preparation = UNCHANGED) -> Tensor:
        """Convolve what is prepared; the mask is that of the output."""
        return masked(self.conv(values_BTC, preparation), mask_BT1)


class RowConv(nn.Conv1d):
    """Convolution over the rows of (B, T, C)."""

    def forward(self, values_BTC: Tensor, preparation: Preparation = UNCHANGED) -> Tensor:
        """Convolve what is prepared; in inference on long videos piece by piece."""

        def convolved(piece_BTC: Tensor, rows: slice) -> Tensor:
            return multiply(piece_BTC, self.weight, self.bias, preparation.of(rows))

        return by_piece(convolved, values_BTC, self.kernel_size[0] // 2)


class DepthwiseConv(nn.Conv1d):
    """Convolution over the rows of (B, T, C), every channel by itself."""

    def forward(self, values_BTC: Tensor, preparation: Preparation = UNCHANGED) -> Tensor:
        """Convolve what is prepared."""
        values_BTC = preparation(values_BTC, *preparation.parameters)
        if values_BTC.device.type != "cpu":
            return self._convolved(values_BTC)
        # A processor's bfloat16 convolution never comes back from some sizes (16 x 64 rows, kernel 31).
        with torch.autocast("cpu", enabled=False):
            return self._convolved(values_BTC.to(self.weight.dtype))

    def _convolved(self, values_BTC: Tensor) -> Tensor:
        if self.kernel_size == self.stride == (1,):
            scaled = values_BTC * self.weight[:, 0, 0]
            return scaled if self.bias is None else scaled + self.bias
        stride, reach = self.stride[0], self.kernel_size[0] // 2
        image, kernel = as_image(values_BTC), self.weight[:, :, None]
        return as_rows(F.conv2d(image, kernel, self.bias, (1, stride), (0, reach), groups=self.groups))


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
    make = DepthwiseConv if depthwise else RowConv
    conv = make(in_channels, out_channels, kernel, stride, kernel // 2, groups=groups, bias=bias)
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
    return conv


def run_tower(
    values_BTC: Tensor,
    mask_BT1: Tensor,
    convs: Iterable[nn.Module],
    norms: Iterable[nn.Module],
    keep_BT1: Tensor,
) -> tuple[Tensor, Preparation]:
    """Apply pairs of convolution and norm, each followed by a ReLU and a mask.

    Args:
        values_BTC: of the features or of a level.
        mask_BT1: of the convolutions' outputs.
        convs: `MaskedConv1d`.
        norms: `SequenceNorm`, as many.
        keep_BT1: of what the ReLUs leave.

    Returns:
        Output of the last convolution, not masked where `keep_BT1` is the same mask, and what is left
        to happen before the next product.
    """
    preparation = UNCHANGED
    for conv, norm in zip(convs, norms, strict=True):
        assert isinstance(conv, MaskedConv1d)
        assert isinstance(norm, SequenceNorm)
        if keep_BT1 is mask_BT1:  # rows without a feature do not survive the norm
            values_BTC = conv.conv(values_BTC, preparation)
        else:
            values_BTC = conv(values_BTC, mask_BT1, preparation)
        preparation = norm.active(keep_BT1)
    return values_BTC, preparation


def by_piece(
    function: Callable[[Tensor, slice], Tensor], values_BTC: Tensor, reach: int = 0, stride: int = 1
) -> Tensor:
    """Apply what looks at `reach` positions on either side to values and where they lie; in
    inference on long videos piece by piece.

    What it lays out on the way (queries, keys, the hidden values of an MLP) then takes no memory that
    grows with T.

    Args:
        function: gives (B, ceil(T / stride), D) for T positions.
        values_BTC: all positions.
        reach: in positions of `values_BTC`.
        stride: of the function, a divisor of `LONG`.
    """
    length, reach = values_BTC.shape[1], -(-reach // stride) * stride
    if torch.is_grad_enabled() or length <= LONG or 4 * reach > LONG:
        return function(values_BTC, slice(0, length))
    out: Tensor | None = None
    step = LONG - 2 * reach
    for first in range(0, length, step):
        stop, low = min(first + step, length), max(first - reach, 0)
        seen = slice(low, min(stop + reach, length))
        piece = function(values_BTC[:, seen], seen)
        if out is None:
            out = piece.new_empty(len(piece), -(-length // stride), piece.shape[2])
        place = slice(first // stride, -(-stop // stride))
        behind = (first - low) // stride
        out[:, place] = piece[:, behind : behind + place.stop - place.start]
    assert out is not None
    return out


def halve(values_BTC: Tensor, mask_BT1: Tensor, padding: Padding) -> Tensor:
    """Maximum over three rows around every second one, (B, ceil(T / 2), C); zero where the new
    level has no feature.

    Rows without a feature hold 0, which the original lets win over negative values of the last
    valid row.
    """
    if padding.everywhere:
        values_BTC = values_BTC.masked_fill(~mask_BT1, -torch.inf)
    return maximum_of_three(values_BTC).masked_fill(~halved_mask(mask_BT1), 0.0)


def maximum_of_three(values_BTC: Tensor) -> Tensor:
    """Maximum over three rows around every second one, (B, ceil(T / 2), C)."""
    return as_rows(F.max_pool2d(as_image(values_BTC), (1, 3), stride=(1, 2), padding=(0, 1)))


def halved_mask(mask_BT1: Tensor) -> Tensor:
    """Return the mask of the next level."""
    return mask_BT1[:, ::2]


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

    def forward(self, values_BTC: Tensor) -> Tensor:
        """Scale, and in training drop."""
        if not self.training or not self.probability:
            return values_BTC * self.scale
        kept_B11 = self.scale.new_empty(len(values_BTC), 1, 1).bernoulli_(1.0 - self.probability)
        return values_BTC * (self.scale * (kept_B11 / (1.0 - self.probability)))


class LevelScale(nn.Module):
    """One learnt factor."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(1.0))

    def forward(self, values: Tensor) -> Tensor:
        """Multiply."""
        return values * self.scale


class MaskedGroupNorm(nn.Module):
    """Group norm of (B, T, C); with `padding.everywhere` its statistics are those of the rows with
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

    def forward(self, values_BTC: Tensor, mask_BT1: Tensor) -> Tensor:
        """Normalise each group of channels over its rows; the values behind the last feature
        must be zero."""
        if not self.padding.everywhere:
            values_BCT = values_BTC.transpose(1, 2)
            return F.group_norm(values_BCT, self.groups, self.weight, self.bias, self.EPS).transpose(1, 2)
        grouped_BTGX = values_BTC.unflatten(2, (self.groups, -1))
        inside = mask_BT1[..., None].to(values_BTC.dtype)
        count = inside.sum((1, 3), keepdim=True).clamp(min=1) * grouped_BTGX.shape[3]
        mean = (grouped_BTGX * inside).sum((1, 3), keepdim=True) / count
        centred = (grouped_BTGX - mean) * inside
        variance = centred.square().sum((1, 3), keepdim=True) / count
        normed = (centred / (variance + self.EPS).sqrt()).flatten(2)
        if self.weight is None or self.bias is None:
            return normed
        return torch.addcmul(self.bias, normed, self.weight)
