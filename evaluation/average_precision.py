"""Average precision of ranked predictions, for all classes at once."""

from __future__ import annotations

import numpy as np


def average_precision(
    true_positive: np.ndarray, label: np.ndarray, annotation_counts: np.ndarray
) -> np.ndarray:
    """Interpolated AP of each class: all points under the envelope of precision (VOC 2011 and later).

    Only true positives raise recall, so AP is a sum over them: precision k/rank at the k-th one, replaced
    by the highest precision at it or to its right, times the step of recall k/n - (k-1)/n.

    Args:
        true_positive: (P,) bool, sorted by class, best rank first within a class.
        label: (P,) class of each prediction, rising, 0..C-1.
        annotation_counts: (C,) annotations of each class, >= 1.

    Returns:
        (C,) float64, 0 for a class without true positives.

    >>> average_precision(np.array([False, True, True]), np.array([0, 0, 0]), np.array([4]))
    array([0.33333333])
    """
    num_classes = len(annotation_counts)
    hits = np.flatnonzero(true_positive)
    hit_label = label[hits]
    rank = hits - np.searchsorted(label, hit_label) + 1
    nth = np.arange(len(hits)) - np.searchsorted(hit_label, hit_label) + 1
    count = annotation_counts[hit_label]
    precision = _running_max_from_right(nth / rank, hit_label)
    recall_step = nth / count - (nth - 1) / count
    return np.bincount(hit_label, weights=recall_step * precision, minlength=num_classes)


def _running_max_from_right(values: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Largest value at or to the right of each position within its class; classes rise from left to right.

    Values are replaced by their integer order, raised class by class, so that one exact running maximum
    serves all classes.
    """
    levels, order = np.unique(values, return_inverse=True)
    offset = (label.max(initial=0) - label) * len(levels)
    running = np.maximum.accumulate((order + offset)[::-1])[::-1]
    return levels[running - offset]
