"""Tiles against indices written out."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from one_stage.tiles import tiles_of


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 30), st.integers(1, 3))
def test_tiles_and_their_gradient(size: int, step: int, more: int, batch: int) -> None:
    rows = torch.randn(batch, size + more, 2, dtype=torch.float64, requires_grad=True)
    first = torch.arange(0, more + 1, step)
    expected = rows[:, first[:, None] + torch.arange(size)]
    tiles = tiles_of(rows, size, step)
    torch.testing.assert_close(tiles, expected, rtol=0, atol=0)
    grad = torch.randn_like(expected)
    (found,) = torch.autograd.grad(tiles, rows, grad)
    (wanted,) = torch.autograd.grad(expected, rows, grad)
    torch.testing.assert_close(found, wanted)
