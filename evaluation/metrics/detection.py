"""Mean average precision of detections, with the semantics of the official evaluators.

What that means where peers differ: every annotation counts, duplicates and zero-length ones too;
predictions in videos without annotations are false positives; classes without annotations are
ignored and classes without predictions have AP 0; segments are used as they are; a tIoU equal to
the threshold suffices.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np

from evaluation.metrics.average_precision import average_precision
from evaluation.metrics.columns import UNKNOWN, Segments
from evaluation.metrics.matching import find_true_positives
from evaluation.metrics.thresholds import check_thresholds


@dataclass(frozen=True, eq=False)
class DetectionMetrics:
    """Figures of one detection task, as fractions (1.0 = 100 %).

    Attributes:
        tiou_thresholds: (T,).
        labels: the C classes that have annotations, in order of first appearance.
        ap: (C, T) average precision.
        annotation_counts: (C,) annotations of each class.
        prediction_counts: (C,) predictions of each class.
        true_positive_counts: (C, T) annotations of each class that a prediction of any score has
            found.
        ignored_predictions: predictions of classes without annotations.
        tied_scores: predictions whose score equals that of another one of the class. Of equals the
            one that is later in the file ranks first (the official code leaves it to an unstable
            sort).
    """

    tiou_thresholds: np.ndarray
    labels: tuple[Hashable, ...]
    ap: np.ndarray
    annotation_counts: np.ndarray
    prediction_counts: np.ndarray
    true_positive_counts: np.ndarray
    ignored_predictions: int
    tied_scores: int

    @property
    def mAP(self) -> np.ndarray:  # noqa: N802 (the field's spelling, also in the JSON)
        """(T,) mean over the classes; NaN without annotations."""
        return self.ap.mean(axis=0) if self.labels else np.full(len(self.tiou_thresholds), np.nan)

    @property
    def average_mAP(self) -> float:  # noqa: N802
        """Mean of mAP over the thresholds."""
        return float(self.mAP.mean())

    @property
    def recall(self) -> np.ndarray:
        """(T,) share of all annotations, of whatever class, that are found; NaN without
        annotations."""
        if not self.labels:
            return np.full(len(self.tiou_thresholds), np.nan)
        return np.asarray(self.true_positive_counts.sum(axis=0) / self.annotation_counts.sum())


def detection_metrics(
    annotations: Segments, predictions: Segments, labels: tuple[Hashable, ...], tiou_thresholds: Any
) -> DetectionMetrics:
    """Compute AP of each class and mAP at each tIoU from columns that are numbered already.

    Agrees with ActivityNet `eval_detection.py` (82304fa) and, called once per task, with
    EPIC-KITCHENS C2-Action-Detection (4835721). NaN is treated as there: a NaN score ranks first.

    Args:
        annotations: label 0..C-1, each class at least once.
        predictions: label -1 for classes without annotations.
        labels: names of the C classes.
        tiou_thresholds: T numbers.

    Raises:
        InputError: if there is no threshold.
    """
    thresholds = check_thresholds(tiou_thresholds)
    known = predictions.label != UNKNOWN
    ranked = predictions if known.all() else predictions.take(known)
    ranked = rank_predictions(ranked, ranked.label)
    true_positive = find_true_positives(annotations, ranked, thresholds)
    counts = np.bincount(annotations.label, minlength=len(labels))
    ap = [average_precision(hits, ranked.label, counts) for hits in true_positive]
    found = [np.bincount(ranked.label[hits], minlength=len(labels)) for hits in true_positive]
    return DetectionMetrics(
        tiou_thresholds=thresholds,
        labels=labels,
        ap=np.stack(ap, axis=1),
        annotation_counts=counts,
        prediction_counts=np.bincount(ranked.label, minlength=len(labels)),
        true_positive_counts=np.stack(found, axis=1),
        ignored_predictions=int(np.count_nonzero(~known)),
        tied_scores=count_ties(ranked.label, ranked.score),
    )


def rank_predictions(predictions: Segments, group: np.ndarray) -> Segments:
    """Sort predictions by group, then score falling; of equal scores the later in the file comes
    first.

    Args:
        predictions: P rows in file order. NaN scores come first, as in the official code.
        group: (P,) integers, e.g. class or video.
    """
    if np.abs(group).max(initial=0) < 1 << 15:
        group = group.astype(np.int16)  # numpy sorts these by radix, ten times faster
    by_score = np.argsort(predictions.score, kind="stable")[::-1]
    return predictions.take(by_score[np.argsort(group[by_score], kind="stable")])


def count_ties(group: np.ndarray, score: np.ndarray) -> int:
    """Count rows whose score equals that of another row of the group; rows are sorted by group and
    score.

    >>> count_ties(np.array([0, 0, 0, 1]), np.array([0.9, 0.5, 0.5, 0.5]))
    2
    """
    equals_next = (group[1:] == group[:-1]) & (score[1:] == score[:-1])
    tied = np.zeros(len(score), dtype=bool)
    tied[1:] |= equals_next
    tied[:-1] |= equals_next
    return int(np.count_nonzero(tied))
