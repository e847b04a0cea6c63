"""Frames of clips straight from the video files, with what each file's time stamps said kept on
disk.

Before a clip can be read, the times of all frames of its file must be known, which takes a pass
over the file's packets (or, where the index cannot be trusted, over its frames): the whole file is
read. Measured in processor time, that is a tenth to a quarter of reading one clip for a ten-second
file, three quarters for two minutes of 480p, and it grows with the length. So the pass is made once
a video and run: whichever process needs a video first leaves its times in a folder that all share.
A file that cannot be read is opened once by each process, which remembers why.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Protocol

import numpy as np

from runtime.atomic import atomic_path
from video_datasets.dataset import Video
from video_datasets.ids import refuse_unsafe_id
from video_datasets.time_grid import TimeGrid
from video_datasets.video.decoding import VideoError
from video_datasets.video.reader import FrameTimes, frame_times, read_clip

TIMES_FOLDER = "times"
_HEAD = 2
"""Numbers in front of the times in a file: duration_s, and first_pts_s (NaN: None)."""


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
        times_folder: keeps the times of every video that was looked at, `<id>.npy`; None: they are
            found anew by every process.
    """

    start_step = 1

    def __init__(self, grid: TimeGrid, min_decoded_share: float, times_folder: Path | None = None) -> None:
        self.grid, self.min_decoded_share, self.times_folder = grid, min_decoded_share, times_folder
        self._unreadable: dict[Path, str] = {}

    def num_frames(self, video: Video) -> int:
        """Return the frames N of a video's uniform grid."""
        return self._times(video).n_frames(self.grid.fps)

    def read(self, video: Video, frames: np.ndarray) -> np.ndarray:
        """Return grid frames (n,) as uint8 (n, H, W, 3)."""
        return read_clip(_path(video), frames, self.grid.fps, self._times(video))

    def _times(self, video: Video) -> FrameTimes:
        path = _path(video)
        if path in self._unreadable:
            raise VideoError(path, self._unreadable[path])
        kept_at = None
        if self.times_folder is not None:
            refuse_unsafe_id(video.video_id, "annotations")
            kept_at = self.times_folder / f"{video.video_id}.npy"
        try:
            return _frame_times(path, self.min_decoded_share, kept_at)
        except VideoError as error:
            self._unreadable[path] = error.reason
            raise


@functools.lru_cache(maxsize=64)  # a clip asks twice; the times of an hour of video are 1.7 MB
def _frame_times(path: Path, min_decoded_share: float, kept_at: Path | None) -> FrameTimes:
    if kept_at is not None and kept_at.is_file():
        return load_times(kept_at)
    times = frame_times(path, min_decoded_share=min_decoded_share)
    if kept_at is not None:
        save_times(kept_at, times)
    return times


def save_times(path: Path, times: FrameTimes) -> None:
    """Write the times of a video's frames; the file appears whole or not at all."""
    first_pts_s = np.nan if times.first_pts_s is None else times.first_pts_s
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.save(file, np.concatenate([[times.duration_s, first_pts_s], times.times_s]), allow_pickle=False)


def load_times(path: Path) -> FrameTimes:
    """Read what `save_times` wrote."""
    numbers = np.load(path, allow_pickle=False)
    duration_s, first_pts_s = numbers[:_HEAD].tolist()
    return FrameTimes(numbers[_HEAD:], duration_s, None if np.isnan(first_pts_s) else first_pts_s)


def _path(video: Video) -> Path:
    if video.path is None:
        raise VideoError(video.video_id, "video file not found")
    return video.path
