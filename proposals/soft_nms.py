"""Soft non-maximum suppression of temporal proposals."""

from __future__ import annotations

from bisect import bisect_left

import numpy as np
from numpy.typing import ArrayLike

TIE = 1e-12
"""Scores are equal if alpha * log(score) differs by no more: that is rounding."""
ZERO_SCORE = -1e300
"""Stands for alpha * log(0): below every other score, above what is taken."""


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
    """Pick the best proposal again and again, each time lowering the scores of those that overlap
    it.

    A picked proposal m multiplies the score of every other proposal j by exp(-IoU(m, j) **
    iou_power / alpha) if IoU(m, j) > low_threshold + (high_threshold - low_threshold) * width(m).
    The pick ends with `max_proposals` or when all are picked.

    Source: Soft-NMS (Bodla et al., ICCV 2017) as BMN uses it, with the width-dependent threshold of
    the released code (TAdaConv `tal_tools.py`, JJBOY `post_processing.py`). Differences: the last
    remaining proposal is kept (the loop `while len > 1` of that code drops it, and fails on a
    single one); scores that are equal up to rounding are picked in the order of the undecayed
    scores, those that were equal then in the order of the input (that code's sort is not stable);
    scores too small for a float still have their order.

    Args:
        segments: (n, 2) start and end as fractions of the video: the thresholds depend on the
            width.
        scores: (n,).
        alpha: decay constant, finite, > 0; smaller suppresses more.
        low_threshold: IoU threshold at width 0.
        high_threshold: IoU threshold at width 1.
        iou_power: exponent of the IoU in the decay, > 0.
        max_proposals: at most so many are returned, >= 1.

    Returns:
        Indices of the kept proposals (k,) int64 and their decayed scores (k,) float64, in the order
        in which they were picked, which is by decayed score, descending.

    Raises:
        ValueError: if shapes do not fit, a value is not finite, a score is negative, an end lies
            before its start, or alpha, iou_power or max_proposals is out of range.

    >>> settings = dict(alpha=0.4, low_threshold=0.25, high_threshold=0.9, max_proposals=10)
    >>> kept, scores = soft_nms([[0.1, 0.3], [0.1, 0.28], [0.6, 0.7]], [0.9, 0.8, 0.5], **settings)
    >>> print(kept, scores.round(3))
    [0 2 1] [0.9   0.5   0.106]
    """
    segments, scores = _checked(segments, scores, alpha, iou_power, max_proposals)
    pool = _Pool(segments, scores, alpha)
    picked: list[int] = []
    while len(picked) < min(max_proposals, len(scores)):
        best = pool.take_best()
        picked.append(best)
        near, iou = pool.overlaps(best)
        penalty = _power(iou, iou_power)
        threshold = low_threshold + (high_threshold - low_threshold) * pool.widths[best]
        if threshold > 0:
            penalty *= iou > threshold
        pool.log_scores[near] -= penalty
    return pool.input_rows[picked], pool.decayed_scores(picked)


class _Pool:
    """Proposals by start, so that those that can overlap a short one of a long video stand side by
    side.

    Scores are kept as alpha * log(score): a decay subtracts IoU ** iou_power, and no score
    underflows.
    """

    def __init__(self, segments: np.ndarray, scores: np.ndarray, alpha: float) -> None:
        self.input_rows = np.argsort(segments[:, 0])
        self.starts, self.ends = segments[self.input_rows].T.copy()
        self.undecayed, self.alpha = scores[self.input_rows], alpha
        with np.errstate(divide="ignore"):
            self.undecayed_log = np.maximum(alpha * np.log(self.undecayed), ZERO_SCORE)
        self.log_scores = self.undecayed_log.copy()
        self.widths = self.ends - self.starts
        self.union_widths = self.widths + np.finfo(np.float64).tiny  # so that an IoU of two empty ones is 0
        self.reach = self.widths.max(initial=0.0) * (1 + 1e-9)  # for rounding
        self.overlap, self.union = np.empty((2, len(scores)))
        self.start_list = self.starts.tolist()
        self.taken_logs: list[float] = []

    def take_best(self) -> int:
        """Take out the highest score; among equals the one higher before any decay, else the
        first of the input."""
        best = int(self.log_scores.argmax())
        log_score = float(self.log_scores[best])
        self.log_scores[best] = -np.inf
        if self.log_scores[self.log_scores.argmax()] >= log_score - TIE:
            self.log_scores[best] = log_score
            (equals,) = (self.log_scores >= log_score - TIE).nonzero()
            best = int(equals[np.lexsort((self.input_rows[equals], -self.undecayed[equals]))[0]])
            log_score = float(self.log_scores[best])
            self.log_scores[best] = -np.inf
        self.taken_logs.append(log_score)
        return best

    def overlaps(self, index: int) -> tuple[slice, np.ndarray]:
        """Return where those that may overlap a proposal are, itself among them, and their IoU with
        it.

        They start before its end and, being no wider than the widest, not long before its start.
        """
        start, end = self.start_list[index], self.ends[index]
        first, last = bisect_left(self.start_list, start - self.reach), bisect_left(self.start_list, end)
        near, n_earlier = slice(first, last), index - first
        overlap = np.minimum(self.ends[near], end, out=self.overlap[: last - first])
        earlier, later = overlap[:n_earlier], overlap[n_earlier:]
        earlier -= start
        np.maximum(earlier, 0.0, out=earlier)
        later -= self.starts[index:last]
        union = np.add(self.union_widths[near], self.widths[index], out=self.union[: last - first])
        union -= overlap
        overlap /= union
        return near, overlap

    def decayed_scores(self, taken: list[int]) -> np.ndarray:
        """Scores at the moment of each pick, exactly the undecayed one where nothing overlapped."""
        decay = np.exp((np.array(self.taken_logs) - self.undecayed_log[taken]) / self.alpha)
        return np.minimum.accumulate(self.undecayed[taken] * decay)  # ties up to rounding must not rise


def _power(base: np.ndarray, exponent: float) -> np.ndarray:
    """base ** exponent; square roots are five times faster than the general power, most of the
    time for HACS."""
    if exponent != 2.5:
        return np.asarray(base**exponent)
    power = np.sqrt(base)
    power *= base
    power *= base
    return power


def _checked(
    segments: ArrayLike, scores: ArrayLike, alpha: float, iou_power: float, max_proposals: int
) -> tuple[np.ndarray, np.ndarray]:
    if not (0 < alpha < np.inf and iou_power > 0 and max_proposals >= 1):
        raise ValueError(
            "soft_nms needs a finite alpha > 0, iou_power > 0 and max_proposals >= 1, got "
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
