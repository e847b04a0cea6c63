"""Layers of video transformers: attention over all tokens, or divided between time and space.

Axes: B clips (or frames), N tokens of them, D channels, H heads of d channels. The class token
comes first. Attention is torch's fused `scaled_dot_product_attention`; names of the parameters are
the released ones.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tadaconv.layers import DropPath

NORM_EPS = 1e-6


class Attention(nn.Module):
    """Multi-head self-attention.

    Args:
        width: D.
        heads: H.
        dropout: of the attention weights.
        out_dropout: of the output.
    """

    def __init__(self, width: int, heads: int, dropout: float = 0.0, out_dropout: float = 0.0) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.to_qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.out_dropout = nn.Dropout(out_dropout)

    def forward(self, tokens_BND: Tensor) -> Tensor:
        """(B, N, D) to the same shape; every token sees all others."""
        return self._joined(self._attend(*self._heads(tokens_BND)))

    def divided(self, tokens_BND: Tensor, n_frames: int, *, over_time: bool) -> Tensor:
        """(B, 1 + T L, D) to the same shape; patches see those of their place, or of their frame,
        and the class token.

        The class token itself sees everything, once.

        Args:
            tokens_BND: the class token, then the L patches of each of the T frames.
            n_frames: T.
            over_time: whether patches see the T patches of their place; otherwise the L patches of
                their frame.
        """
        query, key, value = self._heads(tokens_BND)
        whole_clip = self._attend(query[:, :, :1], key, value)
        groups = [_grouped(part, n_frames, over_time) for part in (query, key, value)]
        with_class = [
            torch.cat([_for_each_group(part, group), group], dim=2)
            for part, group in zip((key, value), groups[1:], strict=True)
        ]
        patches = _ungrouped(self._attend(groups[0], *with_class), len(tokens_BND), over_time)
        return self._joined(torch.cat([whole_clip, patches], dim=2))

    def _heads(self, tokens_BND: Tensor) -> tuple[Tensor, ...]:
        """Query, key and value, each (B, H, N, d)."""
        return self.to_qkv(tokens_BND).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)

    def _attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        dropout = self.dropout if self.training else 0.0
        return F.scaled_dot_product_attention(query, key, value, dropout_p=dropout)

    def _joined(self, out_BHNd: Tensor) -> Tensor:
        out: Tensor = self.out_dropout(self.proj(out_BHNd.transpose(1, 2).flatten(2)))
        return out


def _grouped(part_BHNd: Tensor, n_frames: int, over_time: bool) -> Tensor:
    """The patches of (B, H, 1 + T L, d) by place, (B L, H, T, d), or by frame, (B T, H, L, d)."""
    patches = part_BHNd[:, :, 1:].unflatten(2, (n_frames, -1))  # B x H x T x L x d
    return patches.movedim(3 if over_time else 2, 1).flatten(0, 1)


def _ungrouped(groups: Tensor, n_clips: int, over_time: bool) -> Tensor:
    """Undo :func:`_grouped`: (B, H, T L, d)."""
    return groups.unflatten(0, (n_clips, -1)).movedim(1, 3 if over_time else 2).flatten(2, 3)


def _for_each_group(part_BHNd: Tensor, groups: Tensor) -> Tensor:
    """The class token's part beside every group of its clip: (B G, H, 1, d)."""
    return part_BHNd[:, :, :1].repeat_interleave(len(groups) // len(part_BHNd), dim=0)


class FeedForward(nn.Module):
    """Two linear layers with a GELU between them."""

    def __init__(self, width: int, hidden: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(width, hidden),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, width),
            nn.Dropout(dropout),
        )

    def forward(self, tokens_BND: Tensor) -> Tensor:
        """The same shape."""
        out: Tensor = self.net(tokens_BND)
        return out


class TransformerLayer(nn.Module):
    """x += attn(norm(x)); x += ffn(norm_ffn(x)).

    Args:
        width: D.
        heads: H.
        dropout: of attention weights, of its output and inside the perceptron.
        drop_path: probability of dropping either branch for a whole sequence.
    """

    def __init__(self, width: int, heads: int, dropout: float = 0.0, drop_path: float = 0.0) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, eps=NORM_EPS)
        self.attn = Attention(width, heads, dropout, dropout)
        self.norm_ffn = nn.LayerNorm(width, eps=NORM_EPS)
        self.ffn = FeedForward(width, 4 * width, dropout)
        self.drop_path = DropPath(drop_path)

    def forward(self, tokens_BND: Tensor) -> Tensor:
        """(B, N, D) to the same shape."""
        tokens_BND = tokens_BND + self.drop_path(self.attn(self.norm(tokens_BND)))
        return tokens_BND + self.drop_path(self.ffn(self.norm_ffn(tokens_BND)))


class DividedLayer(TransformerLayer):
    """Attention over time, then over space, then the perceptron: TimeSformer's layer, as released.

    (The published TimeSformer averages the class token over frames and has a linear layer more
    behind the attention over time.)
    """

    def __init__(self, width: int, heads: int, dropout: float = 0.0, drop_path: float = 0.0) -> None:
        super().__init__(width, heads, dropout, drop_path)
        self.norm_temporal = nn.LayerNorm(width, eps=NORM_EPS)
        self.attn_temporal = Attention(width, heads, dropout, dropout)

    def forward_divided(self, tokens_BND: Tensor, n_frames: int) -> Tensor:
        """Tokens (B, 1 + T L, D) of T frames to the same shape."""
        change = self.attn_temporal.divided(self.norm_temporal(tokens_BND), n_frames, over_time=True)
        tokens_BND = tokens_BND + self.drop_path(change)
        change = self.attn.divided(self.norm(tokens_BND), n_frames, over_time=False)
        tokens_BND = tokens_BND + self.drop_path(change)
        return tokens_BND + self.drop_path(self.ffn(self.norm_ffn(tokens_BND)))
