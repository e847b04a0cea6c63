"""Upper bound of BMN's recall: the best fit of annotated segments with any that it can propose.

A segment that BMN can say starts and ends on a boundary of its cells and is at most D cells long.
Which of them fits an annotation best, and how well, follows from the annotation alone, whatever the
network has learnt.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def best_tiou(
    segments: NDArray[np.float64], last_boundary: int, longest: int | None = None
) -> NDArray[np.float64]:
    """Return the highest tIoU of segments with any [i, j], 0 <= i < j <= last_boundary, j - i <=
    longest.

    Moving a boundary towards that of the segment never lowers the tIoU, so the best i is next to
    the segment's start or the best j next to its end, and the other boundary next to its own or as
    far away as it may be.

    Args:
        segments: (n, 2) start and end, in cells.
        last_boundary: B; 0 leaves no pair.
        longest: most cells of a pair; None: any number.

    Returns:
        (n,) within [0, 1].

    >>> best_tiou(np.array([[0.0, 2.0], [0.5, 1.0], [0.0, 4.0]]), last_boundary=4, longest=3)
    array([1.  , 0.5 , 0.75])
    """
    longest = last_boundary if longest is None else min(longest, last_boundary)
    if last_boundary < 1 or longest < 1:
        return np.zeros(len(segments))
    starts, ends = (_neighbours(segments[:, side].clip(0, last_boundary)) for side in (0, 1))
    pairs = [(start, end) for start in starts for end in ends]
    pairs += [(start, start + length) for start in starts for length in (1, longest)]
    pairs += [(end - length, end) for end in ends for length in (1, longest)]
    best = np.zeros(len(segments))
    for first, last in pairs:
        allowed = (first >= 0) & (last <= last_boundary) & (first < last) & (last - first <= longest)
        shared = np.minimum(last, segments[:, 1]) - np.maximum(first, segments[:, 0])
        joined = np.maximum(last, segments[:, 1]) - np.minimum(first, segments[:, 0])
        tiou = np.where(allowed & (shared > 0), shared / joined, 0.0)
        best = np.maximum(best, tiou)
    return best


def _neighbours(boundary: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return np.floor(boundary), np.ceil(boundary)


def best_tiou_in_windows(
    segments: NDArray[np.float64],
    first_cells: Sequence[int],
    tscale: int,
    dscale: int,
    last_boundary: int,
) -> NDArray[np.float64]:
    """Return the highest tIoU of segments with what any of some windows can say.

    Args:
        segments: (n, 2) start and end, in cells of the video.
        first_cells: where the windows start.
        tscale: cells of a window.
        dscale: longest pair in a window, in cells.
        last_boundary: of the video's grid; windows may reach beyond it.
    """
    best = np.zeros(len(segments))
    for first in first_cells:
        inside = min(tscale, last_boundary - first)
        best = np.maximum(best, best_tiou(segments - first, inside, dscale))
    return best


def recall_bound(best: NDArray[np.float64], tious: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of the segments whose best tIoU reaches each of some thresholds, (len(tious),)."""
    # The tolerance is that of float rounding: a segment that is reached exactly counts at 1.0.
    return np.array([np.mean(best >= tiou - 1e-9) for tiou in tious])
