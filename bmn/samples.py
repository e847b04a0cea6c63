"""Whole videos as BMN sees them: features rescaled to T cells, with their label maps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from bmn.labels import boundary_labels
from feature_extraction import FeatureStore
from training.loop import ItemKey
from video_datasets.dataset import Video
from video_datasets.time_grid import interpolate_to_cells, seconds_to_normalised


class WholeVideoSamples(Dataset[dict[str, Tensor]]):
    """One sample a video, the same in every epoch.

    Args:
        videos: with segments, all in the store.
        store: features.
        tscale: cells T of a video.
        dscale: durations D of the label map.
    """

    def __init__(self, videos: Sequence[Video], store: FeatureStore, tscale: int, dscale: int) -> None:
        self.videos, self.store, self.tscale, self.dscale = videos, store, tscale, dscale

    def __len__(self) -> int:
        return len(self.videos)

    def __getitem__(self, key: ItemKey) -> dict[str, Tensor]:
        """Return "features" (C, T), "start" (T,), "end" (T,), "iou_map" (D, T), float32."""
        video = self.videos[key[1]]
        features_TC, duration_s = rescaled_features(self.store, video.video_id, self.tscale)
        segments_s = [(segment.start_s, segment.end_s) for segment in video.segments]
        segments = seconds_to_normalised(np.reshape(segments_s, (-1, 2)), duration_s)
        start, end, iou_map = boundary_labels(segments, self.tscale, self.dscale)
        return {
            "features": torch.from_numpy(np.ascontiguousarray(features_TC.T)),
            "start": torch.from_numpy(start),
            "end": torch.from_numpy(end),
            "iou_map": torch.from_numpy(iou_map),
        }


def rescaled_features(store: FeatureStore, video_id: str, tscale: int) -> tuple[np.ndarray, float]:
    """Return the features of a whole video at `tscale` cells, (T, C) float32, and its decoded duration in s."""
    record = store[video_id]
    duration_s = float(record.attributes["duration_s"])
    return interpolate_to_cells(record.features, record.times, duration_s, tscale), duration_s
