"""Soft non-maximum suppression of temporal proposals."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def soft_nms(
    segments: ArrayLike,
    scores: ArrayLike,
    *,
    alpha: float,
    low_threshold: float,
    high_threshold: float,
    iou_power: float = 2.0,
    max_proposals: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Pick the best proposal again and again, each time lowering the scores of those that overlap it.

    A picked proposal m multiplies the score of every other proposal j by exp(-IoU(m, j) ** iou_power / alpha)
    if IoU(m, j) > low_threshold + (high_threshold - low_threshold) * width(m). The pick ends with
    `max_proposals` or when all are picked.

    Source: Soft-NMS (Bodla et al., ICCV 2017) as BMN uses it, with the width-dependent threshold of the
    released code (TAdaConv `tal_tools.py`, JJBOY `post_processing.py`). Differences: the last remaining
    proposal is kept (the loop `while len > 1` of that code drops it, and fails on a single one); equal
    scores are picked in the order of the undecayed scores, those that were equal then in the order of the input
    (that code's sort is not stable).

    Args:
        segments: (n, 2) start and end as fractions of the video: the thresholds depend on the width.
        scores: (n,).
        alpha: decay constant, > 0; smaller suppresses more.
        low_threshold: IoU threshold at width 0.
        high_threshold: IoU threshold at width 1.
        iou_power: exponent of the IoU in the decay, > 0.
        max_proposals: at most so many are returned, >= 1.

    Returns:
        Indices of the kept proposals (k,) int64 and their decayed scores (k,) float64, in the order in which
        they were picked, which is by decayed score, descending.

    Raises:
        ValueError: if shapes do not fit, a value is not finite, a score is negative, an end lies before its
            start, or alpha, iou_power or max_proposals is out of range.

    >>> settings = dict(alpha=0.4, low_threshold=0.25, high_threshold=0.9, max_proposals=10)
    >>> kept, scores = soft_nms([[0.1, 0.3], [0.1, 0.28], [0.6, 0.7]], [0.9, 0.8, 0.5], **settings)
    >>> print(kept, scores.round(3))
    [0 2 1] [0.9   0.5   0.106]
    """
    segments, scores = _checked(segments, scores, alpha, iou_power, max_proposals)
    # By start, the proposals that can overlap a short one of a long video stand side by side.
    by_start = np.argsort(segments[:, 0], kind="stable")
    pool = _Pool(segments[by_start], scores[by_start], by_start)
    picked: list[int] = []
    picked_scores: list[float] = []
    while len(picked) < min(max_proposals, len(scores)):
        best = pool.best()
        picked.append(best)
        picked_scores.append(float(pool.decayed[best]))
        near, iou = pool.take(best)
        threshold = low_threshold + (high_threshold - low_threshold) * pool.widths[best]
        (overlapping,) = (iou > threshold).nonzero()
        pool.decayed[near][overlapping] *= np.exp(_power(iou[overlapping], iou_power) / -alpha)
    return by_start[picked], np.array(picked_scores)


class _Pool:
    """Proposals by start; those that are picked have a score of minus infinity and no length."""

    def __init__(self, segments: np.ndarray, scores: np.ndarray, input_rows: np.ndarray) -> None:
        self.starts, self.ends = segments.T.copy()
        self.widths = self.ends - self.starts
        self.reach = self.widths.max(initial=0.0) * (1 + 1e-9)  # for rounding
        self.undecayed, self.decayed, self.input_rows = scores, scores.copy(), input_rows

    def best(self) -> int:
        """The highest score; among equals the one that was higher before any decay, else the first of the input."""
        best = int(self.decayed.argmax())
        (equals,) = (self.decayed == self.decayed[best]).nonzero()
        if len(equals) > 1:
            best = int(equals[np.lexsort((self.input_rows[equals], -self.undecayed[equals]))[0]])
        return best

    def take(self, index: int) -> tuple[slice, np.ndarray]:
        """Take a proposal out; return where those that may overlap it are, and their IoU with it.

        They start before its end and, being no wider than the widest, not long before its start. The IoU is 0
        where both have no width, and for what was taken out.
        """
        start, end, width = self.starts[index], self.ends[index], self.widths[index]
        self.ends[index], self.decayed[index] = -np.inf, -np.inf
        first, last = self.starts.searchsorted((start - self.reach, end))
        near = slice(first, last)
        overlap = np.minimum(self.ends[near], end)
        overlap -= np.maximum(self.starts[near], start)
        np.maximum(overlap, 0.0, out=overlap)
        union = self.widths[near] + width
        union -= overlap
        np.maximum(union, np.finfo(np.float64).tiny, out=union)
        overlap /= union
        return near, overlap


def _power(base: np.ndarray, exponent: float) -> np.ndarray:
    """base ** exponent; square roots are five times faster than the general power, most of the time for HACS."""
    return base * base * np.sqrt(base) if exponent == 2.5 else base**exponent


def _checked(
    segments: ArrayLike, scores: ArrayLike, alpha: float, iou_power: float, max_proposals: int
) -> tuple[np.ndarray, np.ndarray]:
    if not (alpha > 0 and iou_power > 0 and max_proposals >= 1):
        raise ValueError(
            "soft_nms needs alpha > 0, iou_power > 0 and max_proposals >= 1, got "
            f"alpha={alpha}, iou_power={iou_power}, max_proposals={max_proposals}"
        )
    score_array = np.asarray(scores, dtype=np.float64)
    segment_array = np.asarray(segments, dtype=np.float64)
    if score_array.shape == (0,) and segment_array.size == 0:
        return np.zeros((0, 2)), score_array
    if score_array.ndim != 1 or segment_array.shape != (len(score_array), 2):
        raise ValueError(
            f"expected segments (n, 2) and scores (n,), got {segment_array.shape} and {score_array.shape}"
        )
    if not (np.isfinite(segment_array).all() and np.isfinite(score_array).all() and score_array.min() >= 0):
        raise ValueError("segments and scores must be finite and scores must not be negative")
    if np.any(segment_array[:, 1] < segment_array[:, 0]):
        worst = int(np.argmax(segment_array[:, 0] - segment_array[:, 1]))
        raise ValueError(f"proposal {worst} ends before it starts: {segment_array[worst].tolist()}")
    return segment_array, score_array
