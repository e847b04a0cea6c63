"""The transformer block of ActionFormer: convolutional attention in a band, then an MLP, before
each a norm."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from one_stage.band_attention import band_attention
from one_stage.layers import (
    MaskedConv1d,
    ScaledDropPath,
    SequenceNorm,
    by_piece,
    conv1d,
    halve,
    halved_mask,
    masked,
)
from one_stage.padding import Padding
from one_stage.products import Preparation, masked_in_place


class ConvAttention(nn.Module):
    """Attention whose queries, keys and values come from depthwise convolutions, which also halve
    the length.

    Source: ActionFormer (Zhang et al., ECCV 2022), Sec. 3.2; arithmetic and names of the released
    code.

    Args:
        channels: D.
        heads: a divisor of D.
        stride: 1 or 2.
        window: a query sees window // 2 rows on either side; <= 1: all rows.
        dropout: of the output.
    """

    def __init__(self, channels: int, heads: int, stride: int, window: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.radius = window // 2 if window > 1 else None
        for role in ("query", "key", "value"):
            conv = MaskedConv1d(channels, channels, 3, stride=stride, depthwise=True, bias=False)
            self.add_module(f"{role}_conv", conv)
            self.add_module(f"{role}_norm", SequenceNorm(channels))
            self.add_module(role, conv1d(channels, channels, 1))
        self.proj = conv1d(channels, channels, 1)
        self.drop = nn.Dropout(dropout)

    def forward(self, values_BTC: Tensor, mask_BT1: Tensor) -> Tensor:
        """Attend; the mask is that of the output."""
        query, key, value = (self._rows(role, values_BTC, mask_BT1) for role in ("query", "key", "value"))
        mixed_BHTE = band_attention(query, key, value, mask_BT1[..., 0], self.radius)
        return masked(self.drop(self.proj(mixed_BHTE.transpose(1, 2).flatten(2))), mask_BT1)

    def _rows(self, role: str, values_BTC: Tensor, mask_BT1: Tensor) -> Tensor:
        convolved = self.get_submodule(f"{role}_conv")(values_BTC, mask_BT1)
        norm = self.get_submodule(f"{role}_norm")
        assert isinstance(norm, SequenceNorm)
        projected: Tensor = self.get_submodule(role)(convolved, norm.preparation())
        return projected.unflatten(2, (self.heads, -1)).transpose(1, 2)


class TransformerBlock(nn.Module):
    """(B, T, D) to (B, ceil(T / stride), D).

    Args:
        channels: D.
        heads: of the attention.
        stride: 1 or 2.
        window: of the attention.
        drop_path: probability of leaving a branch out.
        dropout: in the MLP and after the attention.
        padding: see there.
    """

    def __init__(
        self,
        channels: int,
        *,
        heads: int,
        stride: int,
        window: int,
        drop_path: float,
        dropout: float,
        padding: Padding,
    ) -> None:
        super().__init__()
        self.stride, self.padding = stride, padding
        self.ln1, self.ln2 = SequenceNorm(channels), SequenceNorm(channels)
        self.attn = ConvAttention(channels, heads, stride, window, dropout)
        self.mlp = nn.Sequential(
            conv1d(channels, 4 * channels, 1),
            nn.GELU(),
            nn.Dropout(dropout),
            conv1d(4 * channels, channels, 1),
            nn.Dropout(dropout),
        )
        self.drop_path_attn = ScaledDropPath(channels, drop_path)
        self.drop_path_mlp = ScaledDropPath(channels, drop_path)

    def forward(self, values_BTC: Tensor, mask_BT1: Tensor) -> tuple[Tensor, Tensor]:
        """Return the values and mask of the level that the block makes."""

        def changed(piece_BTC: Tensor, rows: slice) -> Tensor:
            return self._changed(piece_BTC, mask_BT1[:, rows])

        out_mask = mask_BT1 if self.stride == 1 else halved_mask(mask_BT1)
        if self.attn.radius is None:
            return self._changed(values_BTC, mask_BT1), out_mask
        return by_piece(changed, values_BTC, self.stride * self.attn.radius + 1, self.stride), out_mask

    def _changed(self, values_BTC: Tensor, mask_BT1: Tensor) -> Tensor:
        normed = self.ln1(values_BTC)
        if self.padding.everywhere:
            normed = masked_in_place(normed, mask_BT1)
        if self.stride == 1:
            skipped, out_mask = masked(values_BTC, mask_BT1), mask_BT1
        else:
            skipped, out_mask = halve(values_BTC, mask_BT1, self.padding), halved_mask(mask_BT1)
        values_BTC = skipped + self.drop_path_attn(self.attn(normed, out_mask))
        return values_BTC + self.drop_path_mlp(masked(self._mlp(values_BTC), out_mask))

    def _mlp(self, values_BTC: Tensor) -> Tensor:
        widen, gelu, drop, narrow, drop_out = self.mlp
        hidden = widen(values_BTC, self.ln2.preparation())
        # Drawn beforehand, since the backward pass repeats what stands before a product.
        kept = drop(torch.ones_like(hidden)) if drop.p and self.training else None

        def activated(values_BTC: Tensor) -> Tensor:
            return gelu(values_BTC) if kept is None else gelu(values_BTC) * kept

        narrowed: Tensor = drop_out(narrow(hidden, Preparation(activated)))
        return narrowed
