"""The proposals of a run, video by video."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from video_datasets.predictions import Predictions, read_predictions


@dataclass(frozen=True)
class ProposalRows:
    """Proposals, and the rows of every video.

    Attributes:
        proposals: as in the file.
        rows: video id -> its rows, in file order, which is descending score.
    """

    proposals: Predictions
    rows: dict[str, np.ndarray]

    @classmethod
    def read(cls, path: Path) -> ProposalRows:
        """Read the file of the stage `proposals`."""
        proposals = read_predictions(path)
        order = np.argsort(proposals.video_index, kind="stable")
        bounds = np.searchsorted(proposals.video_index[order], np.arange(len(proposals.videos) + 1))
        rows = (order[first:last] for first, last in itertools.pairwise(bounds))
        return cls(proposals, dict(zip(proposals.videos, rows, strict=True)))

    @property
    def videos_with_rows(self) -> list[str]:
        """Videos that have proposals, in file order."""
        return [video_id for video_id, rows in self.rows.items() if len(rows)]

    def of_video(self, video_id: str) -> tuple[np.ndarray, np.ndarray]:
        """Return segments (n, 2) in seconds and scores (n,) of a video."""
        rows = self.rows[video_id]
        segments_s = np.stack([self.proposals.start_s[rows], self.proposals.end_s[rows]], axis=1)
        return segments_s, self.proposals.score[rows]
