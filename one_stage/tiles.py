"""Overlapping tiles of rows, and the way back, on which neighbours add up.

    rows        0 1 2 3 4 5 6 7 8 9        size 6, step 4: neighbours share two rows
    tile 0      [---------]
    tile 1              [---------]

Axes: B batch, T rows, C channels; N tiles of S rows.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def tiles_of(rows_BTC: Tensor, size: int, step: int) -> Tensor:
    """Return the tiles as a view, (B, N, S, C); what is behind the last whole tile is left out."""
    tiles: Tensor = _Tiles.apply(rows_BTC, size, step)
    return tiles


def add_tiles(rows_BTC: Tensor, first: int, tiles_BNSC: Tensor, step: int) -> None:
    """Add tiles, the first of which begins at row `first`, to the rows where they lie.

    The rows must reach `step` rows past the beginning of the last tile's last part: (N - 1 + ceil(S
    / step)) step rows from `first` on.
    """
    tiles, size = tiles_BNSC.shape[1:3]
    for lane in range(0, size, step):
        part = tiles_BNSC[:, :, lane : lane + step]
        place = rows_BTC[:, first + lane : first + lane + step * tiles]
        place.unflatten(1, (tiles, step))[:, :, : part.shape[2]] += part


class _Tiles(torch.autograd.Function):
    """A view whose gradient is added in a few large pieces: that of `unfold` goes element by
    element."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, size: int, step: int) -> Tensor:
        ctx.shape, ctx.step = rows.shape, step
        return rows.unfold(1, size, step).transpose(2, 3)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        batch, length, channels = ctx.shape
        tiles, size = grad.shape[1:3]
        reached = (tiles - 1 - (-size // ctx.step)) * ctx.step
        rows = grad.new_zeros(batch, max(reached, length), channels)
        add_tiles(rows, 0, grad, ctx.step)
        return rows[:, :length], None, None
