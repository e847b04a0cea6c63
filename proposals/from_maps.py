"""All steps from the maps of one video to its proposals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from proposals.candidates import candidate_pairs
from proposals.scoring import proposal_scores
from proposals.soft_nms import soft_nms


@dataclass(frozen=True, kw_only=True)
class ProposalConstants:
    """Scoring, selection and soft-NMS of proposals; defaults are those for HACS (Qing et al. 2021c).

    For EPIC-KITCHENS-100 the TAdaConv code has low_threshold 0.25, high_threshold 0.9, iou_power 2.0 and
    int(duration_s) + 1 proposals a video.
    """

    peak_share: float = 0.5
    """A start or end above this share of the largest probability is a candidate without being a peak."""
    cls_power: float = 1.2
    """Exponent of the classification confidence."""
    reg_power: float = 1.0
    """Exponent of the regression confidence."""
    select_score: float = 0.0
    """Only candidates that score higher enter the soft-NMS."""
    alpha: float = 0.4
    """Decay constant of the soft-NMS."""
    low_threshold: float = 0.0
    """IoU threshold of the soft-NMS for proposals of width 0."""
    high_threshold: float = 0.0
    """IoU threshold for proposals as wide as the video."""
    iou_power: float = 2.5
    """Exponent of the IoU in the decay."""
    max_proposals: int = 100
    """Proposals kept of a video."""


def proposals_from_maps(
    start: np.ndarray,
    end: np.ndarray,
    confidence_map: np.ndarray,
    duration_s: float,
    constants: ProposalConstants,
    *,
    span_s: float | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Find the proposals of one video: candidates, scores, selection, soft-NMS.

    Args:
        start: start probabilities (T,).
        end: end probabilities (T,).
        confidence_map: (2, D, T), channel 0 = regression, 1 = classification.
        duration_s: length of the video.
        constants: see `ProposalConstants`.
        span_s: time that the T positions cover. None: `duration_s`, as for a video that was rescaled to T
            positions. Grids of fixed cells are T * cell_s long, which may exceed the video by part of a cell;
            the TAdaConv code takes the duration there, too, which moves late proposals by up to that part.

    Returns:
        segments_s (k, 2) within [0, duration_s] and scores (k,), float64, by score, descending. k is 0 if no
        candidate passes the selection.

    Raises:
        ValueError: if shapes do not fit, values are not finite, or a time is not positive.
    """
    span_s = duration_s if span_s is None else span_s
    if not (np.isfinite([duration_s, span_s]).all() and duration_s > 0 and span_s > 0):
        raise ValueError(f"duration_s and span_s must be positive, got {duration_s} and {span_s}")
    candidates = candidate_pairs(start, end, confidence_map, constants.peak_share)
    scores = proposal_scores(
        candidates.cls_score,
        candidates.reg_score,
        cls_power=constants.cls_power,
        reg_power=constants.reg_power,
    )
    # A candidate that starts after the video's end would be empty once clipped.
    selected = (scores > constants.select_score) & (candidates.segments[:, 0] * span_s < duration_s)
    segments = candidates.segments[selected]
    kept, kept_scores = soft_nms(
        segments,
        scores[selected],
        alpha=constants.alpha,
        low_threshold=constants.low_threshold,
        high_threshold=constants.high_threshold,
        iou_power=constants.iou_power,
        max_proposals=constants.max_proposals,
    )
    return np.minimum(segments[kept] * span_s, duration_s), kept_scores
