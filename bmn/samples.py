"""Samples of BMN: whole videos rescaled to T cells, or sliding windows of T cells, with label maps.

A video is read when its sample is asked for, a window as its own slice of the file, so that memory
does not grow with the data set. Both refuse to guess: what has no features or no segment is not
there, where the TAdaConv code silently trains on a neighbour instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import Dataset

from bmn.labels import boundary_labels, forget_unwatched
from bmn.windows import WindowGrid
from feature_extraction import FeatureStore
from training.loop import ItemKey
from video_datasets.dataset import Video
from video_datasets.time_grid import interpolate_to_cells, seconds_to_normalised

Sample = dict[str, Tensor]
"""Of one item, alike in every epoch: "features" (C, T), "start" (T,), "end" (T,), "iou_map" (D, T),
float32; labels are NaN where nobody has watched the video."""


class WholeVideoSamples(Dataset[Sample]):
    """One sample a video.

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

    def __getitem__(self, key: ItemKey) -> Sample:
        """Return the sample of a video."""
        video = self.videos[key[1]]
        features_CT, duration_s = rescaled_features(self.store, video.video_id, self.tscale)
        segments = seconds_to_normalised(_segments_s(video), duration_s)
        stretches = seconds_to_normalised(_watched_s(video), duration_s)
        return _sample(features_CT, segments, stretches, self.tscale, self.dscale)


class Window(NamedTuple):
    """A window and what it is to learn."""

    video_id: str
    first_cell: int
    segments: np.ndarray
    """(n, 2), n >= 1, as fractions of the window."""
    stretches: np.ndarray
    """(m, 2) that were watched, likewise; m = 0: all of the video was."""


class WindowSamples(Dataset[Sample]):
    """One sample for every window that holds a segment: video by video, each in order of time.

    Source: `epickitchen100_feature.py` of the TAdaConv code. A window learns the segments that lie
    inside it (see `WindowGrid.holds`) and is no sample if there are none. As everywhere here,
    segments end with their video.

    Args:
        videos: with segments, all in the store.
        store: features.
        grid: where the windows lie.
        dscale: durations D of the label map.

    Attributes:
        windows: the samples.
        num_unseen: segments that no window holds, so that nothing is learnt from them: the longest
            ones.
    """

    def __init__(self, videos: Sequence[Video], store: FeatureStore, grid: WindowGrid, dscale: int) -> None:
        self.store, self.grid, self.dscale = store, grid, dscale
        self.windows: list[Window] = []
        self.num_unseen = 0
        for video in videos:
            self._add(video)

    def _add(self, video: Video) -> None:
        duration_s = self.store.duration_s(video.video_id)
        first_cells = self.grid.first_cells(duration_s, num_features=self.store.info(video.video_id).shape[0])
        segments_s = np.minimum(_segments_s(video), duration_s)
        seen = np.zeros(len(segments_s), dtype=bool)
        for first_cell in first_cells:
            held = self.grid.holds(segments_s, first_cell)
            if held.any():
                segments = self.grid.as_fractions(segments_s[held], first_cell)
                stretches = self.grid.as_fractions(_watched_s(video), first_cell)
                self.windows.append(Window(video.video_id, first_cell, segments, stretches))
                seen |= held
        self.num_unseen += int(np.count_nonzero(~seen))

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, key: ItemKey) -> Sample:
        """Return the sample of a window."""
        window = self.windows[key[1]]
        features_CT = window_features(self.store, window.video_id, self.grid, window.first_cell)
        return _sample(features_CT, window.segments, window.stretches, self.grid.tscale, self.dscale)


Samples = WholeVideoSamples | WindowSamples


def rescaled_features(store: FeatureStore, video_id: str, tscale: int) -> tuple[Tensor, float]:
    """Return the features of a whole video at `tscale` cells, (C, T) float32, and its decoded
    duration in s.

    A cell reads the features at its middle, by time. (The TAdaConv code and C2-Action-Detection
    spread the first to the last feature over the cells instead, which shifts the ends by up to half
    a cell.)
    """
    record = store[video_id]
    duration_s = float(record.attributes["duration_s"])
    features_TC = interpolate_to_cells(record.features, record.times, duration_s, tscale)
    return torch.from_numpy(np.ascontiguousarray(features_TC.T)), duration_s


def window_features(store: FeatureStore, video_id: str, grid: WindowGrid, first_cell: int) -> Tensor:
    """Return the features of one window, (C, T) float32; reads no other part of the video.

    The window's features, zeros where the video has none, are interpolated linearly from tscale *
    cell_features to tscale points, first on first and last on last, as the TAdaConv code does
    (`epickitchen100_feature.py`).
    """
    first, stop = grid.feature_range(first_cell)
    with store.open_video(video_id) as file:
        features = file[video_id]
        rows_RC = np.zeros((stop - first, features.shape[1]), dtype=np.float32)
        inside = range(max(first, 0), min(stop, len(features)))
        if inside:
            rows_RC[inside.start - first : inside.stop - first] = features[inside.start : inside.stop]
    rows_CR = torch.from_numpy(rows_RC.T)
    return F.interpolate(rows_CR[None], size=grid.tscale, mode="linear", align_corners=True)[0]


def _segments_s(video: Video) -> np.ndarray:
    return np.reshape([(segment.start_s, segment.end_s) for segment in video.segments], (-1, 2))


def _watched_s(video: Video) -> np.ndarray:
    return np.reshape(video.watched_s, (-1, 2))


def _sample(
    features_CT: Tensor, segments: np.ndarray, stretches: np.ndarray, tscale: int, dscale: int
) -> Sample:
    labels = forget_unwatched(boundary_labels(segments, tscale, dscale), stretches)
    named = zip(("start", "end", "iou_map"), labels, strict=True)
    return {"features": features_CT} | {name: torch.from_numpy(label) for name, label in named}
