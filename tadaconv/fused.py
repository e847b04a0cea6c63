"""Convolutions for inference that add their bias, a shortcut and a ReLU while they write their output.

On a CPU, oneDNN then goes over the output once in place of two or three times, and finds the kernel in the order
in which it reads it, which it would otherwise make anew for every call. Measured on ResNet-50: 7 to 10 % of a
forward pass. (The operators are those that torch's own compiler puts in; compiling brings no more and takes a
minute.)
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tadaconv.frames import fold_frames, unfold_frames
from tadaconv.layers import ClipConv


class FusedConv(nn.Module):
    """A ClipConv, without gradient, that can go on with a ReLU, or with a sum and a ReLU.

    Args:
        conv: its weights. On a CPU, `pack_` them when they have the type and place that they will keep.

    >>> conv = ClipConv(4, 6).requires_grad_(False)
    >>> x = torch.randn(1, 4, 2, 5, 5)
    >>> fused = FusedConv(conv)
    >>> fused.pack_()
    >>> torch.allclose(fused(x, relu=True), conv(x).relu(), atol=1e-6)
    True
    """

    def __init__(self, conv: ClipConv) -> None:
        super().__init__()
        self.conv: ClipConv | None = conv
        self.stride, self.padding, self.reach = conv.stride[1:], conv.padding[1:], conv.kernel_size[0] // 2
        self.kernels: list[Tensor] = []
        self.bias: Tensor | None = None

    def pack_(self) -> None:
        """Bring the weights into oneDNN's order, where it can take them; the module cannot be moved or saved then."""
        conv = self.conv
        if conv is None or conv.weight.device.type != "cpu" or not _has_instructions(conv.weight.dtype):
            return
        kernels = conv.weight.detach().unbind(2)
        self.kernels, self.bias, self.conv = [self._packed(kernel) for kernel in kernels], conv.bias, None

    def forward(self, x_BCTHW: Tensor, relu: bool = False) -> Tensor:
        """(B, Ci, T, H, W) to (B, Co, T, H', W')."""
        if self.conv is not None:
            y = self.conv(x_BCTHW)
        elif self.reach == 0:
            return self._convolve(x_BCTHW, 0, "relu" if relu else "none")
        else:
            y = self._convolve(x_BCTHW, self.reach)
            for offset in range(1, min(self.reach, x_BCTHW.shape[2] - 1) + 1):  # as in ClipConv
                y[:, :, offset:] += self._convolve(x_BCTHW[:, :, :-offset], self.reach - offset)
                y[:, :, :-offset] += self._convolve(x_BCTHW[:, :, offset:], self.reach + offset)
        return F.relu(y, inplace=True) if relu else y

    def add_relu_(self, x_BCTHW: Tensor, total: Tensor) -> Tensor:
        """Return relu(total + this convolution of x); `total` may be overwritten."""
        if self.kernels and self.reach == 0 and total.is_contiguous(memory_format=torch.channels_last_3d):
            images = torch.ops.mkldnn._convolution_pointwise_.binary(
                fold_frames(total), fold_frames(x_BCTHW), self.kernels[0], self.bias,
                self.padding, self.stride, [1, 1], 1, "add", 1.0, "relu", [], "",
            )  # fmt: skip
            return unfold_frames(images, x_BCTHW.shape[0])
        return F.relu(self(x_BCTHW).add_(total), inplace=True)

    def _convolve(self, x_BCTHW: Tensor, tap: int, activation: str = "none") -> Tensor:
        """One frame of the kernel, on every frame; the middle one adds the bias."""
        images = torch.ops.mkldnn._convolution_pointwise(
            fold_frames(x_BCTHW), self.kernels[tap], self.bias if tap == self.reach else None,
            self.padding, self.stride, [1, 1], 1, activation, [], "",
        )  # fmt: skip
        return unfold_frames(images, x_BCTHW.shape[0])

    def _packed(self, kernel: Tensor) -> Tensor:
        packed: Tensor = torch.ops.mkldnn._reorder_convolution_weight(
            kernel.contiguous(), self.padding, self.stride, [1, 1], 1
        )
        return packed


def _has_instructions(dtype: torch.dtype) -> bool:
    """Whether oneDNN can compute in a type on this processor."""
    if dtype == torch.bfloat16:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return dtype == torch.float32 and torch.backends.mkldnn.is_available()
