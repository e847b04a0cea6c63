"""Products of rows with weights, whose input is made again in the backward pass.

Axes: B batch, T rows, C channels in, D channels out, K rows of a kernel.

    rows --preparation--> prepared --product with the weight--> out
         norm, ReLU, GELU          kept by autograd otherwise

What stands before a product in these networks is cheap, but as large as the product's input, or
four times so in an MLP. Only `rows` are kept; the backward pass prepares them once more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn import grad as conv_gradients

from one_stage import winograd

WINOGRAD_CHANNELS = 256
"""From so many channels in and out on, transforming the rows costs less than it saves."""


def masked_in_place(values_BTC: Tensor, mask_BT1: Tensor) -> Tensor:
    """Set the rows without a feature to zero in values that have just been made, and that no
    backward pass looks at."""
    return values_BTC.mul_(mask_BT1.to(values_BTC.dtype))


class Preparation(NamedTuple):
    """What happens to rows before a product.

    Attributes:
        function: of the rows and the parameters; gives the same whenever it is called, and with
            `keep` or `relu` new values that its own backward pass does not look at.
        parameters: that learn.
        keep: (B, T, 1), rows that are left of what the function gives; None: all.
        relu: whether a ReLU follows.
    """

    function: Callable[..., Tensor]
    parameters: tuple[Tensor, ...] = ()
    keep: Tensor | None = None
    relu: bool = False

    def __call__(self, rows_BTC: Tensor, *parameters: Tensor) -> Tensor:
        """Prepare with these parameters; mask and ReLU change what the function has made in place."""
        prepared: Tensor = self.function(rows_BTC, *parameters)
        if self.keep is not None:
            # A ReLU lets no gradient through where the mask left 0, so that autograd need not mask too.
            with torch.set_grad_enabled(torch.is_grad_enabled() and not self.relu):
                masked_in_place(prepared, self.keep)
        return F.relu_(prepared) if self.relu else prepared

    def of(self, rows: slice) -> Preparation:
        """Return the preparation of a part of the rows."""
        return self if self.keep is None else self._replace(keep=self.keep[:, rows])


UNCHANGED = Preparation(lambda rows: rows)


class Product(Protocol):
    """A product, and the gradients of its two factors."""

    def forward(self, rows_BTC: Tensor, weight: Tensor, bias_D: Tensor | None) -> Tensor:
        """Multiply and add the bias, (B, T, D)."""

    def gradients(
        self, grad_BTD: Tensor, rows_BTC: Tensor, weight: Tensor, *, of_rows: bool
    ) -> tuple[Tensor | None, Tensor]:
        """Return the gradients of the rows, if asked for, and of the weight."""


class EachRow:
    """Each row by itself; weight (D, C, 1)."""

    def forward(self, rows_BTC: Tensor, weight: Tensor, bias_D: Tensor | None) -> Tensor:
        """Multiply and add the bias, (B, T, D)."""
        return F.linear(rows_BTC, weight[:, :, 0], bias_D)

    def gradients(
        self, grad_BTD: Tensor, rows_BTC: Tensor, weight: Tensor, *, of_rows: bool
    ) -> tuple[Tensor | None, Tensor]:
        """Return the gradients of the rows, if asked for, and of the weight."""
        grad_weight = grad_BTD.flatten(0, 1).T @ rows_BTC.flatten(0, 1)
        return grad_BTD @ weight[:, :, 0] if of_rows else None, grad_weight[:, :, None]


class NeighbouringRows:
    """Convolution over the rows that keeps the length; weight (D, C, K), K odd."""

    def forward(self, rows_BTC: Tensor, weight: Tensor, bias_D: Tensor | None) -> Tensor:
        """Convolve and add the bias, (B, T, D)."""
        image = F.conv2d(as_image(rows_BTC), weight[:, :, None], bias_D, padding=(0, weight.shape[2] // 2))
        return as_rows(image)

    def gradients(
        self, grad_BTD: Tensor, rows_BTC: Tensor, weight: Tensor, *, of_rows: bool
    ) -> tuple[Tensor | None, Tensor]:
        """Return the gradients of the rows, if asked for, and of the weight."""
        reach, kernel = (0, weight.shape[2] // 2), weight[:, :, None]
        image, grad = as_image(rows_BTC), as_image(grad_BTD)
        grad_weight = conv_gradients.conv2d_weight(image, kernel.shape, grad, padding=reach)[:, :, 0]
        if not of_rows:
            return None, grad_weight
        return as_rows(conv_gradients.conv2d_input(image.shape, kernel, grad, padding=reach)), grad_weight


class NeighbouringRowsByProducts(NeighbouringRows):
    """The same, whose gradients are one product each, of the gradients that a row takes part in,
    side by side: on a processor up to three times as fast where there are few channels out."""

    def gradients(
        self, grad_BTD: Tensor, rows_BTC: Tensor, weight: Tensor, *, of_rows: bool
    ) -> tuple[Tensor | None, Tensor]:
        """Return the gradients of the rows, if asked for, and of the weight."""
        out_channels, channels, kernel = weight.shape
        length, padded = grad_BTD.shape[1], F.pad(grad_BTD, (0, 0, kernel // 2, kernel // 2))
        shifted = [padded[:, behind : behind + length] for behind in range(kernel - 1, -1, -1)]
        grads_RX = torch.cat(shifted, dim=2).flatten(0, 1)  # R = B T, X = K D
        taps_KDC = (grads_RX.T @ rows_BTC.flatten(0, 1)).view(kernel, out_channels, channels)
        if not of_rows:
            return None, taps_KDC.permute(1, 2, 0)
        grad_rows_RC = grads_RX @ weight.permute(2, 0, 1).reshape(-1, channels)
        return grad_rows_RC.view_as(rows_BTC), taps_KDC.permute(1, 2, 0)


class WideThreeRows:
    """Convolution of kernel 3 with many channels, see `one_stage.winograd`."""

    def forward(self, rows_BTC: Tensor, weight: Tensor, bias_D: Tensor | None) -> Tensor:
        """Convolve and add the bias, (B, T, D)."""
        out_BTD = winograd.convolve_rows(rows_BTC, weight)
        return out_BTD if bias_D is None else out_BTD + bias_D

    def gradients(
        self, grad_BTD: Tensor, rows_BTC: Tensor, weight: Tensor, *, of_rows: bool
    ) -> tuple[Tensor | None, Tensor]:
        """Return the gradients of the rows, if asked for, and of the weight."""
        return winograd.gradients(grad_BTD, rows_BTC, weight, of_rows=of_rows)


EACH_ROW, WIDE_THREE_ROWS = EachRow(), WideThreeRows()
NEIGHBOURING_ROWS, NEIGHBOURING_ROWS_ON_CPU = NeighbouringRows(), NeighbouringRowsByProducts()


def product_for(weight_DCK: Tensor) -> Product:
    """Choose the product for a weight: graphics cards and half precision have their own ways."""
    out_channels, channels, kernel = weight_DCK.shape
    if kernel == 1:
        return EACH_ROW
    if weight_DCK.device.type != "cpu":
        return NEIGHBOURING_ROWS
    wide = min(out_channels, channels) >= WINOGRAD_CHANNELS and kernel == winograd.KERNEL
    exact = weight_DCK.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")
    return WIDE_THREE_ROWS if wide and exact else NEIGHBOURING_ROWS_ON_CPU


def multiply(
    rows_BTC: Tensor, weight_DCK: Tensor, bias_D: Tensor | None, preparation: Preparation = UNCHANGED
) -> Tensor:
    """Prepare rows and multiply them with a weight, (B, T, D)."""
    product = product_for(weight_DCK)
    if not torch.is_grad_enabled() or torch.is_autocast_enabled(rows_BTC.device.type):
        return product.forward(preparation(rows_BTC, *preparation.parameters), weight_DCK, bias_D)
    out: Tensor = _Remade.apply(product, preparation, rows_BTC, weight_DCK, bias_D, *preparation.parameters)
    return out


class _Remade(torch.autograd.Function):
    """A product that keeps its rows as they were before the preparation."""

    @staticmethod
    def forward(
        ctx: Any,
        product: Product,
        preparation: Preparation,
        rows: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        *parameters: Tensor,
    ) -> Tensor:
        ctx.product, ctx.preparation = product, preparation
        ctx.save_for_backward(rows, weight, *parameters)
        return product.forward(preparation(rows, *parameters), weight, bias)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        rows, weight, *parameters = ctx.saved_tensors
        needed = [ctx.needs_input_grad[2], *ctx.needs_input_grad[5:]]
        inputs = [
            value.detach().requires_grad_(need)
            for value, need in zip([rows, *parameters], needed, strict=True)
        ]
        with torch.enable_grad():
            prepared = ctx.preparation(*inputs)
        grad_prepared, grad_weight = ctx.product.gradients(
            grad, prepared.detach(), weight, of_rows=prepared.requires_grad
        )
        learning = [value for value in inputs if value.requires_grad]
        found = torch.autograd.grad(prepared, learning, grad_prepared) if learning else ()
        through = iter(found)
        of_rows, *of_parameters = (next(through) if need else None for need in needed)
        grad_bias = grad.sum((0, 1)) if ctx.needs_input_grad[4] else None
        return None, None, of_rows, grad_weight, grad_bias, *of_parameters


def as_image(rows_BTC: Tensor) -> Tensor:
    """View rows as an image of height 1 whose channels lie side by side, (B, C, 1, T)."""
    return rows_BTC.transpose(1, 2).unsqueeze(2)


def as_rows(image_BC1T: Tensor) -> Tensor:
    """View such an image as rows, (B, T, C)."""
    return image_BC1T.squeeze(2).transpose(1, 2)
