"""Products with a constant sparse matrix, as fast backward as forward."""

from __future__ import annotations

from typing import Any

import scipy.sparse
import torch
from torch import Tensor, nn
from torch.nn import functional as F


class SparseMatrix(nn.Module):
    """A constant matrix in compressed rows (CSR), with its transpose at hand for the backward pass.

    A sparse row times a dense matrix is a weighted sum of the dense matrix's rows: what
    `embedding_bag` computes, faster than torch's CSR product, each sum in a fixed order, on CPU and
    GPU.

    Args:
        matrix: (rows, columns).

    >>> swap = SparseMatrix(scipy.sparse.csr_array([[0.0, 1.0], [2.0, 0.0]]))
    >>> swap(torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]))
    tensor([[4., 5., 6.],
            [2., 4., 6.]])
    """

    values: Tensor
    """(nnz,) weight of each entry; its type is that of the product."""

    def __init__(self, matrix: scipy.sparse.csr_array) -> None:
        super().__init__()
        self._register("", matrix)
        self._register("transposed_", matrix.T.tocsr())

    def _register(self, prefix: str, matrix: scipy.sparse.csr_array) -> None:
        # Not persistent: a function of the sizes only. The original stores its mask in every
        # checkpoint.
        parts = {
            "columns": torch.from_numpy(matrix.indices).int(),
            "row_starts": torch.from_numpy(matrix.indptr).int(),
            "values": torch.from_numpy(matrix.data).to(torch.get_default_dtype()),
        }
        for name, part in parts.items():
            self.register_buffer(prefix + name, part, persistent=False)

    def forward(self, dense_CF: Tensor) -> Tensor:
        """Multiply with a (columns, F) matrix: (rows, F), differentiable any number of times."""
        product: Tensor = _SparseProduct.apply(dense_CF, self, False)
        return product

    def product(self, dense: Tensor, transposed: bool = False) -> Tensor:
        """Multiply the matrix, or its transpose, with a dense matrix of any floating type; no
        autograd."""
        prefix = "transposed_" if transposed else ""
        columns, row_starts, values = (
            getattr(self, prefix + name) for name in ("columns", "row_starts", "values")
        )
        return F.embedding_bag(
            columns,
            dense.contiguous(),
            row_starts,
            mode="sum",
            per_sample_weights=values.to(dense.dtype),
            include_last_offset=True,
        )


class _SparseProduct(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, dense: Tensor, matrix: SparseMatrix, transposed: bool) -> Tensor:
        ctx.matrix, ctx.transposed = matrix, transposed
        return matrix.product(dense, transposed)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        return _SparseProduct.apply(grads[0], ctx.matrix, not ctx.transposed), None, None
