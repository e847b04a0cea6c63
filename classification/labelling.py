"""Arithmetic on the classes of one video: features inside proposals, and the softmax of its
logits."""

from __future__ import annotations

import numpy as np


def features_inside(times_s: np.ndarray, segments_s: np.ndarray) -> np.ndarray:
    """Mark the features whose time lies inside any of some segments.

    A segment so short that no feature falls into it takes the one nearest to its middle.

    Args:
        times_s: (T,) times of the features, T >= 1.
        segments_s: (n, 2).

    Returns:
        Boolean array (T,); all True where there is no segment, so that a video always has a class.
    """
    if len(segments_s) == 0:
        return np.ones(len(times_s), dtype=bool)
    inside = np.zeros(len(times_s), dtype=bool)
    for start_s, end_s in segments_s:
        covered = (times_s >= start_s) & (times_s <= end_s)
        if not covered.any():
            covered[np.argmin(np.abs(times_s - (start_s + end_s) / 2))] = True
        inside |= covered
    return inside


def class_probabilities(logits: np.ndarray, temperature: float) -> np.ndarray:
    """Return softmax(temperature * logits) of one video's logits (K,).

    >>> class_probabilities(np.array([0.0, 0.0]), 2.0)
    array([0.5, 0.5])
    """
    scaled = temperature * (logits - logits.max())
    exponential = np.exp(scaled)
    return exponential / exponential.sum()
