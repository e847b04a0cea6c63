"""True positives by the greedy matching of the official evaluators, on arrays.

The official code (ActivityNet `eval_detection.py`, EPIC-KITCHENS
`evaluate_detection_json_ek100.py`) walks through the predictions of a class by falling score; each
takes, of the annotations in its video that are still free, the one of highest tIoU, if that reaches
the threshold. When predictions choose in turn, all annotations prefer the same, higher-ranked
prediction, so the outcome equals the stable matching, which deferred acceptance finds for all
classes and videos at once: every free prediction asks its next-best annotation, every annotation
keeps the best-ranked one that asked. Real files need 2 to 9 rounds.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from evaluation.metrics.columns import Segments

# Pairs of prediction and annotation that are held at once: bounds the memory for long videos, and
# pieces that fit the processor's cache take two thirds of the time of large ones.
MAX_PAIRS = 1 << 15
UNMATCHED = -1


def temporal_iou(
    annotation_start: np.ndarray,
    annotation_end: np.ndarray,
    prediction_start: np.ndarray,
    prediction_end: np.ndarray,
) -> np.ndarray:
    """tIoU of annotation i with prediction i, in the official order of operations.

    Args:
        annotation_start: (N,) float64; all four in one unit.
        annotation_end: (N,).
        prediction_start: (N,).
        prediction_end: (N,).

    Returns:
        (N,) float64. NaN for 0/0, e.g. two segments of zero length; 0 or -0 for inverted segments.
    """
    first_end = np.minimum(annotation_end, prediction_end)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        intersection = np.maximum(first_end - np.maximum(annotation_start, prediction_start), 0.0)
        union = (annotation_end - annotation_start) + (prediction_end - prediction_start) - intersection
        return intersection / union


def iterate_pairs(
    first: np.ndarray, count: np.ndarray, max_pairs: int = MAX_PAIRS
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Enumerate (row, candidate) pairs where row i has the candidates first[i] .. first[i] +
    count[i] - 1.

    Args:
        first: (N,) first candidate of each row.
        count: (N,) number of candidates of each row.
        max_pairs: pairs in one piece; a single row may exceed it.

    Yields:
        rows and candidates, int64, of equal length; rows rise over all pieces, candidates within a
        row.

    >>> list(iterate_pairs(np.array([5, 0]), np.array([2, 1])))
    [(array([0, 0, 1]), array([5, 6, 0]))]
    """
    stops = np.cumsum(count)
    row = 0
    while row < len(count):
        done = stops[row] - count[row]
        stop = max(row + 1, int(np.searchsorted(stops, done + max_pairs, side="right")))
        counts = count[row:stop]
        rows = np.repeat(np.arange(row, stop), counts)
        within_row = np.arange(len(rows)) - np.repeat(stops[row:stop] - counts - done, counts)
        yield rows, np.repeat(first[row:stop], counts) + within_row
        row = stop


def find_true_positives(
    annotations: Segments, predictions: Segments, tiou_thresholds: np.ndarray, max_pairs: int = MAX_PAIRS
) -> np.ndarray:
    """Tell which predictions are true positives, for every threshold apart; see
    `match_annotations`.

    Returns:
        (T, P) bool, true for true positives.
    """
    matched = match_annotations(annotations, predictions, tiou_thresholds, max_pairs)
    true_positive = np.zeros((len(matched), len(predictions)), dtype=bool)
    for row, found in zip(true_positive, matched, strict=True):
        row[found[found != UNMATCHED]] = True
    return true_positive


def match_annotations(
    annotations: Segments, predictions: Segments, tiou_thresholds: np.ndarray, max_pairs: int = MAX_PAIRS
) -> np.ndarray:
    """Match predictions to annotations of the same class and video, for every threshold apart.

    A pair whose tIoU is NaN counts as overlapping completely: the official sort puts NaN first, and
    NaN is not below any threshold. Of equal overlaps the later annotation is taken.

    Args:
        annotations: N rows in file order.
        predictions: best rank first within each class.
        tiou_thresholds: (T,).
        max_pairs: bound of the working memory.

    Returns:
        (T, N) int64, the prediction that has found each annotation, -1 if none.
    """
    by_group, first, count = _candidate_blocks(annotations, predictions)
    annotations = annotations.take(by_group)
    pairs = _overlapping_pairs(
        annotations, predictions, first, count, tiou_thresholds.min(initial=np.inf), max_pairs
    )
    pair_prediction, pair_annotation, overlap = pairs
    matched = np.empty((len(tiou_thresholds), len(annotations)), dtype=np.int64)
    for row, threshold in enumerate(tiou_thresholds):
        enough = overlap >= threshold
        matched[row, by_group] = _defer_acceptance(
            pair_prediction[enough], pair_annotation[enough], len(annotations)
        )
    return matched


def _candidate_blocks(
    annotations: Segments, predictions: Segments
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sort annotations by (class, video); give each prediction its block there: order, first,
    count."""
    # Also of videos without annotations, which would otherwise be taken for the first ones of the
    # next class.
    num_videos = max(annotations.video.max(initial=0), predictions.video.max(initial=0)) + 1
    annotation_group = annotations.label * num_videos + annotations.video
    in_known_video = predictions.video >= 0
    prediction_group = np.where(in_known_video, predictions.label * num_videos + predictions.video, -1)
    order = np.argsort(annotation_group, kind="stable")
    block_start = _starts_of_runs(annotation_group[order])
    block_size = np.diff(block_start, append=len(order))
    block_group = annotation_group[order][block_start]
    if not len(block_group):
        return order, np.zeros_like(prediction_group), np.zeros_like(prediction_group)
    block = np.searchsorted(block_group, prediction_group)
    block[block == len(block_group)] = 0
    has_block = block_group[block] == prediction_group
    return order, block_start[block], np.where(has_block, block_size[block], 0)


def _starts_of_runs(values: np.ndarray) -> np.ndarray:
    """Positions where a run of equal values starts.

    >>> _starts_of_runs(np.array([4, 4, 7]))
    array([0, 2])
    """
    return np.flatnonzero(np.diff(values, prepend=values[:1] - 1))


def _overlapping_pairs(
    annotations: Segments,
    predictions: Segments,
    first: np.ndarray,
    count: np.ndarray,
    lowest_tiou: float,
    max_pairs: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs that overlap enough, by prediction and falling preference: prediction, annotation,
    overlap."""
    pieces = [(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))]
    for rows, candidates in iterate_pairs(first, count, max_pairs):
        overlap = temporal_iou(
            annotations.start_s[candidates],
            annotations.end_s[candidates],
            predictions.start_s[rows],
            predictions.end_s[rows],
        )
        overlap[np.isnan(overlap)] = np.inf
        enough = overlap >= lowest_tiou
        pieces.append((rows[enough], candidates[enough], overlap[enough]))
    prediction, annotation, overlap = (np.concatenate(column) for column in zip(*pieces, strict=True))
    order = np.lexsort((-annotation, -overlap, prediction))
    return prediction[order], annotation[order], overlap[order]


def _defer_acceptance(
    pair_prediction: np.ndarray, pair_annotation: np.ndarray, num_annotations: int
) -> np.ndarray:
    """Prediction that each annotation gets, -1 if none; pairs are sorted by prediction (= rank),
    then preference."""
    next_pair = _starts_of_runs(pair_prediction)
    predictions = pair_prediction[next_pair]
    last_pair = np.append(next_pair[1:], len(pair_prediction))
    nobody = len(predictions)
    holder = np.full(num_annotations, nobody)
    asking = np.arange(len(predictions))
    while asking.size:
        asked = pair_annotation[next_pair[asking]]
        before = holder[asked]
        np.minimum.at(holder, asked, asking)
        is_refused = np.zeros(nobody + 1, dtype=bool)
        is_refused[asking] = holder[asked] != asking
        is_refused[before] |= before != holder[asked]
        refused = np.flatnonzero(is_refused[:nobody])
        next_pair[refused] += 1
        asking = refused[next_pair[refused] < last_pair[refused]]
    return np.append(predictions, UNMATCHED)[holder]
