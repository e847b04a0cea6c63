"""Expected length of imported features, and the share of the ground truth that their grid can
express."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from video_datasets.time_grid import TimeGrid, num_grid_frames

MAX_GAP_S = 1.0
MAX_GAP_SHARE = 0.02
"""How far features may be from their video's length before it is said; whichever is larger."""


def expected_features(grid: TimeGrid, duration_s: float) -> int:
    """Count the features of a video by the grid's convention.

    >>> expected_features(TimeGrid(fps=30, stride_frames=16), 92.166667)
    173
    """
    return grid.num_features(num_grid_frames(duration_s, grid.fps))


def length_fits(grid: TimeGrid, found: int, duration_s: float) -> bool:
    """Say whether the number of features is near the expected one: within 1 s or 2 % of the
    video."""
    gap_s = abs(found - expected_features(grid, duration_s)) * grid.stride_frames / grid.fps
    return gap_s <= max(MAX_GAP_S, MAX_GAP_SHARE * duration_s)


def covered_s(grid: TimeGrid, num_features: int) -> float:
    """Estimate the duration of a video from its features: what their clips or their cells cover."""
    frames = num_features * grid.stride_frames
    if grid.convention == "no_padding" and num_features:
        frames += grid.clip_span_frames - grid.stride_frames
    return frames / grid.fps


def cell_borders_s(grid: TimeGrid, num_features: int) -> NDArray[np.float64]:
    """Borders of the features' cells, shape (T + 1,): half a stride to either side of every time.

    >>> cell_borders_s(TimeGrid(fps=30, stride_frames=15), 3)
    array([0. , 0.5, 1. , 1.5])
    """
    return grid.feature_to_seconds(np.arange(num_features + 1) - 0.5)


def best_grid_tiou(segments_s: ArrayLike, borders_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Highest tIoU of each segment with any stretch from one cell border to a later one.

    Of the borders only those just below and just above each end of the segment matter, since moving
    an end of the stretch further away lowers the tIoU.

    Args:
        segments_s: (n, 2), start < end.
        borders_s: increasing, at least two.

    Returns:
        float64 of shape (n,), in [0, 1].

    >>> best_grid_tiou([[0.1, 0.9], [0.0, 1.5]], np.array([0.0, 0.5, 1.0, 1.5]))
    array([0.8, 1. ])
    """
    segments = np.asarray(segments_s, dtype=np.float64).reshape(-1, 2)
    above = np.clip(np.searchsorted(borders_s, segments, side="left"), 1, len(borders_s) - 1)  # n x 2
    best = np.zeros(len(segments))
    for start in (above[:, 0] - 1, above[:, 0]):
        for end in (above[:, 1] - 1, above[:, 1]):
            tiou = _tiou(segments, borders_s[start], borders_s[end])
            best = np.maximum(best, np.where(start < end, tiou, 0.0))
    return best


def _tiou(
    segments: NDArray[np.float64], start: NDArray[np.float64], end: NDArray[np.float64]
) -> NDArray[np.float64]:
    common = np.maximum(0.0, np.minimum(segments[:, 1], end) - np.maximum(segments[:, 0], start))
    union = (segments[:, 1] - segments[:, 0]) + (end - start) - common
    return np.divide(common, union, out=np.zeros_like(common), where=union > 0)


def likely_stride(grid: TimeGrid, found: ArrayLike, expected: ArrayLike) -> int | None:
    """Return the stride that the lengths speak for, None if it is the grid's own.

    Args:
        grid: as assumed.
        found: features of each video, at least one of one video.
        expected: features of each video by the grid.
    """
    ratio = float(np.median(np.asarray(found) / np.maximum(1, np.asarray(expected))))
    return None if math.isclose(ratio, 1.0, abs_tol=0.1) else max(1, round(grid.stride_frames / ratio))
