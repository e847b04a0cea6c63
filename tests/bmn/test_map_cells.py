"""Convolutions over the distinct cells of a map against the same convolutions over the whole
map."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from bmn import map_cells, validity_mask
from bmn.map_cells import MapCells

IN_CHANNELS, HIDDEN, OUT_CHANNELS = 3, 4, 2


def on_rows(
    cells: MapCells, valid_BKF: Tensor, invalid_F: Tensor, first: nn.Conv2d, second: nn.Conv2d
) -> Tensor:
    hidden = cells.convolve(cells.from_valid(valid_BKF, invalid_F), first).relu()
    return cells.to_map(cells.convolve(hidden, second))


def on_whole_map(
    valid_DT: Tensor, valid_BKF: Tensor, invalid_F: Tensor, first: nn.Conv2d, second: nn.Conv2d
) -> Tensor:
    map_BDTF = invalid_F.expand(len(valid_BKF), *valid_DT.shape, -1).clone()
    map_BDTF[:, valid_DT] = valid_BKF
    hidden: Tensor = second(first(map_BDTF.permute(0, 3, 1, 2)).relu())
    return hidden


def convolutions() -> tuple[nn.Conv2d, nn.Conv2d]:
    return (
        nn.Conv2d(IN_CHANNELS, HIDDEN, 3, padding=1).double(),
        nn.Conv2d(HIDDEN, OUT_CHANNELS, 3, padding=1).double(),
    )


def compare(tscale: int, dscale: int, batch: int) -> None:
    torch.manual_seed(0)
    valid_DT = torch.from_numpy(validity_mask(tscale, dscale))
    valid = torch.randn(batch, int(valid_DT.sum()), IN_CHANNELS, dtype=torch.float64, requires_grad=True)
    invalid = torch.randn(IN_CHANNELS, dtype=torch.float64, requires_grad=True)
    pair = convolutions()
    ours = on_rows(MapCells(tscale, dscale).double(), valid, invalid, *pair)
    expected = on_whole_map(valid_DT, valid, invalid, *pair)
    torch.testing.assert_close(ours, expected, atol=1e-12, rtol=1e-12)

    inputs = [valid, *pair[0].parameters(), *pair[1].parameters()]
    if not valid_DT.all():
        inputs.append(invalid)
    weight = torch.randn_like(expected)  # gradients from every cell, the invalid ones included
    for got, wanted in zip(
        torch.autograd.grad(ours, inputs, weight),
        torch.autograd.grad(expected, inputs, weight),
        strict=True,
    ):
        torch.testing.assert_close(got, wanted, atol=1e-10, rtol=1e-10)


@settings(max_examples=40)
@given(tscale=st.integers(1, 17), dscale=st.integers(1, 17), batch=st.integers(1, 2))
@example(tscale=1, dscale=1, batch=1)
@example(tscale=17, dscale=17, batch=2)  # every kind of row
@example(tscale=17, dscale=1, batch=1)  # no invalid cell
def test_equals_convolutions_of_the_whole_map(tscale: int, dscale: int, batch: int) -> None:
    compare(tscale, min(dscale, tscale), batch)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(map_cells, "BLOCK_ROWS", 7)
    compare(12, 9, batch=2)


def test_number_of_rows() -> None:
    assert MapCells(10, 10).num_rows == 94  # the drawing in the module's docstring
    assert MapCells(100, 100).num_rows == 5050 + 390 + 9


def test_valid_cells_come_first_in_map_order() -> None:
    valid_DT = validity_mask(12, 9)
    rows = MapCells(12, 9).row_of_cell.reshape(9, 12).numpy()
    np.testing.assert_array_equal(rows[valid_DT], np.arange(valid_DT.sum()))


def test_bf16_gradients_are_summed_in_float32() -> None:
    torch.manual_seed(0)
    cells, (first, _) = MapCells(24, 24), convolutions()
    first = first.bfloat16()
    rows = torch.randn(16, cells.num_rows, IN_CHANNELS).bfloat16()
    weight_grads = []
    for batch in (rows, rows.double()):
        conv = first if batch.dtype == torch.bfloat16 else first.double()
        conv.zero_grad()
        cells.convolve(batch, conv).sum().backward()
        assert conv.weight.grad is not None
        weight_grads.append(conv.weight.grad.double().clone())
    error = (weight_grads[0] - weight_grads[1]).abs().max() / weight_grads[1].abs().max()
    assert error < 2**-8  # one rounding to bfloat16
