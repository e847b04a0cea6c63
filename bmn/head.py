"""BMN as a head of the pipeline: loading, candidates of a video, and what its map can reach."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from bmn.candidates import candidate_pairs
from bmn.inference import VideoMaps, video_maps
from bmn.scoring import proposal_scores
from bmn.settings import ProposalsConfig
from bmn.weights import TrainedBmn, load_bmn
from feature_extraction import FeatureStore
from video_datasets.predictions import Candidates
from video_datasets.time_grid import TimeGrid


@dataclass(frozen=True)
class BmnHead:
    """A trained BMN that finds candidate segments of any action in stored features.

    Attributes:
        bmn: its model on `device`.
        config: scoring and selection.
        device: where to compute.
    """

    bmn: TrainedBmn
    config: ProposalsConfig
    device: torch.device
    labels: tuple[str, ...] = ()
    """BMN tells no classes."""

    @property
    def grid(self) -> TimeGrid:
        """Time grid of the features that it takes."""
        return self.bmn.grid

    @property
    def in_channels(self) -> int:
        """Channels of the features that it takes."""
        return self.bmn.model.in_channels

    @property
    def looks_at(self) -> str:
        """What it sees at a time, in words."""
        if self.bmn.windows:
            return f"windows of {self.bmn.windows.window_s:.1f} s"
        return f"the whole video in {self.bmn.model.tscale} cells"

    def candidates(self, store: FeatureStore, video_id: str) -> Candidates:
        """Find the candidates of a video, T >= 1 features of which are in the store."""
        return scored_candidates(video_maps(self.bmn, store, video_id, self.device), self.config)


def load_head(folder: Path, config: ProposalsConfig, device: torch.device) -> BmnHead:
    """Load what the stage `bmn` left.

    Raises:
        InputError: if the weights are missing or damaged.
    """
    bmn = load_bmn(folder / "weights.pt")
    bmn.model.to(device)
    return BmnHead(bmn, config, device)


def scored_candidates(maps: VideoMaps, config: ProposalsConfig) -> Candidates:
    """Pair, score and select the candidates of one video.

    Args:
        maps: of the video. Grids of fixed cells span T * cell_s, which may exceed the video by part
            of a cell; the TAdaConv code takes the duration there, which moves late proposals by up
            to that part.
        config: exponents and selection.

    Returns:
        Candidates in units of the maps' span, ordered by duration, then by start; none where no
        score exceeds `min_score`.

    Raises:
        ValueError: if shapes do not fit, values are not finite, or a time is not positive.
    """
    times = maps.duration_s, maps.span_s
    if not (np.isfinite(times).all() and min(times) > 0):
        raise ValueError(f"duration_s and span_s must be positive, got {times[0]} and {times[1]}")
    pairs = candidate_pairs(maps.start, maps.end, maps.confidence_map, config.peak_share)
    scores = proposal_scores(
        pairs.cls_score, pairs.reg_score, cls_power=config.clr_power, reg_power=config.reg_power
    )
    # A candidate that starts after the video's end would be empty once clipped.
    selected = (scores > config.min_score) & (pairs.segments[:, 0] * maps.span_s < maps.duration_s)
    return Candidates(pairs.segments[selected], scores[selected], maps.span_s, maps.duration_s)
