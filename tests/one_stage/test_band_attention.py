"""Attention in chunks against attention with a full T x T mask."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from one_stage.band_attention import band_attention


@given(
    st.integers(1, 200), st.one_of(st.none(), st.integers(1, 12)), st.integers(0, 200), st.integers(0, 2**31)
)
def test_equals_dense_attention(length: int, radius: int | None, invalid: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    queries, keys, values = torch.randn(3, 2, 2, length, 4, generator=generator).unbind()
    valid = torch.ones(2, length, dtype=torch.bool)
    valid[1, max(1, length - invalid) :] = False
    allowed = valid[:, None, None].expand(2, 1, length, length)
    if radius is not None:
        rows = torch.arange(length)
        allowed = allowed & ((rows - rows[:, None]).abs() <= radius)
    expected = F.scaled_dot_product_attention(queries, keys, values, allowed)
    found = band_attention(queries, keys, values, valid, radius)
    assert found.isfinite().all()
    where = valid[:, None, :, None]
    torch.testing.assert_close(found * where, torch.where(where, expected, 0.0))


def test_long_videos_need_no_square_of_their_length() -> None:
    length = 200_000  # the logits of one head alone would be 160 GB
    rows = torch.zeros(1, 1, length, 4)
    rows[0, 0, :, 0] = torch.arange(length) % 7
    found = band_attention(rows * 0, rows, rows, torch.ones(1, length, dtype=torch.bool), radius=3)
    assert found[0, 0, length // 2, 0].item() == pytest.approx(3.0)  # the mean of 0 ... 6
