"""Attention in a band: every query sees the keys within `radius` rows, in memory that grows with T,
not T x T.

Axes: B batch, H heads, T rows, E channels of a head, D = H E; N chunks of C queries, each beside its
W = C + 2 radius keys; X = B N.

    radius 2, chunks of 4         keys    . . 0 1 2 3 4 5 6 7 8 9 . .
                                  chunk 0 [-----------]                   queries 0 to 3
                                  chunk 1         [-----------]           queries 4 to 7

A chunk is a small dense problem with a constant band mask; what a chunk computes outside the band
is the price for plain matrix products (for a radius of 9 and chunks of 32: 50 keys a query in place
of 19).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from one_stage.tiles import tiles_of

CHUNK = 32
"""Queries of a chunk; 16 to 64 are about as fast on a CPU."""


def band_attention(
    queries_BHTE: Tensor, keys_BHTE: Tensor, values_BHTE: Tensor, valid_BT: Tensor, radius: int | None
) -> Tensor:
    """Attend to the valid keys within `radius` rows of each query.

    Args:
        queries_BHTE: not yet scaled.
        keys_BHTE: likewise (B, H, T, E).
        values_BHTE: likewise.
        valid_BT: bool; invalid rows are never attended to.
        radius: rows on either side; None: all rows.

    Returns:
        (B, H, T, E); of rows that see no valid key, finite values without meaning.
    """
    batch, heads, length, _ = queries_BHTE.shape
    if radius is None or length <= CHUNK + 2 * radius:
        allowed = _additive(_dense_mask(valid_BT, radius), queries_BHTE)
        return F.scaled_dot_product_attention(queries_BHTE, keys_BHTE, values_BHTE, allowed)
    chunks = -(-length // CHUNK)
    behind = chunks * CHUNK - length
    queries_BTD = F.pad(_rows(queries_BHTE), (0, 0, 0, behind))
    queries_XHCE = queries_BTD.reshape(batch * chunks, CHUNK, heads, -1).transpose(1, 2)
    keys_XHWE, values_XHWE = (_windows(part, radius, behind) for part in (keys_BHTE, values_BHTE))
    seen_BNW = F.pad(valid_BT, (radius, radius + behind)).unfold(1, CHUNK + 2 * radius, CHUNK)
    band_CW = _band(CHUNK, CHUNK + 2 * radius, radius, valid_BT.device)
    allowed = _additive(seen_BNW.flatten(0, 1)[:, None, None] & band_CW, queries_BHTE)
    mixed_XHCE = F.scaled_dot_product_attention(queries_XHCE, keys_XHWE, values_XHWE, allowed)
    mixed_BTHE = mixed_XHCE.transpose(1, 2).reshape(batch, chunks * CHUNK, heads, -1)
    return mixed_BTHE[:, :length].transpose(1, 2)


def _rows(part_BHTE: Tensor) -> Tensor:
    return part_BHTE.transpose(1, 2).flatten(2)


def _windows(part_BHTE: Tensor, radius: int, behind: int) -> Tensor:
    """Return the keys or values of each chunk, (B N, H, W, E); a view where B is 1."""
    padded_BTD = F.pad(_rows(part_BHTE), (0, 0, radius, radius + behind))
    windows_XWD = tiles_of(padded_BTD, CHUNK + 2 * radius, CHUNK).flatten(0, 1)
    return windows_XWD.unflatten(2, (part_BHTE.shape[1], -1)).transpose(1, 2)


def _band(queries: int, keys: int, radius: int, device: torch.device) -> Tensor:
    """Bool (queries, keys): key j is row j - radius of the chunk."""
    offset = torch.arange(keys, device=device) - radius - torch.arange(queries, device=device)[:, None]
    return offset.abs() <= radius


def _dense_mask(valid_BT: Tensor, radius: int | None) -> Tensor:
    """Bool (B, 1, 1 or T, T)."""
    allowed = valid_BT[:, None, None]
    if radius is None:
        return allowed
    rows = torch.arange(valid_BT.shape[1], device=valid_BT.device)
    return allowed & ((rows - rows[:, None]).abs() <= radius)


def _additive(allowed: Tensor, like: Tensor) -> Tensor:
    """Return what to add to the logits; finite, so that a row without any key still has a result."""
    return like.new_zeros(allowed.shape).masked_fill(~allowed, -1e9)
