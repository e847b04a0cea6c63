"""From streamed frames to clips, holding only the frames that coming clips still need."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from video_datasets.time_grid import TimeGrid


class ClipAssembler:
    """Puts the clips of one video together while its frames stream by.

    A clip is complete as soon as its last frame has come; clips that reach over the end of the
    video repeat its last frame, so they wait for `finish`. Consecutive clips share frames: each
    frame is held once.

    Args:
        clips: grid frames (T,) of each clip, those before the video negative; first frames
            increase.
        num_clips: how many of them a video of so many grid frames has.
        wait_frames: frames after its last one for which a clip waits.
    """

    def __init__(
        self, clips: Iterator[NDArray[np.int64]], num_clips: Callable[[int], int], wait_frames: int = 0
    ) -> None:
        self.frames: dict[int, Tensor] = {}
        self._clips = clips
        self._coming = next(clips, None)
        self._num_clips = num_clips
        self._taken = 0
        self._wait_frames = wait_frames

    @classmethod
    def at_every_stride(cls, grid: TimeGrid) -> ClipAssembler:
        """The clips of a time grid, from the beginning of a video to its end."""
        # A clip of one frame may lie before its feature's place, which need not be in the video
        # yet.
        wait_frames = max(0, -int(grid.clip_offsets[-1]))
        return cls(map(grid.clip_frames_of, itertools.count()), grid.num_features, wait_frames)

    @classmethod
    def around(cls, centres: NDArray[np.int64], offsets: NDArray[np.int64]) -> ClipAssembler:
        """The clips around given grid frames (U,), increasing, of frames at `offsets` (T,) from
        them."""
        return cls(iter(centres[:, None] + offsets), lambda _: len(centres))

    def push(self, index: int, frame_CHW: Tensor) -> Iterator[list[Tensor]]:
        """Take a grid frame (indices increasing, all that clips use) and yield the clips that are
        now complete.

        A clip is the list of its T frames (C, H, W): the frames themselves, which many clips share.
        """
        self.frames[index] = frame_CHW
        while self._coming is not None and self._coming[-1] + self._wait_frames <= index:
            yield self._take(self._coming, n_frames=None)

    def finish(self, n_frames: int) -> Iterator[list[Tensor]]:
        """Yield the remaining clips of a video that turned out to have `n_frames` grid frames."""
        while self._coming is not None and self._taken < self._num_clips(n_frames):
            yield self._take(self._coming, n_frames)

    def _take(self, coming: NDArray[np.int64], n_frames: int | None) -> list[Tensor]:
        indices = coming.clip(0, None if n_frames is None else n_frames - 1)
        clip = [self.frames[int(index)] for index in indices]
        self._taken += 1
        self._coming = next(self._clips, None)
        if self._coming is not None:
            # The newest frame may be the video's last, which later clips repeat.
            needed_from = min(max(int(self._coming[0]), 0), max(self.frames))
            self.frames = {index: frame for index, frame in self.frames.items() if index >= needed_from}
        return clip
