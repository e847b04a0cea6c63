"""Average precision of ranked predictions, for all classes at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Hits:
    """The true positives of a ranking, which is all that precision and recall depend on.

    Attributes:
        row: (H,) position in the ranking of all classes.
        label: (H,) class, rising.
        nth: (H,) 1 for the best-ranked true positive of its class, 2 for the next, ...
        false_positives: (H,) false positives of the class that rank before it.
    """

    row: np.ndarray
    label: np.ndarray
    nth: np.ndarray
    false_positives: np.ndarray


def find_hits(true_positive: np.ndarray, label: np.ndarray) -> Hits:
    """Collect the true positives of a ranking.

    Args:
        true_positive: (P,) bool, sorted by class, best rank first within a class.
        label: (P,) class of each prediction, rising, 0..C-1.
    """
    row = np.flatnonzero(true_positive)
    hit_label = label[row]
    rank = row - np.searchsorted(label, hit_label) + 1
    nth = count_within_class(hit_label)
    return Hits(row, hit_label, nth, rank - nth)


def count_within_class(label: np.ndarray) -> np.ndarray:
    """Number the rows of each class from 1; classes rise.

    >>> count_within_class(np.array([0, 0, 3]))
    array([1, 2, 1])
    """
    return np.arange(len(label)) - np.searchsorted(label, label) + 1


def average_precision(
    true_positive: np.ndarray, label: np.ndarray, annotation_counts: np.ndarray
) -> np.ndarray:
    """Interpolated AP of each class: all points under the envelope of precision (VOC 2011 and
    later).

    Only true positives raise recall, so AP is a sum over them: precision k/rank at the k-th one,
    replaced by the highest precision at it or to its right, times the step of recall k/n - (k-1)/n.

    Args:
        true_positive: (P,) bool, sorted by class, best rank first within a class.
        label: (P,) class of each prediction, rising, 0..C-1.
        annotation_counts: (C,) annotations of each class, >= 1.

    Returns:
        (C,) float64, 0 for a class without true positives.

    >>> average_precision(np.array([False, True, True]), np.array([0, 0, 0]), np.array([4]))
    array([0.33333333])
    """
    return average_precision_of_hits(find_hits(true_positive, label), annotation_counts)


def average_precision_of_hits(
    hits: Hits, annotation_counts: np.ndarray, assumed_count: float | None = None
) -> np.ndarray:
    """Do what `average_precision` does, on the true positives alone.

    Args:
        hits: the true positives.
        annotation_counts: (C,) annotations of each class, >= 1 where a class has hits.
        assumed_count: None, or the number of annotations that precision assumes of every class:
            normalised AP, see `evaluation.diagnosis`.

    Returns:
        (C,) float64.
    """
    count = annotation_counts[hits.label]
    found = hits.nth if assumed_count is None else hits.nth / count * assumed_count
    precision = envelope(found / (found + hits.false_positives), hits.label)
    recall_step = hits.nth / count - (hits.nth - 1) / count
    return np.bincount(hits.label, weights=recall_step * precision, minlength=len(annotation_counts))


def envelope(precision: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Highest precision at or to the right of each position within its class; classes rise from
    left to right.

    Values are replaced by their integer order, raised class by class, so that one exact running
    maximum serves all classes.

    >>> envelope(np.array([0.5, 0.7, 0.1]), np.array([0, 0, 1]))
    array([0.7, 0.7, 0.1])
    """
    levels, order = np.unique(precision, return_inverse=True)
    offset = (label.max(initial=0) - label) * len(levels)
    running = np.maximum.accumulate((order + offset)[::-1])[::-1]
    return levels[running - offset]
