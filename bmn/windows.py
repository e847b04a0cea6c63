"""Sliding windows: cells of a fixed length over a video of any length, and the windows that BMN
sees of them.

    features      . . . . . . . . . . . . . . . . .         one every stride of the time grid
    cells         | 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 |     cell_features = 2
    window 0      |---------------|                         tscale = 4 cells
    window 1              |---------------|                 step_cells = 2
    window 2                      |---------------|
    window 3                              |-----------00    zeros behind the last feature

EPIC-KITCHENS-100: 60 fps and stride 8 give 7.5 features a second; a cell of two is 0.2667 s, a
window of 200 cells 53.3 s, a step of 100 cells 26.7 s. Everything is counted in features, so
windows, cells and features never drift apart in a long video.

Source: `epickitchen100_feature.py` and `tal_tools.py` of the TAdaConv code. Differences: a video
has at least one window, however short it is, and none where it has no feature.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bmn.settings import BmnConfig
from video_datasets.time_grid import TimeGrid, seconds_to_normalised

MIN_REMAINING_S = 0.2
"""A window, other than the first, is left out if less of the video than this remains for it."""
MAX_CELL = 1000
"""Features of a cell: more has no use, and a stranger's file might ask for it."""
MIN_SHARE_INSIDE = 0.999
"""A window learns the segments of which it holds more than this share."""


@dataclass(frozen=True, kw_only=True)
class WindowGrid:
    """Where cells and windows lie in a video.

    >>> grid = TimeGrid(fps=60, stride_frames=8)
    >>> windows = WindowGrid(grid=grid, tscale=200, step_cells=100, cell_features=2)
    >>> windows.num_cells(60.0, grid.num_features(3600)), windows.first_cells(60.0, grid.num_features(3600))
    (225, [0, 100, 200])
    """

    grid: TimeGrid
    """Of the features."""
    tscale: int
    """Cells T of a window."""
    step_cells: int
    """Cells from the start of one window to the next, at most `tscale`."""
    cell_features: int
    """Features (strides of the grid) of one cell."""

    def __post_init__(self) -> None:
        whole = all(isinstance(value, int) for value in (self.cell_features, self.step_cells))
        if not (whole and 1 <= self.cell_features <= MAX_CELL and 1 <= self.step_cells <= self.tscale):
            raise ValueError(
                f"windows need whole 1 <= cell_features <= {MAX_CELL} and 1 <= step_cells <= tscale, got "
                f"cell_features={self.cell_features}, step_cells={self.step_cells}, tscale={self.tscale}"
            )

    @property
    def cell_s(self) -> float:
        """Length of a cell in seconds."""
        return self.cell_features * self.grid.stride_s

    @property
    def window_s(self) -> float:
        """Length of a window in seconds."""
        return self.tscale * self.cell_s

    def start_s(self, first_cell: int) -> float:
        """Time at which a window starts."""
        return first_cell * self.cell_s

    def first_cells(self, duration_s: float, num_features: int) -> list[int]:
        """List the first cell of every window of a video, in order of time.

        Args:
            duration_s: of the video, as decoded.
            num_features: of the video.

        Returns:
            0, step_cells, 2 * step_cells, ...; nothing for a video without features.
        """
        starts = range(0, self._cells_with_features(num_features), self.step_cells)
        # Times are multiples of frames, so the limit is met exactly at times: rounding must not
        # decide.
        last_s = duration_s - MIN_REMAINING_S + 1e-9
        return [first for first in starts if not first or self.start_s(first) <= last_s]

    def num_cells(self, duration_s: float, num_features: int) -> int:
        """Count the cells of a video that a window covers: the positions of its fused maps."""
        starts = self.first_cells(duration_s, num_features)
        return min(self._cells_with_features(num_features), starts[-1] + self.tscale) if starts else 0

    def feature_range(self, first_cell: int) -> tuple[int, int]:
        """First feature of a window and the one behind its last; may lie outside those that the
        video has."""
        first = first_cell * self.cell_features - self.grid.strides_before_first
        return first, first + self.tscale * self.cell_features

    def as_fractions(self, segments_s: NDArray[np.float64], first_cell: int) -> NDArray[np.float64]:
        """Express segments (n, 2) in seconds as fractions of a window, cut to [0, 1]."""
        return seconds_to_normalised(segments_s - self.start_s(first_cell), self.window_s)

    def holds(self, segments_s: NDArray[np.float64], first_cell: int) -> NDArray[np.bool_]:
        """Tell which of the segments (n, 2), in seconds, lie inside a window: the 0.999 rule."""
        inside_s = np.diff(self.as_fractions(segments_s, first_cell))[:, 0] * self.window_s
        return inside_s > MIN_SHARE_INSIDE * np.diff(segments_s)[:, 0]

    def _cells_with_features(self, num_features: int) -> int:
        if num_features == 0:
            return 0
        return math.ceil((num_features + self.grid.strides_before_first) / self.cell_features)


def window_grid(config: BmnConfig, grid: TimeGrid) -> WindowGrid | None:
    """Return where the configured windows lie; None in whole-video mode."""
    if config.mode == "whole_video":
        return None
    step_cells = config.window_step_cells or config.dscale
    return WindowGrid(
        grid=grid, tscale=config.tscale, step_cells=step_cells, cell_features=config.cell_features
    )
