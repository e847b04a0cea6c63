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

import torch
from torch import Tensor
from torch.nn import functional as F

KERNEL, OUT, IN = 3, 4, 6
"""Rows of the kernel; of a tile out and in."""

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
    products_PND = torch.bmm(_tiles_in(rows_BTC), _kernels(weight_DCK))
    tiles_N4D = products_PND.new_tensor(ROWS_OUT) @ products_PND.transpose(0, 1)
    return tiles_N4D.reshape(batch, -1, weight_DCK.shape[0])[:, :length]


def gradients(
    grad_BTD: Tensor, rows_BTC: Tensor, weight_DCK: Tensor, *, of_rows: bool
) -> tuple[Tensor | None, Tensor]:
    """Return the gradients of the rows, if asked for, and of the weight."""
    batch, length, _ = rows_BTC.shape
    tiles = _tiles(length)
    padded = F.pad(grad_BTD, (0, 0, 0, OUT * tiles - length)).reshape(batch * tiles, OUT, -1)
    grad_NPD = padded.new_tensor(ROWS_OUT).T @ padded
    grad_PND = grad_NPD.transpose(0, 1)
    weight_PCD = torch.bmm(_tiles_in(rows_BTC).transpose(1, 2), grad_PND)
    grad_weight = (weight_PCD.new_tensor(TAPS).T @ weight_PCD.flatten(1)).view(KERNEL, *weight_PCD.shape[1:])
    if not of_rows:
        return None, grad_weight.permute(2, 1, 0)
    tiles_PNC = torch.bmm(grad_PND, _kernels(weight_DCK).transpose(1, 2))
    tiles_N6C = tiles_PNC.new_tensor(ROWS_IN).T @ tiles_PNC.transpose(0, 1)
    return _overlapped(tiles_N6C.view(batch, tiles, IN, -1))[:, 1 : length + 1], grad_weight.permute(2, 1, 0)


def _tiles(length: int) -> int:
    return -(-length // OUT)


def _tiles_in(rows_BTC: Tensor) -> Tensor:
    """Return the transformed tiles, (P, B N, C)."""
    batch, length, channels = rows_BTC.shape
    tiles = _tiles(length)
    padded = F.pad(rows_BTC, (0, 0, 1, OUT * tiles - length + 1))
    tiles_BN6C = padded.unfold(1, IN, OUT).transpose(2, 3)
    transformed = padded.new_tensor(ROWS_IN) @ tiles_BN6C
    return transformed.reshape(batch * tiles, IN, channels).transpose(0, 1)


def _kernels(weight_DCK: Tensor) -> Tensor:
    """Return the transformed kernel, (P, C, D)."""
    taps_K = weight_DCK.permute(2, 1, 0)
    return (weight_DCK.new_tensor(TAPS) @ taps_K.flatten(1)).view(IN, *taps_K.shape[1:])


def _overlapped(tiles_BN6C: Tensor) -> Tensor:
    """Add up the tiles where they lie, (B, 4 N + 4, C)."""
    batch, tiles, _, channels = tiles_BN6C.shape
    rows = F.pad(tiles_BN6C[:, :, :OUT].reshape(batch, OUT * tiles, channels), (0, 0, 0, OUT))
    rows[:, OUT:].view(batch, tiles, OUT, channels)[:, :, : IN - OUT] += tiles_BN6C[:, :, OUT:]
    return rows
