"""Features of a segment for a classifier: means inside it, just before and just after it.
Arithmetic only.

Axes: T rows in time, C channels, N segments.

    |..... before .....|======= inside =======|..... after .....|
    start - CONTEXT L  start                  end   end + CONTEXT L      L: length of the segment
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

CONTEXT = 0.5
"""Length of what is seen before and after a segment, as a share of its own."""
REGIONS = 3


def segment_features(
    features_TC: NDArray[np.floating], times_s: NDArray[np.float64], segments_s: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Return the means (N, 3 C) over the rows inside, before and after each segment.

    A region in which no row lies takes the one nearest to its middle: the first or last row of the
    video beyond its ends.

    Args:
        features_TC: of one video, T >= 1.
        times_s: (T,) increasing.
        segments_s: (N, 2).
    """
    start_s, end_s = segments_s.T
    around_s = CONTEXT * (end_s - start_s)
    bounds = ((start_s, end_s), (start_s - around_s, start_s), (end_s, end_s + around_s))
    found = [_means(features_TC, times_s, first_s, last_s) for first_s, last_s in bounds]
    return np.concatenate(found, axis=1)


def _means(
    features_TC: NDArray[np.floating],
    times_s: NDArray[np.float64],
    first_s: NDArray[np.float64],
    last_s: NDArray[np.float64],
) -> NDArray[np.float32]:
    """Mean of the rows with first <= time <= last, (N, C)."""
    first = np.searchsorted(times_s, first_s, side="left")
    stop = np.searchsorted(times_s, last_s, side="right")
    nearest = _nearest(times_s, (first_s + last_s) / 2)
    empty = stop <= first
    first, stop = np.where(empty, nearest, first), np.where(empty, nearest + 1, stop)
    means = np.empty((len(first), features_TC.shape[1]), dtype=np.float32)
    for row, (begin, end) in enumerate(zip(first.tolist(), stop.tolist(), strict=True)):
        means[row] = features_TC[begin:end].mean(axis=0)
    return means


def _nearest(times_s: NDArray[np.float64], wanted_s: NDArray[np.float64]) -> NDArray[np.int64]:
    upper = np.searchsorted(times_s, wanted_s).clip(1, max(len(times_s) - 1, 1))
    lower = upper - 1
    upper = np.minimum(upper, len(times_s) - 1)
    return np.where(wanted_s - times_s[lower] <= times_s[upper] - wanted_s, lower, upper)
