"""Training and validation clips of labelled segments, on the same time grid as the extraction.

A training clip starts at a random frame of its segment; a segment shorter than a clip has the clip around its
middle. Validation looks at the middle of every segment.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch.utils.data import Dataset

from runtime.errors import InputError
from runtime.schema import FinetuneConfig
from training.batches import derived_seed
from training.loop import ItemKey
from video_datasets.dataset import Segment, Video
from video_datasets.reader import FrameTimes, VideoError, frame_times, read_clip
from video_datasets.time_grid import TimeGrid, seconds_to_frames
from video_datasets.transforms import normalise, prepare_frames, random_training_view, to_float


@dataclass(frozen=True)
class LabelledSegment:
    """One labelled segment of one video; `class_index` is the position of its label in the class list."""

    video: Video
    segment: Segment
    class_index: int


class ClipSource(Protocol):
    """Where the frames of clips come from: the video files or a cache of decoded frames."""

    start_step: int
    """Clips start at multiples of this many grid frames."""

    def num_frames(self, video: Video) -> int:
        """Return the frames N of a video's uniform grid."""
        ...

    def read(self, video: Video, frames: np.ndarray) -> np.ndarray:
        """Return grid frames (n,) as uint8 (n, H, W, 3)."""
        ...


class VideoFiles:
    """Decodes every clip from its video file.

    Args:
        grid: gives the frame rate.
        min_decoded_share: smallest share of a video's promised frames that must decode.
    """

    start_step = 1

    def __init__(self, grid: TimeGrid, min_decoded_share: float) -> None:
        self.grid, self.min_decoded_share = grid, min_decoded_share

    def num_frames(self, video: Video) -> int:
        """Return the frames N of a video's uniform grid."""
        return _frame_times(_path(video), self.min_decoded_share).n_frames(self.grid.fps)

    def read(self, video: Video, frames: np.ndarray) -> np.ndarray:
        """Return grid frames (n,) as uint8 (n, H, W, 3)."""
        path = _path(video)
        return read_clip(path, frames, self.grid.fps, _frame_times(path, self.min_decoded_share))


@functools.lru_cache(maxsize=256)
def _frame_times(path: Path, min_decoded_share: float) -> FrameTimes:
    return frame_times(path, min_decoded_share=min_decoded_share)


def clip_frames(
    grid: TimeGrid, segment: Segment, num_frames: int, position: float, start_step: int = 1
) -> np.ndarray:
    """Return the grid frames of one clip of a segment.

    Args:
        grid: gives the spacing of the clip's frames.
        segment: labelled stretch, in seconds.
        num_frames: N, frames of the video's grid.
        position: where in the segment, 0 (clip starts with the segment) to 1 (clip ends with it).
        start_step: the start is rounded down to a multiple of this.

    Returns:
        Integer array (clip_frames,), edge frames of the video repeated.
    """
    first, stop = segment_frames(grid, segment, num_frames)
    spare = stop - first - grid.clip_span_frames
    start = first + round(position * spare) if spare >= 0 else first + spare // 2
    start -= start % start_step
    last = (num_frames - 1) // start_step * start_step
    return np.clip(start + grid.clip_steps, 0, last)


def segment_frames(grid: TimeGrid, segment: Segment, num_frames: int) -> tuple[int, int]:
    """Return the grid frames [first, stop) of a segment, at least one of them inside the video."""
    first = min(int(seconds_to_frames(segment.start_s, grid.fps)), num_frames - 1)
    stop = -int(seconds_to_frames(-segment.end_s, grid.fps))  # rounded up: a frame begun is on screen
    return first, min(max(stop, first + 1), num_frames)


class SegmentClips(Dataset[dict[str, Any]]):
    """Random clips of labelled segments: `clips_per_segment` of each in an epoch.

    A clip whose video cannot be decoded is replaced by one of the next segment, and says so.
    """

    def __init__(
        self,
        segments: Sequence[LabelledSegment],
        source: ClipSource,
        grid: TimeGrid,
        config: FinetuneConfig,
        seed: int,
    ) -> None:
        self.segments, self.source, self.grid, self.config, self.seed = segments, source, grid, config, seed

    def __len__(self) -> int:
        return len(self.segments) * self.config.clips_per_segment

    def __getitem__(self, key: ItemKey) -> dict[str, Any]:
        """Return "clip" (3, T, crop, crop) normalised, "label", and "damaged": video id and reason, both "" if none."""
        epoch, item = key
        generator = torch.Generator().manual_seed(derived_seed(self.seed, epoch, item))
        damaged = ("", "")
        for offset in range(len(self.segments)):
            chosen = self.segments[(item + offset) % len(self.segments)]
            try:
                clip = self._random_clip(chosen, generator)
            except VideoError as error:
                if not damaged[0]:
                    damaged = (chosen.video.video_id, error.reason)
                continue
            return {"clip": clip, "label": chosen.class_index, "damaged": damaged}
        raise InputError(f"no training video can be decoded; the first: {damaged[0]}: {damaged[1]}")

    def _random_clip(self, chosen: LabelledSegment, generator: torch.Generator) -> torch.Tensor:
        position = float(torch.rand((), generator=generator))
        num_frames = frames_of(chosen, self.source, self.grid)
        frames = clip_frames(self.grid, chosen.segment, num_frames, position, self.source.start_step)
        view = random_training_view(
            to_float(self.source.read(chosen.video, frames)),
            short_side_range_px=self.config.short_side_px,
            crop_px=self.config.crop_px,
            generator=generator,
            flip_probability=0.5 if self.config.flip else 0.0,
        )
        return normalise(view)


def frames_of(chosen: LabelledSegment, source: ClipSource, grid: TimeGrid) -> int:
    """Return the grid frames N of a segment's video.

    Raises:
        VideoError: if it cannot be read, or ends before the segment starts.
    """
    num_frames = source.num_frames(chosen.video)
    segment = chosen.segment
    if seconds_to_frames(segment.start_s, grid.fps) >= num_frames:
        raise VideoError(
            chosen.video.video_id,
            f"segment {segment.start_s:g}-{segment.end_s:g} s lies after the end of the video "
            f"({num_frames / grid.fps:g} s)",
        )
    return num_frames


def middle_clip(
    chosen: LabelledSegment, source: ClipSource, grid: TimeGrid, short_side_px: int
) -> torch.Tensor:
    """Return the clip in the middle of a segment, whole region, normalised: (3, T, h, w)."""
    frames = clip_frames(grid, chosen.segment, frames_of(chosen, source, grid), 0.5, source.start_step)
    return prepare_frames(source.read(chosen.video, frames), short_side_px)


def labelled_segments(videos: Sequence[Video], class_indices: Mapping[str, int]) -> list[LabelledSegment]:
    """List the segments of videos whose labels belong to the class list."""
    return [
        LabelledSegment(video, segment, class_indices[segment.label])
        for video in videos
        for segment in video.segments
        if segment.label in class_indices
    ]


def _path(video: Video) -> Path:
    if video.path is None:
        raise VideoError(video.video_id, "video file not found")
    return video.path
