"""3 x 3 convolutions over the boundary-matching map, computed once for each cell that can differ.

Axes: B batch, F channels in, O channels out, D durations, T positions, R rows, X = 9 F.

Before the convolutions all invalid cells (t + d >= T) hold the same features. Each convolution
reaches one cell further, so after REACH of them an invalid cell still knows nothing but its
distance to the map's bottom and right border, unless a valid cell is within REACH. The map
therefore has far fewer distinct cells than cells, and those are what the network computes, one row
of a matrix each:

    T = D = 10, REACH 2     t ->
                  d   v v v v v v v v v v      v   valid: a row each, in map order
                  |   v v v v v v v v v -      -   invalid, a valid cell within reach: a row each
                  v   v v v v v v v v - -      0-8 by the distance to the bottom (2 or more, 1, 0) and to the
                      v v v v v v v - - -          right border (likewise): one row for all cells alike
                      v v v v v v - - - -
                      v v v v v - - - - 2
                      v v v v - - - - 1 2
                      v v v - - - - 0 1 2      55 + 30 + 9 = 94 rows for 100 cells;
                      v v - - - - 3 3 4 5      at T = D = 100: 5050 + 390 + 9 = 5449 for 10,000
                      v - - - - 6 6 6 7 8

A row's neighbourhood is nine rows (fewer at the map's border, where the map is padded with zeros):
gathered beside each other, they turn the convolution into one matrix product. The result is that of
the convolution on the whole map, up to rounding, in every cell; half of the arithmetic, and a
backward pass at the speed of matrix products. (At 128 channels, T = D = 100, one core: 2.5 times
faster than conv2d, forward + backward.)
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import scipy.sparse
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from bmn.sparse_matrix import SparseMatrix

REACH = 2
"""3 x 3 convolutions in a row."""
BLOCK_ROWS = 2048
"""Rows whose neighbourhoods are gathered at a time: few enough to stay in the cache (9 MB at 128
channels)."""


class MapCells(nn.Module):
    """The distinct cells of a map whose invalid cells start out alike, and convolutions over them.

    Args:
        tscale: positions T.
        dscale: durations D, at most T.
    """

    row_of_cell: Tensor
    """(D * T,) int64: row of each cell of the map."""

    def __init__(self, tscale: int, dscale: int) -> None:
        super().__init__()
        self.tscale, self.dscale = tscale, dscale
        cell_of_row, row_of_cell = _distinct_cells(tscale, dscale)
        self.num_rows = len(cell_of_row)
        self.register_buffer("row_of_cell", torch.from_numpy(row_of_cell), persistent=False)
        self.neighbours = nn.ModuleList(
            SparseMatrix(_neighbours(cells, row_of_cell.reshape(dscale, tscale), self.num_rows))
            for cells in np.split(cell_of_row, np.arange(BLOCK_ROWS, self.num_rows, BLOCK_ROWS))
        )

    def from_valid(self, cells_BKF: Tensor, invalid_F: Tensor) -> Tensor:
        """Append to the valid cells, in map order, the rows that are invalid: (B, R, F).

        Args:
            cells_BKF: features of the K valid cells.
            invalid_F: features of every invalid cell.
        """
        batch, num_valid, features = cells_BKF.shape
        invalid = invalid_F.to(cells_BKF.dtype).expand(batch, self.num_rows - num_valid, features)
        return torch.cat([cells_BKF, invalid], dim=1)

    def convolve(self, cells_BRF: Tensor, conv: nn.Conv2d) -> Tensor:
        """Apply a 3 x 3 convolution with padding 1: (B, R, O), in the type of the cells."""
        bias = cast(Tensor, conv.bias)
        kernel_XO = conv.weight.permute(2, 3, 1, 0).flatten(0, 2)
        dtype = cells_BRF.dtype  # under autocast that of the layer before
        convolved: Tensor = _RowConvolution.apply(
            cells_BRF, kernel_XO.to(dtype), bias.to(dtype), list(self.neighbours)
        )
        return convolved

    def to_map(self, cells_BRF: Tensor) -> Tensor:
        """Lay out the rows as the map: (B, F, D, T)."""
        map_BFX = cells_BRF[:, self.row_of_cell].transpose(1, 2)
        return map_BFX.reshape(*map_BFX.shape[:2], self.dscale, self.tscale)


class _RowConvolution(torch.autograd.Function):
    """Gather and matrix product, block by block: what is gathered is never kept, but gathered
    again."""

    @staticmethod
    def forward(
        ctx: Any, cells_BRF: Tensor, kernel_XO: Tensor, bias: Tensor, blocks: list[SparseMatrix]
    ) -> Tensor:
        ctx.save_for_backward(cells_BRF, kernel_XO)
        ctx.blocks = blocks
        out = cells_BRF.new_empty(*cells_BRF.shape[:2], len(bias))
        for cells_RF, out_RO in zip(cells_BRF, out, strict=True):
            for block, block_out in zip(blocks, out_RO.split(BLOCK_ROWS), strict=True):
                gathered = block.product(cells_RF).view(len(block_out), -1)
                torch.addmm(bias, gathered, kernel_XO, out=block_out)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_BRO: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        cells_BRF, kernel_XO = ctx.saved_tensors
        # Summed over blocks in float32 at least.
        dtype = torch.promote_types(kernel_XO.dtype, torch.float32)
        grad_cells = torch.zeros_like(cells_BRF, dtype=dtype)
        grad_kernel = torch.zeros_like(kernel_XO, dtype=dtype)
        for cells_RF, grad_RO, grad_cells_RF in zip(cells_BRF, grad_BRO, grad_cells, strict=True):
            for block, block_grad in zip(ctx.blocks, grad_RO.split(BLOCK_ROWS), strict=True):
                gathered = block.product(cells_RF).view(len(block_grad), -1)
                grad_kernel += gathered.T @ block_grad
                torch.mm(block_grad, kernel_XO.T, out=gathered)  # now its gradient
                grad_cells_RF += block.product(gathered.view(-1, cells_RF.shape[1]), transposed=True)
        return grad_cells.to(cells_BRF.dtype), grad_kernel.to(kernel_XO.dtype), grad_BRO.sum((0, 1)), None


def _distinct_cells(tscale: int, dscale: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a cell of each row (R,) and the row of each cell (D * T,); valid cells first, in
    map order."""
    num_cells = dscale * tscale
    cell = np.arange(num_cells)
    duration, start = np.divmod(cell, tscale)
    to_bottom, to_right = np.minimum(dscale - 1 - duration, REACH), np.minimum(tscale - 1 - start, REACH)
    alike = to_bottom * (REACH + 1) + to_right
    valid = duration + start < tscale
    near_valid = duration + start < tscale + 2 * REACH  # a step of (-1, -1) reduces the sum by 2
    key = np.where(valid, cell, np.where(near_valid, num_cells + cell, 2 * num_cells + alike))
    _, cell_of_row, row_of_cell = np.unique(key, return_index=True, return_inverse=True)
    return cell_of_row, row_of_cell


def _neighbours(cells: np.ndarray, row_of_cell_DT: np.ndarray, num_rows: int) -> scipy.sparse.csr_array:
    """Return the matrix (cells * 9, R) that gathers the neighbourhoods of cells, in the kernel's
    order."""
    dscale, tscale = row_of_cell_DT.shape
    step_d, step_t = np.indices((3, 3)).reshape(2, 9) - 1
    duration, start = np.divmod(cells[:, None], tscale)
    duration, start = (duration + step_d).ravel(), (start + step_t).ravel()
    inside = np.flatnonzero((duration >= 0) & (duration < dscale) & (start >= 0) & (start < tscale))
    column = row_of_cell_DT[duration[inside], start[inside]]
    shape = (9 * len(cells), num_rows)
    return scipy.sparse.coo_array((np.ones(len(inside)), (inside, column)), shape=shape).tocsr()
