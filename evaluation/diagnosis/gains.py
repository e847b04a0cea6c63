"""Gain in average mAP if the errors of one kind were removed (DETAD).

All false positives of a kind are taken out of the ranking; what stays keeps its order. Two figures:

    gain              of the official average mAP, over all predictions, so that it adds to the figure of the tables
    normalised_gain   of average mAP_N over the best 10 G predictions of each class, which is what DETAD plots

Removing false positives never changes which predictions are true positives, so only their counts
are lowered.
"""

from __future__ import annotations

import numpy as np

from evaluation.diagnosis.false_positives import CATEGORIES, PROFILE_DEPTH, TRUE_POSITIVE
from evaluation.metrics.average_precision import Hits, average_precision_of_hits, count_within_class
from evaluation.metrics.matches import Matches


def gains(matches: Matches, category: np.ndarray) -> np.ndarray:
    """Compute the gain in mAP from removing each kind of error.

    Args:
        matches: T thresholds, P predictions.
        category: (T, P).

    Returns:
        (5, T) float64, kinds in the order of `CATEGORIES` without the true positives.
    """
    return _gains(matches, category, matches.hits, None)


def normalised_gains(matches: Matches, category: np.ndarray) -> np.ndarray:
    """Compute the gain in mAP_N among the best 10 G predictions of each class; (5, T), as
    `gains`."""
    label = matches.predictions.label
    best = count_within_class(label) <= PROFILE_DEPTH * matches.annotation_counts[label]
    hits = tuple(_take(found, best[found.row]) for found in matches.hits)
    return _gains(matches, category, hits, matches.average_count)


def _take(hits: Hits, keep: np.ndarray) -> Hits:
    """Some hits; whole ranks of a class from the best on, so that their numbers stay right."""
    return Hits(hits.row[keep], hits.label[keep], hits.nth[keep], hits.false_positives[keep])


def _gains(
    matches: Matches, category: np.ndarray, hits: tuple[Hits, ...], assumed_count: float | None
) -> np.ndarray:
    counts = matches.annotation_counts
    first_row = np.searchsorted(matches.predictions.label, np.arange(len(counts)))
    found = np.zeros((len(CATEGORIES), len(hits)))
    for column, (row, hit) in enumerate(zip(category, hits, strict=True)):
        for kind in range(len(CATEGORIES)):
            before = np.concatenate([[0], np.cumsum(row == kind)])  # before each row, over all classes
            removed = before[hit.row] - before[first_row[hit.label]] if kind != TRUE_POSITIVE else 0
            without = Hits(hit.row, hit.label, hit.nth, hit.false_positives - removed)
            found[kind, column] = average_precision_of_hits(without, counts, assumed_count).mean()
    return found[1:] - found[TRUE_POSITIVE]  # nothing is removed in the row of true positives
