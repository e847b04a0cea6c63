"""Labels for the proposals of one video, and their scores. Arithmetic only.

Source: the HACS post-processing of TCANet (Qing et al. 2021, `save_detection_result`), to which the TAda paper
refers: class probabilities of the whole video, its best classes multiplied onto every proposal.
"""

from __future__ import annotations

import numpy as np


def features_inside(times_s: np.ndarray, segments_s: np.ndarray) -> np.ndarray:
    """Mark the features whose time lies inside any of some segments.

    A segment so short that no feature falls into it takes the one nearest to its middle.

    Args:
        times_s: (T,) times of the features, T >= 1.
        segments_s: (n, 2).

    Returns:
        Boolean array (T,); all True where there is no segment, so that a video always has a class.
    """
    if len(segments_s) == 0:
        return np.ones(len(times_s), dtype=bool)
    inside = np.zeros(len(times_s), dtype=bool)
    for start_s, end_s in segments_s:
        covered = (times_s >= start_s) & (times_s <= end_s)
        if not covered.any():
            covered[np.argmin(np.abs(times_s - (start_s + end_s) / 2))] = True
        inside |= covered
    return inside


def class_probabilities(logits: np.ndarray, temperature: float) -> np.ndarray:
    """Return softmax(temperature * logits) of one video's logits (K,).

    >>> class_probabilities(np.array([0.0, 0.0]), 2.0)
    array([0.5, 0.5])
    """
    scaled = temperature * (logits - logits.max())
    exponential = np.exp(scaled)
    return exponential / exponential.sum()


def label_proposals(
    segments_s: np.ndarray,
    scores: np.ndarray,
    probabilities: np.ndarray,
    *,
    top_classes: int,
    max_detections: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Give every proposal the best classes of its video and keep the best detections.

    Args:
        segments_s: (n, 2) proposals in seconds.
        scores: (n,) their scores.
        probabilities: (K,) of the video's classes.
        top_classes: classes per proposal.
        max_detections: detections kept.

    Returns:
        segments_s (m, 2), scores (m,) = class probability * proposal score, classes (m,), by score, descending;
        equal scores in the order class rank, then proposal.
    """
    classes = np.argsort(-probabilities, kind="stable")[:top_classes]
    products = probabilities[classes][:, None] * scores[None, :]  # classes x proposals
    order = np.argsort(-products, axis=None, kind="stable")[:max_detections]
    rank, proposal = np.divmod(order, max(len(scores), 1))
    return segments_s[proposal], products.ravel()[order], classes[rank]
