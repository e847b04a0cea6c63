"""BMN over the features of one video: the maps of a whole video, or the fused ones of its sliding
windows.

Axes: T positions of BMN, D durations, G positions of the video's maps. Only the features of a few
windows are in memory at a time, and the maps (2 x D x G), 11 MB for an hour of EPIC-KITCHENS-100;
nothing has G x G cells.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from bmn.model import BMN
from bmn.samples import rescaled_features, window_features
from bmn.weights import TrainedBmn
from bmn.window_fusion import WindowMaps, fuse_windows
from bmn.windows import WindowGrid
from feature_extraction import FeatureStore

Maps = tuple[np.ndarray, np.ndarray, np.ndarray]

WINDOWS_AT_ONCE = 4
"""Windows per forward: enough to keep a GPU busy, and some 200 MB each."""


class VideoMaps(NamedTuple):
    """BMN's maps of a video, and its times."""

    start: np.ndarray
    """(G,) start probabilities."""
    end: np.ndarray
    """(G,) end probabilities."""
    confidence_map: np.ndarray
    """(2, D, G), channel 0 = regression, 1 = classification."""
    duration_s: float
    """Length of the video."""
    span_s: float
    """Time that the G positions cover: in windows whole cells, so that it may exceed the video
    by part of one."""


def video_maps(bmn: TrainedBmn, store: FeatureStore, video_id: str, device: torch.device) -> VideoMaps:
    """Run BMN over a video.

    Args:
        bmn: its model on `device`.
        store: features, T >= 1 of the video.
        video_id: in the store.
        device: where to compute.
    """
    if bmn.windows is None:
        features_CT, duration_s = rescaled_features(store, video_id, bmn.model.tscale)
        ((start, end, confidence_map),) = _forward(bmn.model, features_CT[None], device)
        return VideoMaps(start, end, confidence_map, duration_s, duration_s)
    duration_s = store.duration_s(video_id)
    num_cells = bmn.windows.num_cells(duration_s, store.info(video_id).shape[0])
    windows = window_maps(bmn.model, bmn.windows, store, video_id, device)
    start, end, confidence_map = fuse_windows(windows, num_cells)
    return VideoMaps(start, end, confidence_map, duration_s, num_cells * bmn.windows.cell_s)


def window_maps(
    model: BMN, windows: WindowGrid, store: FeatureStore, video_id: str, device: torch.device
) -> Iterator[WindowMaps]:
    """Yield the maps of every window of a video in order of time, reading `WINDOWS_AT_ONCE` of
    them at a time."""
    first_cells = iter(windows.first_cells(store.duration_s(video_id), store.info(video_id).shape[0]))
    while batch := list(itertools.islice(first_cells, WINDOWS_AT_ONCE)):
        features = [window_features(store, video_id, windows, first_cell) for first_cell in batch]
        for first_cell, maps in zip(batch, _forward(model, torch.stack(features), device), strict=True):
            yield WindowMaps(first_cell, *maps)


def _forward(model: BMN, feats_BCT: Tensor, device: torch.device) -> Iterator[Maps]:
    """Yield start (T,), end (T,) and confidence_map (2, D, T) of every item of a batch."""
    with torch.inference_mode():
        outputs = model(feats_BCT.to(device))
    start, end, confidence_map = (outputs[name].cpu().numpy() for name in ("start", "end", "confidence_map"))
    return zip(start, end, confidence_map, strict=True)
