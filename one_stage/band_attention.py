"""Attention in a band: every query sees the keys within `radius` rows, in memory that grows with T,
not T x T.

Axes: B batch, H heads, T rows, E channels of a head; N chunks of C queries, each beside its W = C +
2 radius keys.

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
    length = queries_BHTE.shape[2]
    if radius is None or length <= CHUNK + 2 * radius:
        allowed = _dense_mask(valid_BT, radius).to(queries_BHTE.dtype)
        return F.scaled_dot_product_attention(queries_BHTE, keys_BHTE, values_BHTE, allowed)
    queries = queries_BHTE * queries_BHTE.shape[-1] ** -0.5
    chunks = -(-length // CHUNK)
    behind = chunks * CHUNK - length
    queries_BHNCE = F.pad(queries, (0, 0, 0, behind)).unflatten(2, (chunks, CHUNK))
    keys_BHNEW = _windows(keys_BHTE, radius, behind)
    values_BHNEW = _windows(values_BHTE, radius, behind)
    logits_BHNCW = queries_BHNCE @ keys_BHNEW
    seen_BNW = F.pad(valid_BT, (radius, radius + behind)).unfold(1, CHUNK + 2 * radius, CHUNK)
    band_CW = _band(CHUNK, CHUNK + 2 * radius, radius, valid_BT.device)
    allowed = seen_BNW[:, None, :, None] & band_CW
    weights = logits_BHNCW.masked_fill(~allowed, torch.finfo(logits_BHNCW.dtype).min).softmax(-1)
    mixed_BHNCE = weights.to(values_BHNEW.dtype) @ values_BHNEW.transpose(-1, -2)
    return mixed_BHNCE.flatten(2, 3)[:, :, :length]


def _windows(rows_BHTE: Tensor, radius: int, behind: int) -> Tensor:
    """Return the keys or values of each chunk as a view, (B, H, N, E, W)."""
    return F.pad(rows_BHTE, (0, 0, radius, radius + behind)).unfold(2, CHUNK + 2 * radius, CHUNK)


def _band(queries: int, keys: int, radius: int, device: torch.device) -> Tensor:
    """Bool (queries, keys): key j is row j - radius of the chunk."""
    offset = torch.arange(keys, device=device) - radius - torch.arange(queries, device=device)[:, None]
    return offset.abs() <= radius


def _dense_mask(valid_BT: Tensor, radius: int | None) -> Tensor:
    """Additive (B, 1, 1 or T, T) mask; finite, so that a row without any key still has a result."""
    allowed = valid_BT[:, None, None]
    if radius is not None:
        rows = torch.arange(valid_BT.shape[1], device=valid_BT.device)
        allowed = allowed & ((rows - rows[:, None]).abs() <= radius)
    return torch.zeros(allowed.shape, device=valid_BT.device).masked_fill(~allowed, -1e9)
