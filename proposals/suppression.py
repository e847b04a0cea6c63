"""Suppression of a head's candidates, with the settings of the run."""

from __future__ import annotations

import numpy as np

from proposals.gaussian_nms import gaussian_soft_nms
from proposals.soft_nms import soft_nms
from runtime.sections import RunConfig
from video_datasets.predictions import Candidates


def suppress_by_width(candidates: Candidates, config: RunConfig) -> Candidates:
    """Keep the best candidates by soft-NMS whose threshold grows with the width: section
    `proposals`.

    Returns:
        By score, descending.
    """
    settings = config.proposals
    kept, scores = soft_nms(
        candidates.segments,
        candidates.scores,
        alpha=settings.soft_nms_alpha,
        low_threshold=settings.soft_nms_low_threshold,
        high_threshold=settings.soft_nms_high_threshold,
        iou_power=settings.soft_nms_iou_power,
        max_proposals=settings.kept(candidates.duration_s),
    )
    classes = None if candidates.classes is None else candidates.classes[kept]
    return candidates._replace(segments=candidates.segments[kept], scores=scores, classes=classes)


def suppress_by_class(candidates: Candidates, config: RunConfig) -> Candidates:
    """Keep the best candidates by Gaussian soft-NMS, class by class or all together: section
    `one_stage`.

    Returns:
        By score, descending.
    """
    settings = config.one_stage
    classes = candidates.classes
    kept = gaussian_soft_nms(
        candidates.segments,
        candidates.scores,
        np.zeros(len(candidates.scores), dtype=np.int64) if classes is None else classes,
        sigma=settings.soft_nms_sigma,
        min_score=settings.min_score,
        max_segments=settings.max_segments,
        per_class=settings.per_class,
        voting_threshold=settings.voting_threshold,
    )
    labels = None if classes is None else kept.labels
    return candidates._replace(segments=kept.segments, scores=kept.scores, classes=labels)
