"""Figures of DataFrames or arrays: what one calls from Python."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from evaluation.files.protocols import protocol_named
from evaluation.metrics.average_recall import TOP_K, ProposalMetrics, proposal_metrics, recall_of_best
from evaluation.metrics.columns import code_tables
from evaluation.metrics.detection import DetectionMetrics, detection_metrics


def evaluate_detections(
    ground_truth: Any, predictions: Any, *, protocol: str = "hacs", tiou_thresholds: Any = None
) -> DetectionMetrics:
    """Compute AP of each class, mAP at each tIoU and average mAP.

    Agrees with ActivityNet `eval_detection.py` (82304fa) and, called once per task, with
    EPIC-KITCHENS C2-Action-Detection (4835721). NaN is treated as there: a NaN score ranks first.

    Args:
        ground_truth: DataFrame or mapping of columns video_id, label, start_s, end_s (arrays or
            lists).
        predictions: likewise, with score, in file order. Labels without annotations are ignored.
        protocol: a name in `evaluation.files.protocols.PROTOCOLS`: "hacs" and "activitynet" (tIoU
            0.5:0.05:0.95), "thumos" (0.3:0.1:0.7), "ek100" and "ek100-separate" (0.1:0.1:0.5).
            EPIC-KITCHENS-100 has three tasks: call once with verbs, nouns and actions as labels.
        tiou_thresholds: other thresholds than the protocol's.

    Returns:
        The figures, as fractions.

    Raises:
        InputError: if the protocol is unknown, a column is missing or not numeric, or there is no
            threshold.

    >>> truth = {"video_id": ["a", "a"], "label": ["run", "run"], "start_s": [0, 20], "end_s": [10, 30]}
    >>> found = {"video_id": ["a"], "label": ["run"], "start_s": [0], "end_s": [8], "score": [0.9]}
    >>> metrics = evaluate_detections(truth, found, protocol="hacs")
    >>> metrics.average_mAP, metrics.mAP[0], metrics.recall[0]  # found at 0.5 to 0.8, 7 of 10 thresholds
    (0.35, np.float64(0.5), np.float64(0.5))
    """
    if tiou_thresholds is None:
        tiou_thresholds = protocol_named(protocol).tiou_thresholds
    annotations, predicted, labels = code_tables(ground_truth, predictions, with_labels=True)
    return detection_metrics(annotations, predicted, labels, tiou_thresholds)


def evaluate_proposals(
    ground_truth: Any,
    proposals: Any,
    *,
    protocol: str = "hacs",
    tiou_thresholds: Any = None,
    max_avg_proposals: float | None = 100.0,
) -> ProposalMetrics:
    """Compute AR@AN and its area under the curve as the official ActivityNet evaluator does.

    Kept on purpose: proposals of videos without annotations count in the share; numbers of
    proposals are cut to whole ones by video, where 0.29 * 100 gives 28.

    Args:
        ground_truth: DataFrame or mapping of columns video_id, start_s, end_s.
        proposals: likewise, with score, in file order; of equal scores the later one ranks first.
        protocol: a name in `evaluation.files.protocols.PROTOCOLS`: tIoU 0.5:0.05:0.95, of "thumos"
            0.5:0.05:1.
        tiou_thresholds: other thresholds than the protocol's.
        max_avg_proposals: the last AN; None: all proposals.

    Raises:
        InputError: if the protocol is unknown, a column is missing or not numeric, there is no
            annotation, or no proposal is left in a video with annotations.

    >>> truth = {"video_id": ["a", "b"], "start_s": [0, 0], "end_s": [10, 10]}
    >>> found = {"video_id": ["a"], "start_s": [0], "end_s": [10], "score": [0.9]}
    >>> evaluate_proposals(truth, found).average_recall[-1]
    np.float64(0.5)
    """
    if tiou_thresholds is None:
        tiou_thresholds = protocol_named(protocol).recall_thresholds
    annotations, proposed, _ = code_tables(ground_truth, proposals, with_labels=False)
    return proposal_metrics(annotations, proposed, tiou_thresholds, max_avg_proposals)


def recall_at_top_k(
    ground_truth: Any,
    proposals: Any,
    *,
    k: Sequence[int] = TOP_K,
    tiou_thresholds: Any = None,
) -> np.ndarray:
    """Compute the plain recall of the k best proposals of each video; not the official AR@AN.

    Args:
        ground_truth: DataFrame or mapping of columns video_id, start_s, end_s.
        proposals: likewise, with score, in file order; of equal scores the later one ranks first.
        k: numbers of proposals per video.
        tiou_thresholds: None: 0.5:0.05:0.95.

    Returns:
        (T, K) float64, share of annotations that one of the k best proposals overlaps enough.

    Raises:
        InputError: if a column is missing or not numeric, or there is no annotation.
    """
    if tiou_thresholds is None:
        tiou_thresholds = protocol_named("hacs").recall_thresholds
    annotations, proposed, _ = code_tables(ground_truth, proposals, with_labels=False)
    return recall_of_best(annotations, proposed, k, tiou_thresholds)
