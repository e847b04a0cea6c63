"""Kinds of false positives, and their shares among the best-ranked predictions (DETAD).

    true positive      has found an annotation, as in the official metrics
    double detection   overlaps an annotation of its class enough, which a better-ranked prediction has found
    wrong label        overlaps an annotation of another class enough
    localisation       overlaps an annotation of its class, but only from 0.1 up to the threshold
    confusion          the same with an annotation of another class
    background         overlaps nothing by 0.1 or more

The conditions can hold for several annotations of a video at once; the one of highest tIoU decides,
as in DETAD's code. Of equal tIoU an annotation of the predicted class decides here (in the code,
the first one of the file). The code leaves out annotations of length <= 0 and predictions beyond
the best 10 G of a class; here everything that the official metrics count has a category, and the
limit of 10 G belongs to the profile alone. At threshold 0.1, the lowest of EPIC-KITCHENS-100,
nothing is left for localisation and confusion.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from evaluation.metrics.average_precision import count_within_class
from evaluation.metrics.columns import Segments
from evaluation.metrics.matches import Matches
from evaluation.metrics.matching import UNMATCHED, iterate_pairs, temporal_iou

CATEGORIES = (
    "true positive",
    "double detection",
    "wrong label",
    "localisation",
    "confusion",
    "background",
)
TRUE_POSITIVE, DOUBLE_DETECTION, WRONG_LABEL, LOCALISATION, CONFUSION, BACKGROUND = range(len(CATEGORIES))
LOWEST_TIOU = 0.1
"""Below it an overlap is none; beta in the paper."""
PROFILE_DEPTH = 10
"""The profile looks at the best 10 G predictions of each class, G being its annotations."""


@dataclass(frozen=True, eq=False)
class BestOverlap:
    """Where each prediction lies, whatever its rank.

    Attributes:
        tiou: (P,) highest tIoU with an annotation of its video, 0 without annotations, inf for two
            points.
        same_class: (P,) bool, whether an annotation of its own class reaches that tIoU.
        same_class_tiou: (P,) highest tIoU with an annotation of its own class.
    """

    tiou: np.ndarray
    same_class: np.ndarray
    same_class_tiou: np.ndarray


def best_overlap(annotations: Segments, predictions: Segments) -> BestOverlap:
    """Find the annotation of highest tIoU of each prediction, of any class and of its own."""
    order = np.argsort(annotations.video, kind="stable")
    by_video = annotations.take(order)
    first = np.searchsorted(by_video.video, predictions.video, side="left")
    count = np.searchsorted(by_video.video, predictions.video, side="right") - first
    tiou, same_class_tiou = np.zeros(len(predictions)), np.zeros(len(predictions))
    for rows, candidates in iterate_pairs(first, count):
        overlap = temporal_iou(
            by_video.start_s[candidates],
            by_video.end_s[candidates],
            predictions.start_s[rows],
            predictions.end_s[rows],
        )
        overlap[np.isnan(overlap)] = np.inf  # two points overlap completely, as in the official matching
        starts = np.flatnonzero(np.diff(rows, prepend=-1))
        same = by_video.label[candidates] == predictions.label[rows]
        tiou[rows[starts]] = np.maximum.reduceat(overlap, starts)
        same_class_tiou[rows[starts]] = np.maximum.reduceat(np.where(same, overlap, 0.0), starts)
    return BestOverlap(tiou, same_class_tiou == tiou, same_class_tiou)


def categorise(matches: Matches, best: BestOverlap) -> np.ndarray:
    """Give each prediction its category at each threshold.

    Returns:
        (T, P) int8, positions in `CATEGORIES`.
    """
    category = np.full(matches.matched.shape, BACKGROUND, dtype=np.int8)
    overlaps = best.tiou >= LOWEST_TIOU
    weak = np.where(best.same_class, LOCALISATION, CONFUSION)
    strong = np.where(best.same_class, DOUBLE_DETECTION, WRONG_LABEL)
    for row, matched, threshold in zip(category, matches.matched, matches.tiou_thresholds, strict=True):
        enough = best.tiou >= threshold
        row[overlaps & ~enough] = weak[overlaps & ~enough]
        row[enough] = strong[enough]
        row[matched != UNMATCHED] = TRUE_POSITIVE
    return category


def profile_counts(matches: Matches, category: np.ndarray) -> np.ndarray:
    """Count the categories among the best predictions of each class, in bands of G ranks.

    A class with G annotations puts its ranks 1..G into the first band, G+1..2G into the second, up
    to 10 G. The bands are those of DETAD's figure; the profile at the best k G is the sum over the
    first k of them.

    Args:
        matches: T thresholds, P predictions.
        category: (T, P).

    Returns:
        (T, 10, 6) int64.
    """
    label = matches.predictions.label
    band = (count_within_class(label) - 1) // matches.annotation_counts[label]
    shown = band < PROFILE_DEPTH
    cell = band[shown] * len(CATEGORIES)
    size = PROFILE_DEPTH * len(CATEGORIES)
    counts = [np.bincount(cell + row[shown], minlength=size) for row in category]
    return np.stack(counts).reshape(-1, PROFILE_DEPTH, len(CATEGORIES))


def shares(counts: np.ndarray) -> np.ndarray:
    """Turn counts of categories into shares that add up to 1, averaged over the thresholds.

    Args:
        counts: (T, K, 6), the same total at each threshold.

    Returns:
        (K, 6) float64; NaN where there are no predictions.
    """
    total = counts.sum(axis=2, keepdims=True)
    with np.errstate(invalid="ignore"):
        return np.asarray((counts / total).mean(axis=0))
