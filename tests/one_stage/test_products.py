"""Products that make their input again, and Winograd's convolution, against plain autograd."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from one_stage import products, winograd
from one_stage.products import Preparation, multiply, product_for


def plain(rows: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """torch's own convolution, in its layout."""
    return F.conv1d(rows.transpose(1, 2), weight, bias, padding=weight.shape[2] // 2).transpose(1, 2)


def scaled(rows: Tensor, scale: Tensor) -> Tensor:
    """Some preparation that learns."""
    return rows * scale


@pytest.mark.parametrize("kernel", [1, 3, 5])
@pytest.mark.parametrize("wide", [False, True])
def test_values_and_gradients_equal_those_of_autograd(
    kernel: int, wide: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(products, "WINOGRAD_CHANNELS", 1 if wide else 1000)
    generator = torch.Generator().manual_seed(kernel)
    rows, weight, bias, scale = (
        torch.randn(shape, generator=generator).requires_grad_()
        for shape in ((2, 37, 6), (5, 6, kernel), (5,), (6,))
    )
    keep = torch.arange(37)[None, :, None] < torch.tensor([37, 20])[:, None, None]
    assert isinstance(product_for(weight), products.WideThreeRows) == (wide and kernel == 3)
    found = multiply(rows, weight, bias, Preparation(scaled, (scale,), keep, relu=True))
    expected = plain(F.relu(scaled(rows, scale) * keep), weight, bias)
    torch.testing.assert_close(found, expected)
    towards = torch.randn(expected.shape, generator=generator)
    inputs = (rows, weight, bias, scale)
    for own, other in zip(
        torch.autograd.grad(found, inputs, towards),
        torch.autograd.grad(expected, inputs, towards),
        strict=True,
    ):
        torch.testing.assert_close(own, other, rtol=1e-4, atol=1e-5)


@given(st.integers(1, 3), st.integers(1, 20), st.sampled_from([3, 5]), st.integers(0, 2**31))
@settings(max_examples=20)
def test_gradients_by_products_are_those_of_the_convolution(
    batch: int, length: int, kernel: int, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    rows, weight, grad = (
        torch.randn(shape, dtype=torch.float64, generator=generator)
        for shape in ((batch, length, 4), (2, 4, kernel), (batch, length, 2))
    )
    for of_rows in (True, False):
        own, other = (
            product.gradients(grad, rows, weight, of_rows=of_rows)
            for product in (products.NEIGHBOURING_ROWS, products.NEIGHBOURING_ROWS_ON_CPU)
        )
        torch.testing.assert_close(own, other)


@given(st.integers(1, 3), st.integers(1, 45), st.integers(0, 2**31))
@settings(max_examples=40)
def test_winograd_in_parts_is_the_convolution(batch: int, length: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(batch, length, 3, dtype=torch.float64, generator=generator).requires_grad_()
    weight = torch.randn(4, 3, 3, dtype=torch.float64, generator=generator).requires_grad_()
    towards = torch.randn(batch, length, 4, dtype=torch.float64, generator=generator)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(winograd, "PART", 8)
        found = winograd.convolve_rows(rows.detach(), weight.detach())
        of_rows, of_weight = winograd.gradients(towards, rows.detach(), weight.detach(), of_rows=True)
    expected = plain(rows, weight, None)
    torch.testing.assert_close(found, expected.detach())
    wanted = torch.autograd.grad(expected, (rows, weight), towards)
    torch.testing.assert_close((of_rows, of_weight), wanted)


def test_features_that_do_not_learn_get_no_gradient() -> None:
    rows, weight = torch.randn(1, 9, 3), torch.randn(2, 3, 3, requires_grad=True)
    multiply(rows, weight, None).sum().backward()
    assert rows.grad is None
    assert weight.grad is not None


def test_rounding_of_winograd_stays_small() -> None:
    generator = torch.Generator().manual_seed(0)
    rows, weight = torch.randn(1, 64, 256, generator=generator), torch.randn(256, 256, 3, generator=generator)
    exact = plain(rows.double(), weight.double(), None)
    found = winograd.convolve_rows(rows, weight)
    assert float((found - exact).abs().max() / exact.abs().max()) < 5e-6
