"""The boundary-matching layer with the convolution folded through the sampling.

Axes: B batch, C channels in, O channels out, T positions, N samples of a cell, D durations, K valid cells.

BMN samples N feature vectors for every cell (d, t) and merges them with a convolution over the samples:

    y[o, d, t] = b[o] + sum_n sum_c W[o, c, n] * sum_tau S[(d, t), (tau, n)] * x[c, tau]

The original multiplies x by the dense S (128 MB at T = D = 100) and convolves a (C, N, D, T) tensor. Both
sums are linear, so their order can change: first r[tau, n, o] = sum_c W[o, c, n] x[c, tau], a matrix product
over T positions only; then y = S r + b, where S is sparse (1.5 % at T = D = 100). That is 75 times less
arithmetic with the same result up to rounding, and neither large tensor exists.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bmn.labels import validity_mask
from bmn.sampling import sampling_matrix


class SparseRows(NamedTuple):
    """A sparse matrix in compressed rows (CSR), as dense tensors that move and broadcast like any buffer."""

    columns: Tensor
    """(nnz,) int32: column of each entry."""
    row_starts: Tensor
    """(rows + 1,) int32: row i owns entries row_starts[i] ... row_starts[i + 1] - 1."""
    values: Tensor
    """(nnz,) weight of each entry."""

    def matmul(self, dense_BCF: Tensor) -> Tensor:
        """Multiply with each (columns, F) matrix of the batch; returns (B, rows, F).

        A sparse row times a matrix is a weighted sum of matrix rows: what `embedding_bag` computes, faster
        than torch's CSR product, each row summed in a fixed order, on CPU and GPU.
        """
        products = [
            F.embedding_bag(
                self.columns,
                dense_CF,
                self.row_starts,
                mode="sum",
                per_sample_weights=self.values,
                include_last_offset=True,
            )
            for dense_CF in dense_BCF.contiguous()
        ]
        return torch.stack(products)


class _SparseMatmul(torch.autograd.Function):
    """`matrix @ dense`, with the transpose at hand so that the backward pass is the same fast product."""

    @staticmethod
    def forward(ctx: Any, dense_BCF: Tensor, matrix: SparseRows, transposed: SparseRows) -> Tensor:
        ctx.matrices = (matrix, transposed)
        return matrix.matmul(dense_BCF)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        matrix, transposed = ctx.matrices
        return _SparseMatmul.apply(grads[0], transposed, matrix), None, None


class BoundaryMatching(nn.Module):
    """Map a feature sequence to one feature vector for every valid cell of the boundary-matching map.

    Source: BMN (Lin et al., ICCV 2019), Sec. 4.2 and 4.3 (BM layer and `conv3d1`); reordered as the head of
    this file explains, values equal up to rounding. It owns no parameters: the convolution's are passed in.

    Args:
        tscale: positions T.
        dscale: durations D, at most T.
        num_samples: samples N of a cell.
        num_samples_per_bin: points averaged into one sample.
        boundary_ratio: extension on both sides, as a fraction of the cell's length.

    Raises:
        ValueError: for sizes out of range (see `bmn.sampling.sampling_matrix`).
    """

    valid_cells: Tensor
    """(K,) int64: index d * T + t of each valid cell, increasing."""
    matrix_values: Tensor
    """Sampling weights; their type is that of the sampling."""

    def __init__(
        self, tscale: int, dscale: int, num_samples: int, num_samples_per_bin: int, boundary_ratio: float
    ) -> None:
        super().__init__()
        self.tscale, self.dscale, self.num_samples = tscale, dscale, num_samples
        matrix = sampling_matrix(tscale, dscale, num_samples, num_samples_per_bin, boundary_ratio)
        self._add_matrix("matrix", matrix)
        self._add_matrix("transposed", matrix.T.tocsr())
        valid = torch.from_numpy(validity_mask(tscale, dscale)).flatten()
        self.register_buffer("valid_cells", valid.nonzero().squeeze(1), persistent=False)

    def _add_matrix(self, name: str, matrix: Any) -> None:
        # Not persistent: a function of the sizes only. The original stores its mask in every checkpoint.
        dtype = torch.get_default_dtype()
        self.register_buffer(f"{name}_columns", torch.from_numpy(matrix.indices).int(), persistent=False)
        self.register_buffer(f"{name}_row_starts", torch.from_numpy(matrix.indptr).int(), persistent=False)
        self.register_buffer(f"{name}_values", torch.from_numpy(matrix.data).to(dtype), persistent=False)

    def _matrix(self, name: str) -> SparseRows:
        return SparseRows(*(getattr(self, f"{name}_{part}") for part in SparseRows._fields))

    def forward(self, feats_BCT: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """Sample and convolve.

        Args:
            feats_BCT: (B, C, T).
            weight: (O, C, N, 1, 1), of the convolution over the samples.
            bias: (O,).

        Returns:
            (B, K, O), the convolution's output before its ReLU, at the valid cells in map order. Under
            autocast it is computed in the precision of the sampling weights (float32) from responses in
            the autocast type.
        """
        out_channels, channels = weight.shape[:2]
        weight_CNO = weight.reshape(out_channels, channels, -1).permute(1, 2, 0)
        responses = feats_BCT.transpose(1, 2) @ weight_CNO.flatten(1)  # B, T, N * O
        responses = responses.view(len(feats_BCT), self.tscale * self.num_samples, out_channels)
        responses = responses.to(self.matrix_values.dtype)
        return _SparseMatmul.apply(responses, self._matrix("matrix"), self._matrix("transposed")) + bias

    def to_map(self, cells_BKF: Tensor, invalid_F: Tensor) -> Tensor:
        """Lay out valid cells as a map.

        Args:
            cells_BKF: (B, K, F), as `forward` orders them.
            invalid_F: (F,), the value of every invalid cell.

        Returns:
            (B, F, D, T), channels last in memory.
        """
        batch, _, features = cells_BKF.shape
        background = invalid_F.to(cells_BKF.dtype).expand(batch, self.dscale * self.tscale, features)
        map_BXF = background.index_copy(1, self.valid_cells, cells_BKF)
        return map_BXF.view(batch, self.dscale, self.tscale, features).permute(0, 3, 1, 2)
