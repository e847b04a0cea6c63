"""Pairs of two observers' events, one to one, within a window of tolerance.

observer A   ----|----|--------------|---      3 events
observer B   ------|-----|-|-------------      3; with a window of 3 dashes two are paired,
                                               however near the third of B is to the second
"""

from __future__ import annotations

from collections.abc import Sequence

ROUNDING_S = 1e-9
"""Times are decimals: 16.1 - 15.1 is a little more than 1."""


def pair_events(
    reference_s: Sequence[float], other_s: Sequence[float], tolerance_s: float
) -> list[tuple[int, int]]:
    """As many pairs as there can be of one event each that lie no further apart than the tolerance.

    Going through time, the earliest free event pairs with the earliest free one of the other
    observer that it reaches. No other choice gives more: with one tolerance for all, whatever a
    later event could have in its place, it can have, too, or it comes too late for it.

    Args:
        reference_s: times in seconds, in any order.
        other_s: likewise.
        tolerance_s: of both sides, included.

    Returns:
        Their positions in `reference_s` and `other_s`, in order of time.

    >>> pair_events([1.0, 2.0], [2.5, 0.5], 0.5), pair_events([1.0, 2.0], [1.5], 0.5)
    ([(0, 1), (1, 0)], [(0, 0)])
    """
    first, second = (sorted(range(len(times)), key=times.__getitem__) for times in (reference_s, other_s))
    window_s = tolerance_s + ROUNDING_S
    pairs = []
    i = j = 0
    while i < len(first) and j < len(second):
        later_s = other_s[second[j]] - reference_s[first[i]]
        if abs(later_s) <= window_s:
            pairs.append((first[i], second[j]))
        i, j = i + (later_s >= -window_s), j + (later_s <= window_s)
    return pairs
