"""The levels of a pyramid one behind the other along T, rows of zeros between them, so that every
product of a head is one.

    level 0 . level 1 . level 2 .        a dot: `gap` rows without a feature

Axes: B batch, T rows of all levels, D channels; P points of all levels, the same rows without the
gaps; N rows picked from all videos.

In training some outputs count at few points only. `wanted` names them, and a tower then works on
the rows that can reach them:

    wanted      . . . x . . . . . . . . . x . x . .        reach 2
    picked        - - x - -             - - x - x - -      one behind the other, neighbours kept
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from one_stage.padding import Padding

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
        wanted: (B, T, 1), rows whose outputs count; None: all.
    """

    values: Tensor
    mask: Tensor
    keep: Tensor
    lengths: tuple[int, ...]
    gap: int
    wanted: Tensor | None = None

    def split(self, rows_BTX: Tensor) -> list[Tensor]:
        """Return what belongs to each level."""
        parts = rows_BTX.split([length + self.gap for length in self.lengths], dim=1)
        return [part[:, :length] for part, length in zip(parts, self.lengths, strict=True)]

    def at(self, points_BP: Tensor | None, reach: int = 0) -> Joined:
        """Return the same levels, of which the outputs within `reach` rows of points count."""
        if points_BP is None:
            return self._replace(wanted=None)
        wanted_BT1 = _followed(list(points_BP[..., None].split(list(self.lengths), dim=1)), self.gap)
        return self._replace(wanted=_within(wanted_BT1, reach).view_as(wanted_BT1))

    def part(self, rows: slice) -> Joined:
        """Return neighbouring rows of each video."""
        return self._taken(lambda part: part[:, rows])

    def picked(self, rows_N: Tensor) -> Joined:
        """Return rows of all videos as one video; `rows_N` counts through (B, T)."""
        return self._taken(lambda part: part.flatten(0, 1).index_select(0, rows_N)[None])

    def _taken(self, take: Callable[[Tensor], Tensor]) -> Joined:
        values, mask = take(self.values), take(self.mask)
        keep = mask if self.keep is self.mask else take(self.keep)  # towers mask once where both are one
        return Joined(values, mask, keep, (mask.shape[1],), 0)


def at_wanted(function: Callable[[Joined], Tensor], levels: Joined, reach: int) -> Tensor:
    """Apply what looks at `reach` rows on either side where outputs count, (B, T, X); zero
    elsewhere."""
    assert levels.wanted is not None
    rows_N = _within(levels.wanted, reach).nonzero()[:, 0]
    if not len(rows_N):  # one row, so that every parameter has a gradient of zero
        rows_N = rows_N.new_zeros(1)
    found_NX = function(levels.picked(rows_N))[0]
    inner_N = levels.wanted.flatten()[rows_N]
    out_RX = found_NX.new_zeros(levels.wanted.numel(), found_NX.shape[1])
    out_RX = out_RX.index_copy(0, rows_N[inner_N], found_NX[inner_N])
    return out_RX.unflatten(0, levels.wanted.shape[:2])


def _within(wanted_BT1: Tensor, reach: int) -> Tensor:
    """Tell which rows, counted through (B, T), lie within reach of a wanted one."""
    row_1R = wanted_BT1.flatten()[None].float()
    return F.max_pool1d(row_1R, 2 * reach + 1, 1, reach)[0] > 0


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
