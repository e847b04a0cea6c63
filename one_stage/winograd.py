"""Convolution of kernel 3 over rows with half the multiplications: Winograd's F(4, 3).

Axes: B batch, T rows, C channels in, D channels out; N tiles of 4 rows out, 6 rows in; P = 6
products.

    rows in     . 0 1 2 3 4 5 6 7 .        a tile of six rows, transformed, times six matrices,
    tile 0      [---------]                transformed back, is four rows of the convolution:
    tile 1              [---------]        6 products in place of 12

Source: Winograd (1980); Lavin and Gray, "Fast algorithms for convolutional neural networks", CVPR
2016, in one dimension, interpolating at 0, 1, -1, 2, -2 and infinity. In float32 the result is
within about 2e-6 of the largest value (the plain sum: 3e-7).
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from one_stage.tiles import add_tiles, tiles_of

KERNEL, OUT, IN = 3, 4, 6
"""Rows of the kernel; of a tile out and in."""
PART = 1024
"""Rows out that are worked on at a time: what is laid out for them stays small."""

ROWS_IN = (
    (4.0, 0.0, -5.0, 0.0, 1.0, 0.0),
    (0.0, -4.0, -4.0, 1.0, 1.0, 0.0),
    (0.0, 4.0, -4.0, -1.0, 1.0, 0.0),
    (0.0, -2.0, -1.0, 2.0, 1.0, 0.0),
    (0.0, 2.0, -1.0, -2.0, 1.0, 0.0),
    (0.0, 4.0, 0.0, -5.0, 0.0, 1.0),
)
"""P x 6: from the rows of a tile."""
TAPS = (
    (1 / 4, 0.0, 0.0),
    (-1 / 6, -1 / 6, -1 / 6),
    (-1 / 6, 1 / 6, -1 / 6),
    (1 / 24, 1 / 12, 1 / 6),
    (1 / 24, -1 / 12, 1 / 6),
    (0.0, 0.0, 1.0),
)
"""P x 3: from the kernel."""
ROWS_OUT = (
    (1.0, 1.0, 1.0, 1.0, 1.0, 0.0),
    (0.0, 1.0, -1.0, 2.0, -2.0, 0.0),
    (0.0, 1.0, 1.0, 4.0, 4.0, 0.0),
    (0.0, 1.0, -1.0, 8.0, -8.0, 1.0),
)
"""4 x P: to the rows of a tile."""


def convolve_rows(rows_BTC: Tensor, weight_DCK: Tensor) -> Tensor:
    """Return the convolution that keeps the length, zeros around it, (B, T, D)."""
    batch, length, _ = rows_BTC.shape
    kernels_PDC = _kernels(weight_DCK)
    out_BTD = rows_BTC.new_empty(batch, length, len(weight_DCK))
    for part, seen, padding in _parts(length):
        products_PND = torch.bmm(_tiles_in(rows_BTC[:, seen], padding), kernels_PDC.transpose(1, 2))
        tiles_N4D = products_PND.new_tensor(ROWS_OUT) @ products_PND.transpose(0, 1)
        out_BTD[:, part] = tiles_N4D.reshape(batch, -1, out_BTD.shape[2])[:, : part.stop - part.start]
    return out_BTD


def gradients(
    grad_BTD: Tensor, rows_BTC: Tensor, weight_DCK: Tensor, *, of_rows: bool
) -> tuple[Tensor | None, Tensor]:
    """Return the gradients of the rows, if asked for, and of the weight."""
    batch, length, channels = rows_BTC.shape
    weight_PDC = rows_BTC.new_empty(IN, len(weight_DCK), channels)
    kernels_PDC = _kernels(weight_DCK)
    # One row before the first, and what the last tile reaches behind the last.
    grad_rows = rows_BTC.new_zeros(batch, length + 2 * OUT, channels) if of_rows else None
    for part, seen, padding in _parts(length):
        behind = -(part.stop - part.start) % OUT
        tiles_N4D = F.pad(grad_BTD[:, part], (0, 0, 0, behind)).reshape(-1, OUT, len(weight_DCK))
        grad_PND = (tiles_N4D.new_tensor(ROWS_OUT).T @ tiles_N4D).transpose(0, 1)
        tiles_PNC, added = _tiles_in(rows_BTC[:, seen], padding), int(part.start > 0)
        weight_PDC.baddbmm_(grad_PND.transpose(1, 2), tiles_PNC, beta=added)
        if grad_rows is not None:
            tiles_N6C = weight_PDC.new_tensor(ROWS_IN).T @ torch.bmm(grad_PND, kernels_PDC).transpose(0, 1)
            add_tiles(grad_rows, part.start, tiles_N6C.view(batch, -1, IN, channels), OUT)
    grad_weight = weight_PDC.flatten(1).T @ weight_PDC.new_tensor(TAPS)
    found = None if grad_rows is None else grad_rows[:, 1 : length + 1]
    return found, grad_weight.view_as(weight_DCK)


def _parts(length: int) -> Iterator[tuple[slice, slice, tuple[int, int]]]:
    """Yield rows out, the rows in that they look at, and how many of these are missing on either
    side."""
    for first in range(0, length, PART):
        stop = min(first + PART, length)
        low, high = first - 1, first + OUT * -(-(stop - first) // OUT) + 1
        seen = slice(max(low, 0), min(high, length))
        yield slice(first, stop), seen, (seen.start - low, high - seen.stop)


def _tiles_in(rows_BTC: Tensor, padding: tuple[int, int]) -> Tensor:
    """Return the transformed tiles, (P, B N, C)."""
    tiles_BN6C = tiles_of(F.pad(rows_BTC, (0, 0, *padding)), IN, OUT)
    transformed_BNPC = rows_BTC.new_tensor(ROWS_IN) @ tiles_BN6C
    return transformed_BNPC.flatten(0, 1).transpose(0, 1)


def _kernels(weight_DCK: Tensor) -> Tensor:
    """Return the transformed kernel, (P, D, C)."""
    transformed = weight_DCK.new_tensor(TAPS) @ weight_DCK.flatten(0, 1).T
    return transformed.view(IN, *weight_DCK.shape[:2])
