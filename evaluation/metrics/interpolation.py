"""Precision-recall curves: the envelope whose area is AP, at fixed recalls, so that classes can
be averaged."""

from __future__ import annotations

import numpy as np

from evaluation.metrics.average_precision import Hits, envelope

ROUNDING = 1e-9
"""Recall 0.3 of 10 annotations is the third true positive, also where 0.3 * 10 is
3.0000000000000004."""


def interpolated_precision(hits: Hits, annotation_counts: np.ndarray, recalls: np.ndarray) -> np.ndarray:
    """Highest precision at or beyond each recall, the interpolation of AP (VOC 2011).

    Args:
        hits: true positives of C classes at one threshold.
        annotation_counts: (C,) annotations of each class, >= 1.
        recalls: (R,) from 0 to 1.

    Returns:
        (C, R) float64, 0 where a recall is never reached.

    >>> from evaluation.metrics.average_precision import find_hits
    >>> hits = find_hits(np.array([True, False, True]), np.zeros(3, int))
    >>> interpolated_precision(hits, np.array([4]), np.array([0.0, 0.25, 0.5, 0.75])).round(3)
    array([[1.   , 1.   , 0.667, 0.   ]])
    """
    precision = np.append(envelope(hits.nth / (hits.nth + hits.false_positives), hits.label), 0.0)
    classes = np.arange(len(annotation_counts))
    first = np.searchsorted(hits.label, classes, side="left")[:, None]
    count = np.searchsorted(hits.label, classes, side="right")[:, None] - first
    nth = np.maximum(np.ceil(recalls * annotation_counts[:, None] - ROUNDING).astype(np.int64), 1)  # C x R
    return precision[np.where(nth <= count, first + nth - 1, -1)]
