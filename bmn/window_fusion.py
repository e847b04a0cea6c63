"""Fuse the maps of overlapping sliding windows into the maps of one video.

Axes: T positions of a window, D durations, G positions of the video's grid (cells of the same
length).

    grid      |--------------------------------|      G = 32
    window 0  |---------------|                       first_position 0
    window 1          |---------------|               first_position 8
    window 2                  |-------------->        first_position 16, cut off at the grid's end
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from bmn.labels import validity_mask


class WindowMaps(NamedTuple):
    """What BMN predicts for one window, and where the window lies."""

    first_position: int
    """Position on the video's grid of the window's first cell, >= 0."""
    start: np.ndarray
    """(T,) start probabilities."""
    end: np.ndarray
    """(T,) end probabilities."""
    confidence_map: np.ndarray
    """(2, D, T) confidences."""


def fuse_windows(
    windows: Iterable[WindowMaps], num_positions: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Average the windows of one video, cell by cell.

    Start and end are averaged over the windows that cover a position; the confidence of a cell (d,
    t) over the windows in which it is valid (its segment ends inside the window). The part of a
    window beyond the grid is ignored. Cells that no window reaches are 0.

    Source: the fusion of the TAdaConv code (`tal_tools.py`). Windows are taken one at a time, in
    any order, so a video needs memory for one window and its own maps.

    Args:
        windows: the windows of the video, all of the same T and D.
        num_positions: G.

    Returns:
        start (G,), end (G,) and confidence_map (2, D, G), float32.

    Raises:
        ValueError: if there is no window, shapes differ between windows, or a window lies off the
            grid.
    """
    totals: _Totals | None = None
    for window in windows:
        if totals is None:
            totals = _Totals(window.confidence_map.shape, num_positions)
        totals.add(window)
    if totals is None:
        raise ValueError("no windows to fuse; a video has at least one")
    return totals.averages()


class _Totals:
    """Sums over windows, and how many windows each sum holds."""

    def __init__(self, window_shape: tuple[int, ...], num_positions: int) -> None:
        self.window_shape = window_shape
        _, dscale, tscale = window_shape
        self.valid_DT = validity_mask(tscale, dscale)
        self.boundary_sum = np.zeros((2, num_positions))
        self.boundary_count = np.zeros(num_positions, dtype=np.int64)
        self.confidence_sum = np.zeros((2, dscale, num_positions))
        self.confidence_count = np.zeros((dscale, num_positions), dtype=np.int64)

    def add(self, window: WindowMaps) -> None:
        tscale, num_positions = self.window_shape[2], len(self.boundary_count)
        shapes = window.start.shape, window.end.shape, window.confidence_map.shape
        if shapes != ((tscale,), (tscale,), self.window_shape):
            raise ValueError(
                f"all windows must have the same T and D, expected {self.window_shape}, got {shapes}"
            )
        if not 0 <= window.first_position < num_positions:
            raise ValueError(
                f"a window starts at position {window.first_position}, off the video's grid of "
                f"{num_positions} positions"
            )
        covered = min(tscale, num_positions - window.first_position)
        on_grid = slice(window.first_position, window.first_position + covered)
        valid_DT = self.valid_DT[:, :covered]
        self.boundary_sum[:, on_grid] += window.start[:covered], window.end[:covered]
        self.boundary_count[on_grid] += 1
        self.confidence_sum[..., on_grid] += window.confidence_map[..., :covered] * valid_DT
        self.confidence_count[:, on_grid] += valid_DT

    def averages(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        start, end = (self.boundary_sum / np.maximum(self.boundary_count, 1)).astype(np.float32)
        confidence_map = self.confidence_sum / np.maximum(self.confidence_count, 1)
        return start, end, confidence_map.astype(np.float32)
