"""From streamed frames to clips, holding only the frames that coming clips still need."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from video_datasets.time_grid import TimeGrid


class ClipAssembler:
    """Puts the clips of one video together while its frames stream by.

    Clip k is complete as soon as its last frame has come; clips that reach over the end of the video repeat its
    last frame, so they wait for `finish`. Consecutive clips share frames: each frame is held once.

    Args:
        grid: which frames each clip takes.
    """

    def __init__(self, grid: TimeGrid) -> None:
        self.grid = grid
        self.frames: dict[int, Tensor] = {}
        self.next_clip = 0

    def push(self, index: int, frame_CHW: Tensor) -> Iterator[list[Tensor]]:
        """Take grid frame `index` (increasing, all that `grid.may_use`) and yield the clips that are now complete.

        A clip is the list of its T frames (C, H, W): the frames themselves, which many clips share.
        """
        self.frames[index] = frame_CHW
        # A clip of one frame may lie before its feature's place, which need not be in the video yet.
        wait = max(0, -int(self.grid.clip_offsets[-1]))
        while self.grid.clip_frames_of(self.next_clip)[-1] + wait <= index:
            yield self._take(n_frames=None)

    def finish(self, n_frames: int) -> Iterator[list[Tensor]]:
        """Yield the remaining clips of a video that turned out to have `n_frames` grid frames."""
        while self.next_clip < self.grid.num_features(n_frames):
            yield self._take(n_frames)

    def _take(self, n_frames: int | None) -> list[Tensor]:
        indices = self.grid.clip_frames_of(self.next_clip).clip(0, None if n_frames is None else n_frames - 1)
        self.next_clip += 1
        clip = [self.frames[int(index)] for index in indices]
        first = max(int(self.grid.clip_frames_of(self.next_clip)[0]), 0)
        # The newest frame may be the video's last, which later clips repeat.
        needed_from = min(first, max(self.frames))
        self.frames = {index: frame for index, frame in self.frames.items() if index >= needed_from}
        return clip
