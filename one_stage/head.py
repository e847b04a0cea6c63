"""A one-stage network as a head of the pipeline: loading, and the candidates of a video."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from feature_extraction import FeatureStore
from one_stage.architecture import Architecture
from one_stage.decode import Found, Told, decode
from one_stage.rows import rows_to_seconds
from one_stage.settings import OneStageConfig
from one_stage.usable import Names
from one_stage.weights import TrainedOneStage, load_one_stage
from video_datasets.formats.ek100_labels import action_id, action_name
from video_datasets.predictions import Candidates
from video_datasets.time_grid import TimeGrid


@dataclass(frozen=True)
class OneStageHead:
    """A trained ActionFormer, TemporalMaxer or TriDet.

    Attributes:
        trained: its network on `device`.
        config: which candidates it keeps.
        device: where to compute.
        labels: of its candidates; empty for segments of any action.
    """

    trained: TrainedOneStage
    config: OneStageConfig
    device: torch.device
    labels: tuple[str, ...]

    @property
    def grid(self) -> TimeGrid:
        """Time grid of the features that it takes."""
        return self.trained.grid

    @property
    def in_channels(self) -> int:
        """Channels of the features that it takes."""
        return self.trained.network.arch.in_channels

    @property
    def looks_at(self) -> str:
        """What it sees at a time, in words."""
        return f"the whole video at {self.trained.network.arch.levels} paces"

    def candidates(self, store: FeatureStore, video_id: str) -> Candidates:
        """Find the candidates of a video, T >= 1 features of which are in the store."""
        times_s = store.times(video_id)
        with torch.inference_mode():
            found = decode(
                [self.told(store, video_id)],
                torch.ones(len(times_s), dtype=torch.bool, device=self.device),
                min_score=self.config.min_score,
                top_candidates=self.config.top_candidates,
                min_length=self.config.min_length,
            )
        segments_s = rows_to_seconds(times_s, self.grid.stride_s, found.rows)
        return inside_video(segments_s, found, store.duration_s(video_id), bool(self.labels))

    def told(self, store: FeatureStore, video_id: str) -> Told:
        """Return what the network says at the rows that have a feature; call it in inference
        mode."""
        arch, count = self.trained.network.arch, store.info(video_id).shape[0]
        feats = torch.from_numpy(store.read_range(video_id, 0, count).T)
        behind = released_length(arch, count) - count if arch.padding != "right" else 0
        valid_T = F.pad(torch.ones(count, dtype=torch.bool, device=self.device), (0, behind))
        if behind:  # padding copies
            feats = F.pad(feats, (0, behind))
        outputs = self.trained.network(feats[None].to(self.device), valid_T[None])
        return Told(
            {
                name: [map_[..., : -(-count // 2**level)] for level, map_ in enumerate(maps)]
                for name, maps in outputs.items()
            },
            arch.class_towers,
        )


def inside_video(
    segments_s: NDArray[np.float64], found: Found, duration_s: float, labelled: bool
) -> Candidates:
    """Return what does not lie outside the video altogether, which would be empty once cut."""
    inside = (segments_s[:, 0] < duration_s) & (segments_s[:, 1] > 0)
    classes = found.classes[inside] if labelled else None
    return Candidates(segments_s[inside], found.scores[inside], 1.0, duration_s, classes)


def load_head(folder: Path, config: OneStageConfig, device: torch.device) -> OneStageHead:
    """Load what the stage `one_stage` left.

    Raises:
        InputError: if the weights are missing or damaged.
    """
    trained = load_one_stage(folder / "weights.pt")
    trained.network.to(device)
    return OneStageHead(trained, config, device, submission_labels(trained.classes))


def submission_labels(classes: Names) -> tuple[str, ...]:
    """Return the labels of candidates as submissions name them: class names, or "verb,noun"
    indices.

    >>> submission_labels({"action": ("run", "sit")}), submission_labels({"verb": ("take", "put"), "noun": ("cup",)})
    (('run', 'sit'), ('0,0', '1,0'))
    """
    if not {"verb", "noun"} & set(classes):
        return classes.get("action", ())
    verbs, nouns = (range(len(classes.get(tower, ("",)))) for tower in ("verb", "noun"))
    return tuple(action_name(action_id(verb, noun)) for verb in verbs for noun in nouns)


def released_length(arch: Architecture, length: int) -> int:
    """Rows to which the released code pads a video: `max_length`, or a multiple that suits all
    windows.

    Released networks see the padding, so it has to be theirs.
    """
    factors = [
        2**level * (2 * (window // 2) if window > 1 else 1) for level, window in enumerate(arch.windows)
    ]
    factor = int(np.max(factors))
    return arch.max_length if length <= arch.max_length else -(-length // factor) * factor
