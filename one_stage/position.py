"""Sinusoids that tell a network where in the video a row lies."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def sinusoid_table(length: int, channels: int) -> Tensor:
    """Return (C, length) float32: even channels sines, odd ones cosines, divided by the root of C.

    The angle is position / 10000^(2 (c // 2) / C), as in Vaswani et al. (2017), Sec. 3.5.
    """
    channel = torch.arange(channels, dtype=torch.float64)
    rate_C1 = 10000.0 ** (-2.0 * (channel // 2) / channels)
    angle_CT = rate_C1[:, None] * torch.arange(length, dtype=torch.float64)
    table_CT = torch.where(channel[:, None] % 2 == 0, angle_CT.sin(), angle_CT.cos())
    return (table_CT * channels**-0.5).float()


def positions(table_CT: Tensor, lengths: list[int], padded_length: int) -> Tensor:
    """Return the table for each video of a batch, (B, C, padded_length), zeros behind its length.

    A video that is longer than the table has it stretched linearly over its length, as in the
    released code.
    """
    rows = []
    for length in lengths:
        if length > table_CT.shape[1]:
            row_CT = F.interpolate(table_CT[None], length, mode="linear", align_corners=False)[0]
        else:
            row_CT = table_CT[:, :length]
        rows.append(F.pad(row_CT, (0, padded_length - length)))
    return torch.stack(rows)
