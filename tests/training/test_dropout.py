"""A piece of a batch drops what the whole batch would have dropped there."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tadaconv.layers import DropPath
from training.batches import batch_pieces
from training.dropout import PieceOfDropout

KEYS = [(0, item) for item in range(7)]


class Net(nn.Module):
    """Two dropouts, one of them on items x 3 rows, and stochastic depth."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.rows, self.path = nn.Dropout(0.3), nn.Dropout(0.6), DropPath(0.5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.path(self.first(x))
        return self.rows(x.reshape(-1, 4)).reshape(x.shape)


def _pieces(net: nn.Module, x: Tensor, world_size: int, micro_batch: int) -> Tensor:
    out = []
    for rank in range(world_size):
        for piece in batch_pieces(KEYS, rank, world_size, micro_batch):
            torch.manual_seed(3)
            with PieceOfDropout(piece):
                out.append(net(x[piece.start : piece.start + len(piece.keys)]))
    return torch.cat(out)


@pytest.mark.parametrize(("world_size", "micro_batch"), [(1, 1), (1, 3), (2, 0), (3, 2), (7, 0)])
@pytest.mark.parametrize("training", [True, False])
def test_pieces_together_are_the_whole_batch(world_size: int, micro_batch: int, training: bool) -> None:
    x = torch.rand(7, 3, 4) + 1
    net = Net().train(training)
    torch.manual_seed(3)
    whole = net(x)
    assert (whole == 0).any() == training
    torch.testing.assert_close(_pieces(net, x, world_size, micro_batch), whole)


def test_dropout_in_place_and_without_items_in_front_still_drops() -> None:
    (piece,) = batch_pieces(KEYS, 1, 2, 0)  # 3 items
    with PieceOfDropout(piece):
        x = torch.ones(3, 100)
        assert F.dropout(x, 0.5, inplace=True) is x
        other = F.dropout(torch.ones(4, 100), 0.5)  # no multiple of 3
        drawn = torch.empty(4, 100).bernoulli_(0.5)
    assert set(x.unique().tolist()) == set(other.unique().tolist()) == {0.0, 2.0}
    assert set(drawn.unique().tolist()) == {0.0, 1.0}


def test_gradients_flow_through_the_kept_values() -> None:
    x = torch.ones(3, 10, requires_grad=True)
    (piece,) = batch_pieces(KEYS, 1, 2, 0)
    with PieceOfDropout(piece):
        y = F.dropout(x, 0.5)
    y.sum().backward()
    assert torch.equal(x.grad, y.detach())
