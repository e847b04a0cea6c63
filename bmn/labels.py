"""Labels of BMN: start, end and IoU of the ground truth on the boundary-matching map.

Positions i = 0 ... T - 1 and cells (d, t), in units of 1 / T of the window:

    anchor of position i    [i - 0.5, i + 1.5]        two cells wide, around the middle of cell i
    box of a boundary b     [b T - 1.5, b T + 1.5]    three cells wide
    cell (d, t)             [t, t + d + 1]

A cell is valid if it ends inside the window, t + d + 1 <= T:

    T = 4, D = 3     t=0  t=1  t=2  t=3
              d=0     x    x    x    x
              d=1     x    x    x    .
              d=2     x    x    .    .
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from video_datasets.watched import lies_inside

Labels = tuple[np.ndarray, np.ndarray, np.ndarray]
"""start (T,), end (T,), iou_map (D, T)."""

BOX_WIDTH = 3.0
"""Width of the box around a start or an end, in cells; fixed in all released code (BSN's paper
scales it)."""
OUTSIDE_TOLERANCE = 1e-3
"""How far normalised segments may leave [0, 1], by rounding, before they are taken for other
units."""


def validity_mask(tscale: int, dscale: int) -> np.ndarray:
    """Mark the cells whose segment ends inside the window.

    Decided on integers (t + d < T): the float test `(t + d + 1) / T <= 1` of the original loses
    valid cells for some T, for example 91, 99 or 117.

    Args:
        tscale: start positions T.
        dscale: durations D.

    Returns:
        Bool array (D, T).

    >>> validity_mask(4, 3).astype(int)
    array([[1, 1, 1, 1],
           [1, 1, 1, 0],
           [1, 1, 0, 0]])
    """
    return np.arange(dscale)[:, None] + np.arange(tscale) < tscale


def boundary_labels(segments: ArrayLike, tscale: int, dscale: int) -> Labels:
    """Label one window.

    Source: `epickitchen100_feature.py` of the TAdaConv code (BMN, Sec. 4.1). The value of a
    boundary at position i is the largest share of its anchor that the box of a start (end) covers;
    the value of a cell is the largest IoU of its segment with a ground-truth segment, also where
    the cell is not valid (its segment ends outside the window); `validity_mask` says which are, and
    the losses leave the others out.

    Args:
        segments: (n, 2), start and end as fractions of the window, clipped to [0, 1]; n may be 0.
        tscale: positions T.
        dscale: durations D.

    Returns:
        start (T,), end (T,) and iou_map (D, T), float32 in [0, 1].

    Raises:
        ValueError: if the shape is wrong, a value is not finite or outside [0, 1], or an end lies
            before its start.

    >>> start, end, iou_map = boundary_labels([[0.25, 0.75]], tscale=4, dscale=2)
    >>> print(start, iou_map[1].round(3))
    [1.  1.  0.5 0. ] [0.333 1.    0.333 0.   ]
    """
    segments_cells = _checked(segments) * tscale
    starts_T, ends_DT = _cells(tscale, dscale)
    iou_DT = np.zeros((dscale, tscale))
    for segment_start, segment_end in segments_cells:
        overlap_DT = np.minimum(ends_DT, segment_end) - np.maximum(starts_T, segment_start)
        np.maximum(overlap_DT, 0.0, out=overlap_DT)
        union_DT = (ends_DT - starts_T) + (segment_end - segment_start) - overlap_DT
        np.maximum(iou_DT, overlap_DT / union_DT, out=iou_DT)
    start, end = (_boundary(segments_cells[:, side], tscale) for side in (0, 1))
    return start, end, iou_DT.astype(np.float32)


def forget_unwatched(labels: Labels, stretches: np.ndarray) -> Labels:
    """Make labels outside of the watched stretches NaN, which the losses leave out.

    Known are positions whose middle lies in a stretch, and cells whose segment lies wholly in one.

    Args:
        labels: as `boundary_labels` makes them.
        stretches: (n, 2), as fractions of the window; n = 0: all was watched.

    >>> start, _, iou_map = forget_unwatched(boundary_labels([[0, 0.25]], 4, 2), np.array([[0.0, 0.5]]))
    >>> print(start, iou_map[1])
    [1.  0.5 nan nan] [0.5 nan nan nan]
    """
    if not len(stretches):
        return labels
    start, end, iou_DT = (label.copy() for label in labels)
    dscale, tscale = iou_DT.shape
    middles = (np.arange(tscale) + 0.5) / tscale
    unknown_T = ~lies_inside(np.stack([middles, middles], axis=-1), stretches)
    starts_T, ends_DT = _cells(tscale, dscale)
    cells_DT2 = np.stack(np.broadcast_arrays(starts_T, ends_DT), axis=-1) / tscale
    start[unknown_T] = end[unknown_T] = np.nan
    iou_DT[~lies_inside(cells_DT2, stretches)] = np.nan
    return start, end, iou_DT


@lru_cache(maxsize=8)
def _cells(tscale: int, dscale: int) -> tuple[np.ndarray, np.ndarray]:
    """Start (T,) and end (D, T) of every cell, in cells."""
    starts_T = np.arange(tscale, dtype=np.float64)
    return starts_T, starts_T + np.arange(1, dscale + 1)[:, None]


def _boundary(boundaries_cells: np.ndarray, tscale: int) -> np.ndarray:
    """Largest share of each anchor that a box around a boundary covers: (T,) float32."""
    anchor_starts = np.arange(tscale) - 0.5
    anchor_ends = np.arange(tscale) + 1.5
    boxes = boundaries_cells[:, None]
    overlap = np.minimum(anchor_ends, boxes + BOX_WIDTH / 2) - np.maximum(
        anchor_starts, boxes - BOX_WIDTH / 2
    )
    share = overlap / (anchor_ends - anchor_starts)
    return share.max(axis=0, initial=0.0).astype(np.float32)


def _checked(segments: ArrayLike) -> np.ndarray:
    array = np.asarray(segments, dtype=np.float64)
    if array.size == 0:
        return np.zeros((0, 2))
    if array.ndim != 2 or array.shape[1] != 2:
        raise ValueError(f"segments must have shape (n, 2) = (start, end), got {array.shape}")
    if not (array.min() >= -OUTSIDE_TOLERANCE and array.max() <= 1 + OUTSIDE_TOLERANCE):  # also nan
        raise ValueError(
            "segments must be fractions of the window, within [0, 1], found values from "
            f"{array.min():g} to {array.max():g}; divide seconds by the window's length and clip"
        )
    if np.any(array[:, 1] < array[:, 0]):
        worst = array[np.argmax(array[:, 0] - array[:, 1])]
        raise ValueError(f"a segment ends before it starts: [{worst[0]:g}, {worst[1]:g}]")
    return np.clip(array, 0.0, 1.0)
