"""Seconds and rows: the fractional index of a feature, by the times that the store holds.

    times_s     0.27    0.80    1.33            a segment from 0.80 s to 1.60 s reaches from row 1 to row 2.5
    rows          0       1       2

No stride or clip length is needed, so features of any origin are learnt from alike.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def seconds_to_rows(times_s: Floats, stride_s: float, seconds: ArrayLike) -> Floats:
    """Interpolate between the times of the features; before the first and behind the last by the
    stride.

    >>> seconds_to_rows(np.array([1.0, 2.0, 4.0]), 1.0, [0.0, 3.0, 5.0]).tolist()
    [-1.0, 1.5, 3.0]
    """
    values = np.asarray(seconds, dtype=np.float64)
    inside = np.interp(values, times_s, np.arange(len(times_s)))
    outside = np.minimum(values - times_s[0], 0.0) + np.maximum(values - times_s[-1], 0.0)
    rows: Floats = inside + outside / stride_s
    return rows


def rows_to_seconds(times_s: Floats, stride_s: float, rows: ArrayLike) -> Floats:
    """Return the seconds of fractional rows, the inverse of `seconds_to_rows`."""
    values = np.asarray(rows, dtype=np.float64)
    last = len(times_s) - 1
    inside = np.interp(values, np.arange(len(times_s)), times_s)
    outside = np.minimum(values, 0.0) + np.maximum(values - last, 0.0)
    seconds: Floats = inside + outside * stride_s
    return seconds
