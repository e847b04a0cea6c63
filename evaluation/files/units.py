"""Suspicion that times are not seconds: fractions of the video and frame numbers are the usual
mistakes.

Both score near zero without any error, so they are worth a suspicion in words.
"""

from __future__ import annotations

import numpy as np

from video_datasets.annotations import AnnotationTable
from video_datasets.predictions import Predictions

FRACTION_LIMIT = (
    1.001  # predicted ends that never pass 1 are fractions, if videos are longer than a few seconds
)
SHORTEST_VIDEO_S = 3.0
FRAMES_RATIO = 5.0  # nobody predicts five times past the end of the typical video
FEWEST_WHOLE_NUMBERS = 20


def unit_suspicion(truth: AnnotationTable, predictions: Predictions, video_number: np.ndarray) -> str:
    """Compare the last predicted end of each video with its duration, or with its last annotated
    end.

    Args:
        truth: annotations of the subset.
        predictions: N rows.
        video_number: (N,) video of each row in `truth`, -1 for others.

    Returns:
        "" or a sentence.
    """
    lengths_s = np.full(len(truth.video_ids), -np.inf)
    np.maximum.at(lengths_s, truth.video_index, truth.end_s)
    lengths_s = np.where(truth.durations_s > 0, truth.durations_s, lengths_s)
    last = np.full(len(truth.video_ids) + 1, -np.inf)  # [-1] takes unknown videos
    np.maximum.at(last, video_number, predictions.end_s)
    usable = (lengths_s > 0) & np.isfinite(last[:-1])
    if not usable.any():
        return ""
    length_s = float(np.median(lengths_s[usable]))
    with np.errstate(over="ignore"):
        ratio = float(np.median(last[:-1][usable] / lengths_s[usable]))
    if last[:-1][usable].max() <= FRACTION_LIMIT and length_s > SHORTEST_VIDEO_S:
        return (
            f"times look like fractions, not seconds: no prediction ends after 1, but the videos last"
            f" {length_s:.0f} s (median)"
        )
    if ratio > FRAMES_RATIO:
        return (
            f"times look like frame numbers, not seconds: predictions end at {ratio:.1f} times the length of"
            f" their video (median)"
        )
    return ""


def unit_suspicion_alone(predictions: Predictions) -> str:
    """Judge the times of a file without its ground truth.

    Returns:
        "" or a sentence.
    """
    if not len(predictions):
        return ""
    ends = predictions.end_s
    if ends.max() <= FRACTION_LIMIT:
        return "times look like fractions, not seconds: no prediction ends after 1"
    whole = (ends % 1 == 0).all() and (predictions.start_s % 1 == 0).all()
    if whole and len(ends) >= FEWEST_WHOLE_NUMBERS and ends.max() > FEWEST_WHOLE_NUMBERS:
        return "times look like frame numbers, not seconds: all are whole numbers"
    return ""
