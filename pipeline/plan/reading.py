"""Seconds that reading takes on one core: videos from end to end, and clips for training.

Some videos of the data set are tried for a moment each; one that cannot be read says nothing.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from classification.finetune.clips import SegmentClips, labelled_segments
from classification.finetune.video_files import ClipSource, VideoFiles
from classification.finetune.views import TestClips, ViewsConfig
from pipeline.plan.steps import work_s
from runtime.errors import InputError
from runtime.sections import RunConfig
from tadaconv.inputs import NetworkInput
from video_datasets.dataset import Video, VideoDataset
from video_datasets.time_grid import num_grid_frames
from video_datasets.video.decoding import VideoError
from video_datasets.video.reader import stream_grid_frames

TRIED = 3
"""Videos, evenly over the data set."""
SAMPLE_S = 0.5
"""How long each is decoded at most."""


@dataclass
class BlankFrames:
    """Grey pictures of the size of cached frames, in place of the cache that is not there yet."""

    short_side_px: int
    fps: float
    start_step: int

    def num_frames(self, video: Video) -> int:
        """Return as many frames as the segments of a video need."""
        return num_grid_frames(max(segment.end_s for segment in video.segments), self.fps)

    def read(self, video: Video, frames: np.ndarray) -> np.ndarray:
        """Return grid frames (n,) as uint8 (n, H, W, 3)."""
        return np.full((len(frames), self.short_side_px, 4 * self.short_side_px // 3, 3), 128, dtype=np.uint8)


def decoding_share(videos: Sequence[Video], config: RunConfig) -> float:
    """Return the seconds of decoding for a second of video; 0 where nothing can be decoded."""
    paths = [video.path for video in _spread([video for video in videos if video.path is not None])]
    found = [share for path in paths if path is not None and (share := _share_of(path, config)) > 0]
    return statistics.median(found) if found else 0.0


def _share_of(path: Path, config: RunConfig) -> float:
    """What `decoding_share` says, of the beginning of a video."""
    ends, last = time.perf_counter() + SAMPLE_S, 0

    def decode() -> None:
        nonlocal last
        for index, _ in stream_grid_frames(path, config.grid.fps, wanted=config.grid.may_use):
            last = index
            if time.perf_counter() > ends:
                return

    try:
        took_s = work_s(decode)
    except VideoError:
        return 0.0
    return took_s / (last / config.grid.fps) if last else 0.0


def training_clip_s(dataset: VideoDataset, videos: Sequence[Video], config: RunConfig) -> float:
    """Return the seconds that making a training clip takes, 0 where none can be made."""
    settings = config.finetune
    source: ClipSource = VideoFiles(config.grid, settings.min_decoded_share)
    if settings.frame_cache_step:
        source = BlankFrames(max(settings.short_side_px), config.grid.fps, settings.frame_cache_step)
    segments = labelled_segments(_spread(videos), dataset.class_indices)
    clips = SegmentClips(segments, source, config.grid, settings, config.seed, NetworkInput())
    return _typical_s(lambda item: clips[(0, item)], len(segments))


def validation_clip_s(dataset: VideoDataset, videos: Sequence[Video], config: RunConfig) -> float:
    """Return the seconds that reading a segment's validation clip takes, 0 where none can be
    read."""
    settings = config.finetune
    source = VideoFiles(config.grid, settings.min_decoded_share)
    segments = labelled_segments(_spread(videos), dataset.class_indices)
    views = ViewsConfig.of_validation(settings)
    clips = TestClips(segments, source, config.grid, views, NetworkInput())
    return _typical_s(lambda item: clips[item], len(segments))


def _spread(videos: Sequence[Video]) -> list[Video]:
    return list(videos[:: max(1, -(-len(videos) // TRIED))])


def _typical_s(make: Callable[[int], object], count: int) -> float:
    """Median seconds of some items; the first of each video also looks through its file, once."""
    took = sorted(_durations_s(make, count))
    return statistics.median(took[: max(1, len(took) // 2)]) if took else 0.0


def _durations_s(make: Callable[[int], object], count: int) -> Iterator[float]:
    ends = time.perf_counter() + TRIED * SAMPLE_S
    for item in range(min(count, 8 * TRIED)):
        try:
            yield work_s(partial(make, item))
        except (InputError, VideoError):
            continue
        if time.perf_counter() > ends:
            return
