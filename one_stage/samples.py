"""Samples of one-stage heads: crops of videos at the features' own pace, with labels of their
points."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from feature_extraction import FeatureStore
from feature_extraction.records import FeatureRecord
from one_stage.architecture import Architecture
from one_stage.crops import random_crop
from one_stage.labels import one_hot, point_labels, pyramid_points
from one_stage.rows import Floats, seconds_to_rows
from one_stage.settings import OneStageConfig
from training.batches import ItemKey
from training.held import Held
from video_datasets.time_grid import TimeGrid
from video_datasets.watched import lies_inside

Sample = dict[str, Tensor]
"""Of one item: "features" (C, T), "valid" (T,), "known" (T,), "classes" (P, K) bool, "offsets" (P,
2); zeros behind the video. The network sees the valid rows, and learns from those that are known:
valid, and watched by somebody."""


class LabelledVideo(NamedTuple):
    """A video with features and segments."""

    video_id: str
    segments_s: NDArray[np.float64]
    """(N, 2)"""
    classes: NDArray[np.int64]
    """(N, towers) class in each tower."""
    watched_s: NDArray[np.float64] = np.zeros((0, 2))
    """(M, 2) stretches outside of which nothing is known; M = 0: there is no such."""


class CropSamples(Dataset[Sample]):
    """One sample a video: all of it, or in training a random crop that follows from seed, epoch and
    item.

    Args:
        videos: all in the store.
        store: features.
        arch: regression ranges and classes.
        config: crops and noise.
        length: rows T of every sample; longer videos are cut to it.
        seed: of the run.
        augmented: false: no crop of videos that fit, no noise; longer ones are cut alike every
            time.
    """

    def __init__(
        self,
        videos: Sequence[LabelledVideo],
        store: FeatureStore,
        arch: Architecture,
        config: OneStageConfig,
        *,
        length: int,
        seed: int,
        augmented: bool,
    ) -> None:
        self.videos, self.store, self.arch, self.config = videos, store, arch, config
        self.length, self.seed, self.augmented = length, seed, augmented
        self.points_P4 = pyramid_points(length, arch.regression_ranges)
        self._held: Held[FeatureRecord] = Held()

    def __len__(self) -> int:
        return len(self.videos)

    def __getitem__(self, key: ItemKey) -> Sample:
        """Return the sample of a video in an epoch."""
        epoch, item = key
        generator = np.random.default_rng([self.seed, epoch if self.augmented else 0, item])
        video = self.videos[item]
        times_s, grid, read = self._source(video.video_id)
        segments = seconds_to_rows(times_s, grid.stride_s, video.segments_s)
        margin = grid.clip_span_frames / 2 / grid.stride_frames if self.arch.kind != "tridet" else 0.0
        first, stop, held = random_crop(
            len(times_s),
            segments,
            generator,
            max_length=self.length,
            shortest=self.config.shortest_crop if self.augmented else 1.0,
            min_share=self.config.min_segment_share,
            margin=margin,
        )
        inside = np.clip(segments[held], first - margin, stop + margin) - first
        classes, offsets = point_labels(
            self.points_P4, inside.astype(np.float32), one_hot(video.classes[held], self.arch.class_towers)
        )
        features_TC = read(first, stop)
        if self.augmented and self.config.input_noise:
            noise = generator.standard_normal(features_TC.shape, dtype=np.float32)
            features_TC = features_TC + self.config.input_noise * noise
        valid = torch.arange(self.length) < stop - first
        at_s = times_s[first:stop]
        watched = lies_inside(np.stack([at_s, at_s], axis=-1), video.watched_s)
        return {
            "features": torch.from_numpy(padded(features_TC, self.length).T),
            "valid": valid,
            "known": valid & torch.from_numpy(np.pad(watched, (0, self.length - len(watched)))),
            "classes": torch.from_numpy(classes),
            "offsets": torch.from_numpy(offsets),
        }

    def _source(self, video_id: str) -> tuple[Floats, TimeGrid, Callable[[int, int], NDArray[np.float32]]]:
        """Return times and grid of a video, and what reads a range of its features: of memory if
        they fit."""
        held = self._held.get(video_id)
        if held is None:
            info = self.store.info(video_id)
            length, channels = info.shape
            num_bytes = 4 * length * channels + 8 * length
            if not self._held.fits(num_bytes):
                return self.store.times(video_id), info.grid, partial(self.store.read_range, video_id)
            held = self.store[video_id]
            self._held.keep(video_id, held, num_bytes)
        whole = held.features
        return held.times, held.grid, lambda first, stop: whole[first:stop]


def padded(features_TC: NDArray[np.float32], length: int) -> NDArray[np.float32]:
    """Append rows of zeros."""
    return np.pad(features_TC, ((0, length - len(features_TC)), (0, 0)))
