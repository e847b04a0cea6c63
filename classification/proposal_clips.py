"""Features of the clips around chosen frames of a video, from one pass over it, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from feature_extraction.extractor import BATCH_CLIPS, Extractor
from video_datasets.video.decoder_process import DecodedVideo, DecodeJob


class ClipsAround:
    """Puts clips around given frames together while the frames of a video stream by.

    As `feature_extraction.clips.ClipAssembler`, which does so at every stride: frames that coming clips need are
    held once, and clips that reach over the end of the video repeat its last frame.

    Args:
        centres: grid frames (U,), increasing.
        offsets: of a clip's frames from its centre (`TimeGrid.clip_offsets`).
    """

    def __init__(self, centres: NDArray[np.int64], offsets: NDArray[np.int64]) -> None:
        self.frames_of_clip = np.maximum(centres[:, None] + offsets, 0)
        self.frames: dict[int, Tensor] = {}
        self.next_clip = 0

    def push(self, index: int, frame_CHW: Tensor) -> Iterator[list[Tensor]]:
        """Take a grid frame, indices increasing, and yield the clips that are now complete."""
        self.frames[index] = frame_CHW
        while self.next_clip < len(self.frames_of_clip) and self.frames_of_clip[self.next_clip, -1] <= index:
            yield self._take(index)

    def finish(self, n_frames: int) -> Iterator[list[Tensor]]:
        """Yield the remaining clips of a video that turned out to have `n_frames` grid frames."""
        while self.next_clip < len(self.frames_of_clip):
            yield self._take(n_frames - 1)

    def _take(self, last: int) -> list[Tensor]:
        clip = [self.frames[min(index, last)] for index in self.frames_of_clip[self.next_clip].tolist()]
        self.next_clip += 1
        if self.next_clip < len(self.frames_of_clip):
            needed_from = min(self.frames_of_clip[self.next_clip, 0], last)
            self.frames = {index: frame for index, frame in self.frames.items() if index >= needed_from}
        return clip


def clip_features(
    extractor: Extractor,
    path: Path,
    centres: NDArray[np.int64],
    *,
    min_decoded_share: float,
    time_limit_s: float,
) -> NDArray[np.float32]:
    """Return the features (U, C) of the clips around grid frames (U,) of a video, increasing.

    The video is decoded in a child process while the network works.

    Raises:
        VideoError: if it cannot be decoded.
    """
    clips_around = ClipsAround(centres, extractor.grid.clip_offsets)
    job = DecodeJob(
        video_id=path.stem,
        path=path,
        fps=extractor.grid.fps,
        wanted=np.unique(clips_around.frames_of_clip).tolist(),
        min_decoded_share=min_decoded_share,
    )
    decoded = DecodedVideo(job, time_limit_s=time_limit_s)
    waiting: list[list[Tensor]] = []
    features: list[NDArray[np.float32]] = []
    for clip in _clips(extractor, decoded, clips_around):
        waiting.append(clip)
        if len(waiting) == BATCH_CLIPS:
            features.append(extractor.forward(waiting))
            waiting = []
    if waiting:
        features.append(extractor.forward(waiting))
    return np.concatenate(features)


def _clips(extractor: Extractor, decoded: DecodedVideo, clips_around: ClipsAround) -> Iterator[list[Tensor]]:
    for indices, frames in decoded:
        for index, frame in zip(indices.tolist(), extractor.prepare(frames), strict=True):
            yield from clips_around.push(index, frame)
    assert decoded.summary is not None
    yield from clips_around.finish(decoded.summary.n_frames)
