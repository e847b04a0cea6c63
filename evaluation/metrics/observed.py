"""Observed time: segments and stretches of a video on the axis that is left where only what was
watched counts.

    seconds     0    10    20    30    40
    watched     [=====]          [=====]          0 to 10 and 30 to 40
    segment        (================)             5 to 35
    observed       (--)          (--)             5 to 10 and 10 to 15 of 20 s
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Pairs = Sequence[tuple[float, float]]
"""(start, end) in seconds."""


def joined(stretches_s: Pairs) -> list[tuple[float, float]]:
    """Sort stretches, and make one of those that touch.

    >>> joined([(5, 8), (0, 2), (1, 5)])
    [(0, 8)]
    """
    answer: list[tuple[float, float]] = []
    for start_s, end_s in sorted(stretches_s):
        if answer and start_s <= answer[-1][1]:
            answer[-1] = (answer[-1][0], max(answer[-1][1], end_s))
        else:
            answer.append((start_s, end_s))
    return answer


def common(first_s: Pairs, second_s: Pairs) -> list[tuple[float, float]]:
    """What lies in stretches of both.

    >>> common([(0, 10)], [(5, 7), (8, 12)])
    [(5, 7), (8, 10)]
    """
    found = ((max(a_s, c_s), min(b_s, d_s)) for a_s, b_s in joined(first_s) for c_s, d_s in joined(second_s))
    return sorted((start_s, end_s) for start_s, end_s in found if start_s < end_s)


def on_observed_time(segments_s: np.ndarray, stretches_s: Pairs) -> np.ndarray:
    """Cut segments to stretches that do not overlap, and count time in these alone.

    Args:
        segments_s: (n, 2) in seconds of the video.
        stretches_s: sorted.

    Returns:
        (m, 2) in seconds of observed time, a part for each stretch that a segment meets.

    >>> on_observed_time(np.array([[5.0, 35.0]]), [(0.0, 10.0), (30.0, 40.0)]).tolist()
    [[5.0, 10.0], [10.0, 15.0]]
    """
    parts, observed_s = [np.zeros((0, 2))], 0.0
    for start_s, end_s in stretches_s:
        inside = np.clip(segments_s, start_s, end_s)
        parts.append(inside[inside[:, 0] < inside[:, 1]] - start_s + observed_s)
        observed_s += end_s - start_s
    return np.concatenate(parts)


def moments_on_observed_time(times_s: np.ndarray, stretches_s: Pairs) -> np.ndarray:
    """Keep the moments in stretches that do not overlap, ends included, and count time in these
    alone.

    Args:
        times_s: (n,) in seconds of the video.
        stretches_s: sorted; none begins where another ends.

    Returns:
        (m,) in seconds of observed time.

    >>> moments_on_observed_time(np.array([5.0, 20.0, 30.0]), [(0.0, 10.0), (30.0, 40.0)]).tolist()
    [5.0, 10.0]
    """
    parts, observed_s = [np.zeros(0)], 0.0
    for start_s, end_s in stretches_s:
        parts.append(times_s[(start_s <= times_s) & (times_s <= end_s)] - start_s + observed_s)
        observed_s += end_s - start_s
    return np.concatenate(parts)
