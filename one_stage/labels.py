"""Labels of one-stage heads: class and boundaries of the segment that each point of the pyramid
answers for.

    rows            0   1   2   3   4   5   6   7          the features of a video or crop
    level 0, s = 1  .   .   .   .   .   .   .   .          a point of level l lies at every s = 2^l-th row,
    level 1, s = 2  .       .       .       .              without a shift by half a stride
    level 2, s = 4  .               .
    segment            [-----c-----]                       its centre region: c +- 1.5 s, cut to the segment

A segment may begin before row 0 and end behind the last: rows are a unit of time.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

CENTRE_RADIUS = 1.5
"""In strides of the level."""
EQUAL_LENGTHS = 1e-3
"""Segments whose lengths differ by less share their classes."""
Ranges = Sequence[tuple[float, float]]


def pyramid_points(length: int, ranges: Ranges) -> NDArray[np.float32]:
    """List the points of all levels, finest first.

    Args:
        length: rows T of the finest level.
        ranges: for every level, the nearest and farthest reach of its points, in rows.

    Returns:
        (P, 4): row, nearest, farthest, stride.

    >>> pyramid_points(3, [(0, 4), (4, 10000)])[:, 0].tolist()
    [0.0, 1.0, 2.0, 0.0, 2.0]
    """
    levels = []
    for level, (low, high) in enumerate(ranges):
        rows = np.arange(0, length, 2**level, dtype=np.float32)
        levels.append(
            np.stack([rows, *(np.full_like(rows, value) for value in (low, high, 2**level))], axis=1)
        )
    return np.concatenate(levels)


def point_labels(
    points_P4: NDArray[np.float32], segments: NDArray[np.float32], classes_NK: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
    """Label every point of a video.

    Source: ActionFormer (Zhang et al., ECCV 2022), Sec. 3.4; arithmetic of the released code. A
    point learns a segment if

    a) it lies inside the segment's centre region, borders excluded;
    b) its farther boundary is within the reach of its level, borders included;
    c) no shorter segment fulfils a) and b); classes of segments of equal length are put together,
       the first gives the boundaries.

    Args:
        points_P4: see `pyramid_points`.
        segments: (N, 2) in rows.
        classes_NK: the classes of each segment.

    Returns:
        classes (P, K), all false where a point learns nothing; distances to start and end (P, 2) in
        strides, without meaning there.
    """
    if not len(segments):
        return np.zeros((len(points_P4), classes_NK.shape[1]), bool), np.zeros(
            (len(points_P4), 2), np.float32
        )
    rows, low, high, stride = (column[:, None] for column in points_P4.T)
    starts, ends = segments.astype(np.float32).T
    to_start, to_end = rows - starts, ends - rows  # P x N
    centre = np.float32(0.5) * (starts + ends)
    reach = stride * np.float32(CENTRE_RADIUS)
    inside_left = rows - np.maximum(centre - reach, starts)
    inside_right = np.minimum(centre + reach, ends) - rows
    farther = np.maximum(to_start, to_end)
    learns = (np.minimum(inside_left, inside_right) > 0) & (farther >= low) & (farther <= high)
    lengths = np.where(learns, ends - starts, np.float32(np.inf))
    chosen = lengths.argmin(axis=1)
    shortest = np.take_along_axis(lengths, chosen[:, None], axis=1)
    together = learns & (lengths <= shortest + np.float32(EQUAL_LENGTHS))
    own = chosen[:, None]
    offsets = np.concatenate([np.take_along_axis(side, own, axis=1) for side in (to_start, to_end)], axis=1)
    return (together.astype(np.float32) @ classes_NK.astype(np.float32)) > 0, offsets / stride


def one_hot(labels: NDArray[np.int64], class_towers: Sequence[int]) -> NDArray[np.bool_]:
    """Mark each segment's class in every tower.

    Args:
        labels: (N, towers), indices within their tower; negative: none.
        class_towers: classes of each tower.

    Returns:
        (N, sum of classes).

    >>> one_hot(np.array([[1, 0]]), (2, 3)).astype(int)
    array([[0, 1, 1, 0, 0]])
    """
    towers = [
        column[:, None] == np.arange(count) for column, count in zip(labels.T, class_towers, strict=True)
    ]
    return np.concatenate(towers, axis=1)
