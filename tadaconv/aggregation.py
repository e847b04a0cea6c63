"""Aggregation of neighbouring frames behind a calibrated convolution.

Axes: B clips, C channels, T frames, H x W pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from tadaconv.frames import temporal_average


@dataclass(frozen=True, kw_only=True)
class Aggregation:
    """How the frames y behind a convolution are mixed with their neighbours; the default is TAda2D.

        shortcut, separate_bn    b_bn(y) + b_avgpool_bn(pool(y))
        shortcut alone           b_bn(y + pool(y))
        neither                  b_bn(pool(y))

    Only the first starts as the network without aggregation (b_avgpool_bn begins at zero).

    Source: TAda! (ICLR 2022), Eq. 7 and Table 3b. The public code has the default alone; "mix" is
    taken as the mean of the two others.

    Raises:
        ValueError: if pool is unknown, or separate_bn is asked for without the shortcut.
    """

    pool: str = "avg"
    """Over each frame and its two neighbours: "avg", "max" or "mix"."""
    shortcut: bool = True
    """Whether y itself is added."""
    separate_bn: bool = True
    """Whether y and pool(y) have a batch normalisation each."""

    def __post_init__(self) -> None:
        if self.pool not in POOLS:
            raise ValueError(f"Aggregation: pool must be one of {', '.join(POOLS)}, got {self.pool!r}")
        if self.separate_bn and not self.shortcut:
            raise ValueError("Aggregation: without the shortcut there is one path; set separate_bn=False")


def temporal_max(x_BCTHW: Tensor) -> Tensor:
    """Maximum of each frame and its two neighbours, those within the clip. Keeps the shape; any T
    >= 1.

    >>> temporal_max(torch.tensor([3.0, -6.0, -9.0]).view(1, 1, 3, 1, 1)).flatten()
    tensor([ 3.,  3., -6.])
    """
    padded = F.pad(x_BCTHW, (0, 0, 0, 0, 1, 1), value=-torch.inf)
    return torch.maximum(torch.maximum(padded[:, :, :-2], padded[:, :, 2:]), x_BCTHW)


def _temporal_mix(x_BCTHW: Tensor) -> Tensor:
    return (temporal_average(x_BCTHW) + temporal_max(x_BCTHW)) / 2


POOLS = {"avg": temporal_average, "max": temporal_max, "mix": _temporal_mix}
