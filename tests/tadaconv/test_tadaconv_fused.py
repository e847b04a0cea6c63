"""Convolutions that go on with a sum and a ReLU, against torch's conv3d in float64."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tadaconv.fused import FusedConv
from tadaconv.layers import ClipConv


def expected(conv: ClipConv, x: Tensor) -> Tensor:
    bias = None if conv.bias is None else conv.bias.double()
    return F.conv3d(x.double(), conv.weight.double(), bias, conv.stride, conv.padding)


def largest_error(found: Tensor, wanted: Tensor) -> float:
    return float((found.double() - wanted).abs().max() / wanted.abs().max().clamp(min=1))


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from([(1, 1), (1, 3), (3, 1), (3, 3), (5, 7)]),
    st.integers(1, 2),
    st.tuples(st.integers(1, 3), st.integers(1, 5), st.integers(1, 9), st.integers(1, 9)),
    st.lists(
        st.tuples(st.integers(1, 3), st.integers(1, 5), st.integers(1, 9), st.integers(1, 9)), max_size=2
    ),
    st.booleans(),
    st.booleans(),
)
def test_equals_conv3d(
    kernel: tuple[int, int],
    stride: int,
    size: tuple[int, int, int, int],
    seen_before: list[tuple[int, int, int, int]],
    bias: bool,
    channels_last: bool,
) -> None:
    n_clips, *clip = size
    conv = ClipConv(5, 7, kernel, stride, bias).requires_grad_(False)
    fused = FusedConv(conv)
    for n_others, *other in seen_before:
        fused(torch.randn(n_others, 5, *other))
    x = torch.randn(n_clips, 5, *clip)
    wanted = expected(conv, x)
    total = torch.randn(wanted.shape)
    if channels_last:
        x, total = (tensor.contiguous(memory_format=torch.channels_last_3d) for tensor in (x, total))
    wanted_sum = (wanted + total.double()).relu()
    before = x.clone()
    assert largest_error(fused(x), wanted) < 1e-5
    assert largest_error(fused(x, relu=True), wanted.relu()) < 1e-5
    assert largest_error(fused.add_relu_(x, total), wanted_sum) < 1e-5
    assert torch.equal(x, before)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_types(dtype: torch.dtype) -> None:
    conv = ClipConv(5, 7, (1, 3)).requires_grad_(False).to(dtype)
    x = torch.randn(1, 5, 2, 6, 6).to(dtype)
    found = FusedConv(conv)(x, relu=True)
    assert found.dtype == dtype
    assert largest_error(found, expected(conv, x).relu()) < (1e-12 if dtype == torch.float64 else 2e-2)
