"""Dropout that does not depend on how a batch is cut into pieces.

Dropout draws its mask for the tensor that it sees. Cut into pieces, a batch would get other masks
than whole. Here the mask is drawn as for the whole batch, and a piece takes its own rows of it:

    whole batch of 4     piece of items 2 and 3
    1 0 1 1
    0 1 1 0
    1 1 0 1       ->     1 1 0 1
    0 0 1 1              0 0 1 1

So with the same seed before each piece, one process, several processes and accumulated gradients
drop the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from training.batches import Piece


class PieceOfDropout(TorchFunctionMode):
    """While active, `F.dropout` and `Tensor.bernoulli_` (stochastic depth) draw for the whole batch
    of a piece.

    The first axis of the tensors must be the items, or items x anything, items leading; a tensor
    whose first axis is no multiple of the piece's items draws for itself. Other random functions
    are left alone.
    """

    def __init__(self, piece: Piece) -> None:
        super().__init__()
        self.piece = piece

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Draw for the whole batch where `func` is one of the two, else call it as it is."""
        kwargs = kwargs or {}
        if func is F.dropout:
            return self._dropout(*args, **kwargs)
        if func is Tensor.bernoulli_ and len(args[0]) % len(self.piece.keys) == 0:
            return args[0].copy_(self._own_rows(self._whole(args[0]).bernoulli_(*args[1:], **kwargs)))
        return func(*args, **kwargs)

    def _dropout(self, x: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
        if not training or len(x) % len(self.piece.keys):
            return F.dropout(x, p, training, inplace)
        mask = self._own_rows(F.dropout(torch.ones_like(self._whole(x)), p))
        return x.mul_(mask) if inplace else x * mask

    def _whole(self, x: Tensor) -> Tensor:
        per_item = len(x) // len(self.piece.keys)
        return x.new_empty(self.piece.batch_size * per_item, *x.shape[1:])

    def _own_rows(self, whole: Tensor) -> Tensor:
        per_item = len(whole) // self.piece.batch_size
        start = self.piece.start * per_item
        return whole[start : start + len(self.piece.keys) * per_item]
