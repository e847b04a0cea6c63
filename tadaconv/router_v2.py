"""The router of TAdaConv v2: attention over the frames, and factors for the bias as well.

Axes: B clips, C channels, T frames, H x W pixels; R = C // ratio channels inside the router.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from tadaconv.layers import QuickGELU
from tadaconv.router import temporal_conv


class RouteFuncTransformer(nn.Module):
    """Calibration factors of the weight and of the bias, from frames that attend to each other.

        h = quickgelu(norm(a(mean of x over H, W)))          (B, T, R)
        h = h + attn_out(attention(norm_transformer(h)))
        alpha = b(h) (+ 1),   beta = b_bias(h) (+ 1)          (B, C, T)

    Source: Temporally-Adaptive Models (Huang et al., arXiv 2308.05787), in the form of the released
    code, two oddities of which the released weights depend on: the attention is scaled by R ** -0.5
    (not by the width of a head), and channels are read as (head_dim, heads) but written back as
    (heads, head_dim).

    Args:
        c_in: C, channels of the input and of the factors.
        ratio: reduction of the channels inside.
        kernels: temporal kernel sizes of ``a`` and of ``b`` and ``b_bias``, odd.
        head_dim: channels of one attention head, a divisor of R.
        start_at_one: whether b and b_bias start at zero and 1 is added, so that at first nothing is
            calibrated.

    Raises:
        ValueError: if a kernel size is even, or head_dim does not divide R.

    >>> import torch
    >>> router = RouteFuncTransformer(c_in=64, ratio=2, kernels=[3, 3], head_dim=16)
    >>> alpha, beta = router(torch.randn(2, 64, 8, 14, 14))
    >>> alpha.shape, beta.shape
    (torch.Size([2, 64, 8, 1, 1]), torch.Size([2, 64, 8, 1, 1]))
    """

    def __init__(
        self, c_in: int, ratio: int, kernels: Sequence[int], head_dim: int, *, start_at_one: bool = True
    ) -> None:
        super().__init__()
        reduced = c_in // ratio
        if len(kernels) != 2 or any(k % 2 == 0 for k in kernels):
            raise ValueError(
                f"RouteFuncTransformer: kernels must be two odd temporal sizes, got {list(kernels)}"
            )
        if reduced < head_dim or reduced % head_dim:
            raise ValueError(
                f"RouteFuncTransformer: head_dim = {head_dim} does not divide the c_in // ratio = {reduced} channels"
            )
        self.head_dim = head_dim
        self.start_at_one = start_at_one
        self.a = nn.Conv3d(c_in, reduced, (kernels[0], 1, 1))
        self.norm = nn.LayerNorm(reduced, eps=1e-6)
        self.gelu = QuickGELU()
        self.norm_transformer = nn.LayerNorm(reduced, eps=1e-6)
        self.qkv_proj = nn.Conv3d(reduced, 3 * reduced, 1)
        self.attn_out = nn.Conv3d(reduced, reduced, 1)
        self.b = nn.Conv3d(reduced, c_in, (kernels[1], 1, 1), bias=False)
        self.b_bias = nn.Conv3d(reduced, c_in, (kernels[1], 1, 1), bias=False)
        self.start_neutral_()

    def start_neutral_(self) -> None:
        """Set the last layers to zero, in place, if the factors are to start at one."""
        if self.start_at_one:
            nn.init.zeros_(self.b.weight)
            nn.init.zeros_(self.b_bias.weight)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Factors of the weight and of the bias, each (B, C, T, 1, 1), for clips x (B, C, T, H,
        W)."""
        hidden_BRT = temporal_conv(x.mean((3, 4)), self.a)
        hidden_BTR = self.gelu(self.norm(hidden_BRT.transpose(1, 2)))
        hidden_BTR = hidden_BTR + self._attention(self.norm_transformer(hidden_BTR))
        hidden_BRT, base = hidden_BTR.transpose(1, 2), 1 if self.start_at_one else 0
        alpha_BCT = temporal_conv(hidden_BRT, self.b) + base
        beta_BCT = temporal_conv(hidden_BRT, self.b_bias) + base
        return alpha_BCT[..., None, None], beta_BCT[..., None, None]

    def _attention(self, hidden_BTR: Tensor) -> Tensor:
        width = hidden_BTR.shape[2]
        qkv = F.linear(hidden_BTR, self.qkv_proj.weight.flatten(1), self.qkv_proj.bias)
        qkv = qkv.unflatten(2, (3, self.head_dim, -1))  # B x T x 3 x head_dim x heads
        # Each B x heads x T x head_dim, side by side: fused kernels of GPUs take no strided channels.
        query, key, value = qkv.permute(2, 0, 4, 1, 3).contiguous()
        mixed = F.scaled_dot_product_attention(query, key, value, scale=width**-0.5)
        return F.linear(mixed.transpose(1, 2).flatten(2), self.attn_out.weight.flatten(1), self.attn_out.bias)
