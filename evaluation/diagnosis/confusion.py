"""Confusion of classes: for every annotation, the class of the best-scored detection that overlaps
it.

One detection an annotation is looked at, the best of all classes, so that the rows add up to the
annotations. The official metric matches class by class and knows no confusion; this is to be looked
at, not to be scored by.
"""

from __future__ import annotations

import numpy as np

from evaluation.metrics.matches import Matches
from evaluation.metrics.matching import iterate_pairs, temporal_iou

TIOU = 0.5


def confusion(matches: Matches, tiou: float = TIOU) -> np.ndarray:
    """Count annotations by their class and by the class that is detected there.

    Args:
        matches: C classes.
        tiou: overlap that suffices.

    Returns:
        (C, C + 1) int64, rows annotated, columns detected; the last column: nothing overlaps
        enough.
    """
    annotations, predictions = matches.annotations, matches.predictions
    order = np.argsort(predictions.video, kind="stable")
    ranked = predictions.take(order)
    first = np.searchsorted(ranked.video, annotations.video, side="left")
    count = np.searchsorted(ranked.video, annotations.video, side="right") - first
    num_classes = len(matches.labels)
    detected = np.full(len(annotations), num_classes)
    best = np.full(len(annotations), -np.inf)
    for rows, candidates in iterate_pairs(first, count):
        overlap = temporal_iou(
            annotations.start_s[rows],
            annotations.end_s[rows],
            ranked.start_s[candidates],
            ranked.end_s[candidates],
        )
        enough = overlap >= tiou
        rows, candidates = rows[enough], candidates[enough]
        rising = np.argsort(ranked.score[candidates], kind="stable")  # written last: the best
        rows, candidates = rows[rising], candidates[rising]
        better = ranked.score[candidates] > best[rows]
        best[rows[better]] = ranked.score[candidates[better]]
        detected[rows[better]] = ranked.label[candidates[better]]
    cell = annotations.label * (num_classes + 1) + detected
    return np.bincount(cell, minlength=num_classes * (num_classes + 1)).reshape(num_classes, -1)


def most_confused(counts: np.ndarray, most: int) -> list[tuple[int, int]]:
    """Pairs of annotated and detected class that differ, by falling count; column C is
    "nothing"."""
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:most]
    pairs = [divmod(int(cell), counts.shape[1]) for cell in order]
    return [pair for pair in pairs if wrong[pair]]
