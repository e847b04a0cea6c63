"""Detections of one task matched to its annotations: what every part of the diagnosis starts
from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from evaluation.metrics.average_precision import Hits, average_precision_of_hits, find_hits
from evaluation.metrics.columns import UNKNOWN, Segments, TaskColumns
from evaluation.metrics.detection import rank_predictions
from evaluation.metrics.matching import UNMATCHED, match_annotations


@dataclass(frozen=True, eq=False)
class Matches:
    """The ranking of a task and which annotation each prediction has found.

    Attributes:
        annotations: N rows, label 0..C-1.
        predictions: P rows sorted by class, best rank first within a class; only annotated classes.
        labels: names of the C classes.
        tiou_thresholds: (T,).
        matched: (T, P) int32, annotation that each prediction has found, -1 if none (a false
            positive).
    """

    annotations: Segments
    predictions: Segments
    labels: tuple[str, ...]
    tiou_thresholds: np.ndarray
    matched: np.ndarray

    @cached_property
    def annotation_counts(self) -> np.ndarray:
        """(C,) annotations of each class."""
        return np.bincount(self.annotations.label, minlength=len(self.labels))

    @property
    def average_count(self) -> float:
        """Annotations of the average class, which normalised precision assumes of every class."""
        return len(self.annotations) / len(self.labels)

    @cached_property
    def hits(self) -> tuple[Hits, ...]:
        """The true positives at each threshold."""
        return tuple(find_hits(row != UNMATCHED, self.predictions.label) for row in self.matched)

    @cached_property
    def average_precision(self) -> np.ndarray:
        """(C, T) as in `evaluation.metrics.detection.DetectionMetrics.ap`."""
        return np.stack([average_precision_of_hits(hits, self.annotation_counts) for hits in self.hits], 1)

    @cached_property
    def normalised_average_precision(self) -> np.ndarray:
        """(C, T) AP_N: precision as if each class had the same number of annotations.

        The n-th true positive after f false positives has recall R = n / N_class and normalised
        precision R N / (R N + f), N being the average count (DETAD, after Hoiem et al., "Diagnosing
        Error in Object Detectors", ECCV 2012). So it can be compared between groups of annotations
        of unequal size.
        """
        counts = self.annotation_counts
        return np.stack(
            [average_precision_of_hits(hits, counts, self.average_count) for hits in self.hits], 1
        )


def match_columns(columns: TaskColumns, tiou_thresholds: np.ndarray) -> Matches:
    """Match the detections of a task as the official metrics do."""
    known = columns.predictions.take(columns.predictions.label != UNKNOWN)
    ranked = rank_predictions(known, known.label)
    found_by = match_annotations(columns.annotations, ranked, tiou_thresholds)  # T x N
    matched = np.full((len(tiou_thresholds), len(ranked)), UNMATCHED, dtype=np.int32)
    for row, prediction in zip(matched, found_by, strict=True):
        found = np.flatnonzero(prediction != UNMATCHED)
        row[prediction[found]] = found
    return Matches(columns.annotations, ranked, columns.labels, tiou_thresholds, matched)
