"""Segments that a classifier of proposals learns from: the labelled ones, moved ones, and
background.

Proposals are never exact, and many are false. So each labelled segment also comes shifted and
stretched a little, with its label, and for each there are segments that overlap no labelled one by
more than a third: background.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from video_datasets.watched import lies_inside

MOVED = 2
"""Moved copies of each labelled segment."""
MOVED_SHARE = 0.15
"""Largest shift of a start or an end, as a share of the segment's length: tIoU at least 0.7 /
1.3."""
TRIES = 6
"""Random segments drawn for each labelled one; those that are background stay."""
NOTHING = np.zeros((0, 2))
LARGEST_TIOU = 0.3
"""Overlap with a labelled segment up to which a random one is background."""


class TrainingSegments(NamedTuple):
    """Of one video."""

    segments_s: NDArray[np.float64]
    """(N, 2)."""
    row: NDArray[np.int64]
    """(N,) position of the labelled segment whose label it has; -1 for background."""


def draw_training_segments(
    labelled_s: NDArray[np.float64],
    duration_s: float,
    generator: np.random.Generator,
    watched_s: NDArray[np.float64] = NOTHING,
) -> TrainingSegments:
    """Draw what one video teaches.

    Args:
        labelled_s: (n, 2), n >= 1.
        duration_s: of the video.
        generator: source of randomness.
        watched_s: (m, 2) stretches outside of which nothing is known, so no background either; m =
            0: there is no such.
    """
    count = len(labelled_s)
    lengths_s = np.diff(labelled_s)[:, 0]
    shift = generator.uniform(-MOVED_SHARE, MOVED_SHARE, (MOVED, count, 2)) * lengths_s[:, None]
    moved_s = (labelled_s + shift).clip(0.0, duration_s).reshape(-1, 2)
    width_s = np.minimum(np.tile(lengths_s, TRIES) * generator.uniform(0.3, 2.0, TRIES * count), duration_s)
    start_s = generator.uniform(0.0, 1.0, TRIES * count) * (duration_s - width_s)
    random_s = np.stack([start_s, start_s + width_s], axis=1)
    is_background = _tiou(random_s, labelled_s).max(axis=1) <= LARGEST_TIOU
    background_s = random_s[is_background & lies_inside(random_s, watched_s)]
    rows = np.tile(np.arange(count), MOVED + 1)
    return TrainingSegments(
        np.concatenate([labelled_s, moved_s, background_s]),
        np.concatenate([rows, np.full(len(background_s), -1)]),
    )


def _tiou(one_s: NDArray[np.float64], other_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Overlap of each with each, (n, m)."""
    shared = np.minimum(one_s[:, None, 1], other_s[:, 1]) - np.maximum(one_s[:, None, 0], other_s[:, 0])
    shared = shared.clip(0.0)
    joined = np.diff(one_s) + np.diff(other_s)[:, 0] - shared
    tiou: NDArray[np.float64] = shared / np.maximum(joined, 1e-12)
    return tiou
