"""Heads that all levels share: classes, offsets to the two boundaries, and TriDet's boundary
maps.

The levels stand one behind the other along T, rows of zeros between them, so that every product is
one. Axes: B batch, T rows of all levels, D channels, K classes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from one_stage.architecture import Architecture
from one_stage.layers import LevelScale, MaskedConv1d, SequenceNorm, by_piece, run_tower
from one_stage.padding import Padding

PRIOR = 0.01
"""Probability of a class at the start of training."""
EMPTY_PRIOR = 1e-6
"""Of a class that no training segment has."""
Pyramid = list[tuple[Tensor, Tensor]]
"""Values (B, T_l, D) and mask (B, T_l, 1) of every level, the finest first."""


class Joined(NamedTuple):
    """Levels one behind the other.

    Attributes:
        values: (B, T, D), with zeros between the levels.
        mask: (B, T, 1), true where there is a feature.
        keep: (B, T, 1), rows that a tower keeps after its norms.
        lengths: rows of each level.
        gap: rows between two.
    """

    values: Tensor
    mask: Tensor
    keep: Tensor
    lengths: tuple[int, ...]
    gap: int

    def split(self, rows_BTX: Tensor) -> list[Tensor]:
        """Return what belongs to each level."""
        parts = rows_BTX.split([length + self.gap for length in self.lengths], dim=1)
        return [part[:, :length] for part, length in zip(parts, self.lengths, strict=True)]


def join(levels: Pyramid, gap: int, padding: Padding) -> Joined:
    """Put levels one behind the other, each followed by `gap` rows without a feature."""
    values = _followed([level for level, _ in levels], gap)
    mask = _followed([level_mask for _, level_mask in levels], gap)
    keep = mask
    if not padding.after_tower_norms:
        keep = _followed([torch.ones_like(own) for _, own in levels], gap)
    return Joined(values, mask, keep, tuple(level.shape[1] for level, _ in levels), gap)


def _followed(levels: Sequence[Tensor], gap: int) -> Tensor:
    between = levels[0].new_zeros(len(levels[0]), gap, levels[0].shape[2])
    return torch.cat([part for level in levels for part in (level, between)], dim=1)


class _Tower(nn.Module):
    """Convolution, norm, ReLU, `arch.head_layers` times, and a last convolution."""

    def __init__(self, arch: Architecture, kernel: int, padding: Padding) -> None:
        super().__init__()
        channels = arch.channels
        self.head = nn.ModuleList(
            MaskedConv1d(channels, channels, kernel, bias=False) for _ in range(arch.head_layers)
        )
        self.norm = nn.ModuleList(SequenceNorm(channels, padding.tower_eps) for _ in self.head)

    def through(self, levels: Joined, last: MaskedConv1d) -> Tensor:
        """Apply all layers, (B, T, channels of the last)."""

        def applied(piece_BTD: Tensor, rows: slice) -> Tensor:
            mask = levels.mask[:, rows]
            keep = mask if levels.keep is levels.mask else levels.keep[:, rows]
            values, preparation = run_tower(piece_BTD, mask, self.head, self.norm, keep)
            found: Tensor = last(values, mask, preparation)
            return found

        reach = (len(self.head) + 1) * (last.conv.kernel_size[0] // 2)
        return by_piece(applied, levels.values, reach)


class ClassHead(_Tower):
    """A logit for every class at every position.

    Args:
        arch: sizes.
        num_classes: K.
        kernel: of all its convolutions.
        padding: see there.
    """

    def __init__(self, arch: Architecture, num_classes: int, kernel: int, padding: Padding) -> None:
        super().__init__(arch, kernel, padding)
        self.cls_head = MaskedConv1d(arch.channels, num_classes, kernel)
        self.set_prior(range(num_classes), PRIOR)

    def set_prior(self, classes: Sequence[int], probability: float) -> None:
        """Let some classes start from a probability."""
        bias = self.cls_head.conv.bias
        assert bias is not None
        bias.data[list(classes)] = -math.log((1.0 - probability) / probability)

    def forward(self, levels: Joined) -> list[Tensor]:
        """Return logits (B, K, T_l) of every level."""
        return [level.transpose(1, 2) for level in levels.split(self.through(levels, self.cls_head))]


class OffsetHead(_Tower):
    """Distances to the boundaries, in strides of the level: 2, or 2 (bins + 1) values a position,
    never negative.

    Args:
        arch: sizes.
        padding: see there.
    """

    def __init__(self, arch: Architecture, padding: Padding) -> None:
        super().__init__(arch, arch.head_kernel, padding)
        self.scale = nn.ModuleList(LevelScale() for _ in range(arch.levels))
        self.offset_head = MaskedConv1d(arch.channels, 2 * (arch.bins + 1), arch.head_kernel)

    def forward(self, levels: Joined) -> list[Tensor]:
        """Return (B, 2 (bins + 1), T_l) of every level."""
        offsets = levels.split(self.through(levels, self.offset_head))
        return [
            F.relu(scale(level)).transpose(1, 2) for scale, level in zip(self.scale, offsets, strict=True)
        ]
