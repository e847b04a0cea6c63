"""Random crops of videos in training, and the segments that a crop learns. Arithmetic only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MAX_TRIES = 200
"""As in the released code; a video whose segments no try has met is learnt from as background."""
Floats = NDArray[np.float64]


def random_crop(
    length: int,
    segments: Floats,
    generator: np.random.Generator,
    *,
    max_length: int,
    shortest: float,
    min_share: float,
    margin: float,
) -> tuple[int, int, NDArray[np.bool_]]:
    """Choose a crop that holds a segment.

    Source: ActionFormer's released code (`truncate_feats`). A video of more than `max_length` rows
    is cut to that, a shorter one to a random share of itself.

    Args:
        length: rows of the video.
        segments: (N, 2) in rows.
        generator: of this item and epoch.
        max_length: of a crop.
        shortest: share of a short video that is left at least.
        min_share: of a segment that must lie inside.
        margin: rows by which the crop reaches over its features on both sides: half a clip.

    Returns:
        First row, row behind the last, and which segments (N,) it learns.
    """
    size = max_length if length > max_length else int(generator.integers(
        max(1, round(shortest * length)), length + 1
    ))  # fmt: skip
    for _ in range(MAX_TRIES):
        first = int(generator.integers(0, length - size + 1))
        held = shares_inside(segments, first - margin, first + size + margin) >= min_share
        if held.any() or not len(segments):
            break
    return first, first + size, held


def shares_inside(segments: Floats, low: float, high: float) -> Floats:
    """Return the share (N,) of each segment that lies between two rows.

    >>> shares_inside(np.array([[0.0, 4.0], [6.0, 8.0]]), 1.0, 5.0).tolist()
    [0.75, 0.0]
    """
    starts, ends = segments.T
    inside = np.minimum(ends, high) - np.maximum(starts, low)
    shares: Floats = np.maximum(inside, 0.0) / np.maximum(ends - starts, 1e-9)
    return shares
