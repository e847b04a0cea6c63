"""Uncertainty of detections, stretch by stretch: pure arithmetic on segments and scores."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CELL_S = 0.5
"""Length of the cells in which uncertainty is looked at."""


@dataclass(frozen=True)
class Stretch:
    """A part of a video, and what labelling it is worth, in [0, 1]."""

    video_id: str
    start_s: float
    end_s: float
    value: float = 0.0


def uncertain_stretches(
    video_id: str,
    duration_s: float,
    length_s: float,
    segments_s: NDArray[np.float64],
    scores: NDArray[np.float64],
    labels: Sequence[str],
) -> list[Stretch]:
    """Divide a video into stretches of about some length, each with its mean uncertainty.

    Args:
        video_id: of the video.
        duration_s: of the video.
        length_s: of a stretch, about.
        segments_s: (n, 2) of its detections.
        scores: (n,), taken as probabilities.
        labels: n class names.
    """
    _, classes = np.unique(np.array(labels, dtype=object).astype(str), return_inverse=True)
    n_cells = max(math.ceil(duration_s / CELL_S), 1)
    best = cell_scores(segments_s, scores, classes.astype(np.int64), n_cells)
    return valued(stretches_of(video_id, duration_s, length_s), uncertainty(best))


def cell_scores(
    segments_s: NDArray[np.float64], scores: NDArray[np.float64], classes: NDArray[np.int64], n_cells: int
) -> NDArray[np.float64]:
    """Best score of every class in each cell.

    Args:
        segments_s: (n, 2) of the detections.
        scores: (n,), taken as probabilities, cut to [0, 1].
        classes: (n,) 0 to K - 1.
        n_cells: T, each `CELL_S` long.

    Returns:
        (T, K), 0 where a class was not found; K is 1 at least.
    """
    best = np.zeros((n_cells, max(int(classes.max(initial=0)) + 1, 1)))
    edges = np.clip(np.ceil(segments_s / CELL_S - 0.5), 0, n_cells).astype(np.int64)
    for (first, stop), score, number in zip(
        edges.tolist(), scores.clip(0, 1).tolist(), classes.tolist(), strict=True
    ):
        np.maximum(best[first:stop, number], score, out=best[first:stop, number])
    return best


def uncertainty(best_TK: NDArray[np.float64]) -> NDArray[np.float64]:
    """Uncertainty of each cell, the larger of two reasons: (T,) in [0, 1].

    a) Is there something? The entropy, in bits, of the best score p: 1 at p = 0.5, 0 where the
        model is sure.
    b) What is it? Twice the second class's score: 1 where two classes are both at 0.5.

    >>> uncertainty(np.array([[0.5, 0.0], [1.0, 0.25], [0.0, 0.0]])).tolist()
    [1.0, 0.5, 0.0]
    """
    ordered = np.sort(
        np.pad(best_TK, ((0, 0), (1, 0))), axis=1
    )  # a class of score 0, where there is one only
    best, second = ordered[:, -1], ordered[:, -2]
    safe = best.clip(1e-12, 1 - 1e-12)
    entropy = -(safe * np.log2(safe) + (1 - safe) * np.log2(1 - safe))
    answer: NDArray[np.float64] = np.maximum(entropy, 2 * second).clip(0, 1).round(9)
    return answer


def stretches_of(video_id: str, duration_s: float, length_s: float) -> list[Stretch]:
    """Divide a video into equal stretches of about some length.

    >>> [(s.start_s, s.end_s) for s in stretches_of("a", 25.0, 10.0)]
    [(0.0, 12.5), (12.5, 25.0)]
    """
    count = max(round(duration_s / length_s), 1)
    edges = np.linspace(0.0, duration_s, count + 1).tolist()
    return [Stretch(video_id, start_s, end_s) for start_s, end_s in itertools.pairwise(edges)]


def valued(stretches: Sequence[Stretch], uncertainty_T: NDArray[np.float64]) -> list[Stretch]:
    """Give each stretch of a video the mean uncertainty of the cells whose middle it has."""
    middles_s = (np.arange(len(uncertainty_T)) + 0.5) * CELL_S
    answer = []
    for stretch in stretches:
        inside = (middles_s >= stretch.start_s) & (middles_s < stretch.end_s)
        value = float(uncertainty_T[inside].mean()) if inside.any() else 0.0
        answer.append(Stretch(stretch.video_id, stretch.start_s, stretch.end_s, value))
    return answer
