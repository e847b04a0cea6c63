"""Bound of BMN's recall: the best that its map can reach of annotated segments, whatever it
learnt."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bmn.windows import window_grid
from runtime.sections import RunConfig
from video_datasets.reach import best_tiou, best_tiou_in_windows


class BmnReach:
    """The segments that BMN can say: of whole cells, at most `bmn.dscale` long, inside a window.

    Args:
        config: of the run.
    """

    def __init__(self, config: RunConfig) -> None:
        self.config = config.bmn
        self.windows = window_grid(config.bmn, config.grid)

    @property
    def names(self) -> tuple[str, str]:
        """Name what `best` returns."""
        where = f"windows of {self.windows.window_s:.1f} s" if self.windows else "whole video"
        return (
            f"BMN's map, {self.config.tscale} x {self.config.dscale} cells, {where}",
            "its candidates, which end before the last boundary",
        )

    def best(
        self, segments_s: NDArray[np.float64], duration_s: float, num_features: int
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the highest tIoU of annotated segments with any cell, and with any candidate.

        Args:
            segments_s: (n, 2) annotated segments of one video.
            duration_s: of the video.
            num_features: of the video.

        Returns:
            Two arrays (n,).
        """
        segments = segments_s / self._cell_s(duration_s)
        # Proposals never end on the last boundary (`bmn.candidates`).
        whole, candidates = (self._best(segments, duration_s, num_features, spared) for spared in (0, 1))
        return whole, candidates

    def lengths(self, segments_s: NDArray[np.float64], duration_s: float) -> NDArray[np.float64]:
        """Return the length of segments of one video in cells, (n,)."""
        cells: NDArray[np.float64] = np.diff(segments_s)[:, 0] / self._cell_s(duration_s)
        return cells

    def remark(self, lengths: NDArray[np.float64]) -> str:
        """Say how many annotations are too short or too long, by their lengths in cells (n,)."""
        return (
            f"Of {len(lengths)} annotations {np.count_nonzero(lengths < 1)} are shorter than a cell of BMN, and "
            f"{np.count_nonzero(lengths > self.config.dscale)} longer than its longest segment."
        )

    def _cell_s(self, duration_s: float) -> float:
        return self.windows.cell_s if self.windows else duration_s / self.config.tscale

    def _best(
        self, segments: NDArray[np.float64], duration_s: float, num_features: int, spared: int
    ) -> NDArray[np.float64]:
        if not self.windows:
            return best_tiou(segments, self.config.tscale - spared, self.config.dscale)
        return best_tiou_in_windows(
            segments,
            self.windows.first_cells(duration_s, num_features),
            self.windows.tscale,
            self.config.dscale,
            self.windows.num_cells(duration_s, num_features) - spared,
        )
