"""Class probabilities of proposals from logits over time: sampled evenly over each proposal, and
averaged.

Axes: T rows of logits in time, R crops of a frame, K classes, N proposals, S samples of each, P
points of a sample.

Source: the classification maps of the TAdaConv code (`bmn_head.py`, boundary ratio 0). Its points
lie evenly from the middle of a proposal's first cell to the middle of its last; three neighbours
make a sample, whose logits are the mean of theirs, and the probabilities of six samples are
averaged. There each sliding window makes a map of all possible proposals, and the maps of windows
are averaged; here the proposals that are left after the soft-NMS are sampled once, at their own
place.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

POINTS_PER_SAMPLE = 3
_PROPOSALS_AT_ONCE = 64
"""18 points of 3 crops and 300 classes are 4 MB then."""


def sample_times(segments_s: NDArray[np.float64], count: int, inset_s: float) -> NDArray[np.float64]:
    """Return evenly spaced times of each proposal, the outer ones a little inside its ends.

    Args:
        segments_s: (N, 2).
        count: times of each; a single one lies in the middle.
        inset_s: from an end to the outermost time, at most half the proposal.

    Returns:
        (N, count) seconds, increasing.

    >>> sample_times(np.array([[2.0, 5.0]]), 3, 0.5)
    array([[2.5, 3.5, 4.5]])
    """
    start_s, end_s = segments_s[:, :1], segments_s[:, 1:]
    inset = np.minimum(inset_s, (end_s - start_s) / 2)
    share = np.linspace(0.0, 1.0, count) if count > 1 else np.array([0.5])
    return start_s + inset + share * (end_s - start_s - 2 * inset)


def sampled_probabilities(
    logits_TRK: NDArray[np.floating],
    times_s: NDArray[np.float64],
    points_NSP: NDArray[np.float64],
    temperature: float,
) -> NDArray[np.float64]:
    """Return the mean of softmax(temperature * logits) over the samples and crops of each proposal.

    Args:
        logits_TRK: rows of a video, T >= 1.
        times_s: (T,) their times, increasing.
        points_NSP: seconds; logits are interpolated linearly, held before the first and after the
            last row, and averaged over the points of a sample.
        temperature: > 0.

    Returns:
        (N, K) probabilities.
    """
    position_NSP = np.interp(points_NSP, times_s, np.arange(len(times_s)))
    parts = [
        _mean_softmax(temperature * _rows_at(logits_TRK, position_NSP[first : first + _PROPOSALS_AT_ONCE]))
        for first in range(0, len(position_NSP), _PROPOSALS_AT_ONCE)
    ]
    return np.concatenate([np.zeros((0, logits_TRK.shape[2])), *parts])


def _rows_at(logits_TRK: NDArray[np.floating], position_NSP: NDArray[np.float64]) -> NDArray[np.floating]:
    """Interpolate, and average over the points of a sample: (N, S, R, K)."""
    lower = position_NSP.astype(np.int64)
    upper = np.minimum(lower + 1, len(logits_TRK) - 1)
    weight = (position_NSP - lower)[..., None, None].astype(logits_TRK.dtype)
    logits_NSPRK = logits_TRK[lower] * (1 - weight) + logits_TRK[upper] * weight
    return logits_NSPRK.mean(axis=2)


def _mean_softmax(logits_NSRK: NDArray[np.floating]) -> NDArray[np.float64]:
    logits = logits_NSRK.astype(np.float64)
    exponential = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return (exponential / exponential.sum(axis=-1, keepdims=True)).mean(axis=(1, 2))
