"""Candidate segments: pairs of a likely start and a likely end.

Axes: T positions, D durations. Cell (d, t) of the map is the segment [t / T, (t + d + 1) / T].
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class CandidatePairs(NamedTuple):
    """Columns over the candidates, ordered by duration, then by start."""

    start_index: np.ndarray
    """(n,) int: t."""
    end_index: np.ndarray
    """(n,) int: t + d + 1, at most T - 1."""
    segments: np.ndarray
    """(n, 2) float64: start and end as fractions of the map's span."""
    start_score: np.ndarray
    """(n,) start probability at t."""
    end_score: np.ndarray
    """(n,) end probability at t + d + 1."""
    cls_score: np.ndarray
    """(n,) IoU by classification, channel 1 of the confidence map."""
    reg_score: np.ndarray
    """(n,) IoU by regression, channel 0."""


def candidate_pairs(
    start: np.ndarray, end: np.ndarray, confidence_map: np.ndarray, peak_share: float = 0.5
) -> CandidatePairs:
    """Pair every candidate start with every candidate end within reach of the map.

    Source: BMN (Lin et al., ICCV 2019), Sec. 5.2; rules of the TAdaConv code (`tal_tools.py`):

    a) position 0 is always a candidate start, position T - 1 always a candidate end;
    b) a position inside (1 ... T - 2) is a candidate if it is strictly higher than both neighbours
       or exceeds half of the sequence's maximum (`peak_share` of it);
    c) the end's probability is read at position t + d + 1, which has to exist: no candidate ends at
        T.

    Args:
        start: start probabilities (T,).
        end: end probabilities (T,).
        confidence_map: (2, D, T), channel 0 = regression, 1 = classification.
        peak_share: share of the largest probability above which a position need not be a peak.

    Returns:
        The candidates; none if T < 2.

    Raises:
        ValueError: if the shapes do not fit each other or a value is not finite.
    """
    _check_maps(start, end, confidence_map)
    _, dscale, tscale = confidence_map.shape
    is_start, is_end = _peaks(start, peak_share), _peaks(end, peak_share)
    is_start[0], is_end[-1] = True, True

    end_index_DT = np.arange(1, dscale + 1)[:, None] + np.arange(tscale)
    inside_DT = end_index_DT < tscale
    paired_DT = inside_DT & is_start & is_end[np.where(inside_DT, end_index_DT, 0)]
    duration_index, start_index = np.nonzero(paired_DT)
    end_index = start_index + duration_index + 1
    reg_score, cls_score = confidence_map[:, duration_index, start_index]
    segments = np.stack([start_index, end_index], axis=1) / tscale
    return CandidatePairs(
        start_index, end_index, segments, start[start_index], end[end_index], cls_score, reg_score
    )


def _peaks(probability: np.ndarray, peak_share: float) -> np.ndarray:
    """Rule b), False at both ends of the sequence."""
    peaks = np.zeros(len(probability), dtype=bool)
    inner = probability[1:-1]
    is_highest = (inner > probability[:-2]) & (inner > probability[2:])
    peaks[1:-1] = is_highest | (inner > peak_share * probability.max())
    return peaks


def _check_maps(start: np.ndarray, end: np.ndarray, confidence_map: np.ndarray) -> None:
    shapes = start.shape, end.shape, confidence_map.shape
    tscale = start.shape[0] if start.ndim == 1 else 0
    fits = end.shape == (tscale,) and confidence_map.ndim == 3 and confidence_map.shape[::2] == (2, tscale)
    if not tscale or not fits:
        raise ValueError(
            f"expected start (T,), end (T,) and confidence_map (2, D, T) with T >= 1, got {shapes}"
        )
    for name, values in (("start", start), ("end", end), ("confidence_map", confidence_map)):
        if not np.isfinite(values).all():
            raise ValueError(f"{name} contains nan or infinity; check the features and weights it came from")
