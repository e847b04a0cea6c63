"""The network over the clips of videos, fed frame by frame.

    extractor = Extractor(optimize_for_inference(model), grid, short_side_px=128,
    device=torch.device("cpu"))
    video = extract_video(extractor, path)          # any length, in bounded memory
    video.features, video.times_s, video.duration_s

Every source frame is decoded once, and each frame that clips use is converted, scaled and
normalised once. What the network could compute once per frame as well (the stem and the first 1x1
convolution with its shortcut, a twentieth of TAda2D-R50's arithmetic) is computed per clip: it
would save less than it costs in code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from feature_extraction.clips import ClipAssembler
from runtime.errors import InputError
from tadaconv import VideoNetwork, optimize_for_inference
from video_datasets.time_grid import TimeGrid
from video_datasets.video.decoder_process import DEFAULT_TIME_LIMIT_S, DecodeJob
from video_datasets.video.decoding import DEFAULT_MIN_DECODED_SHARE
from video_datasets.video.drive import drive_one
from video_datasets.video.reader import StreamSummary
from video_datasets.video.transforms import centre_crop, scaled_frames, three_crops

BATCH_CLIPS = 8
"""Most clips per forward pass; on a CPU more of them gain nothing."""

_CPU_BATCH_PIXELS = 3_000_000
"""On a CPU, less for large frames: TAda2D-R50 takes 1.8 GB for 8 clips of 8 frames of 224 x 398
px, 1.1 GB for 4."""

_PREPARED_TOGETHER = 16
"""Frames; a block of decoded 32 x 32 px holds 1365 of them, which scaled to 224 px would take
gigabytes."""


@dataclass
class Extractor:
    """The network, and what becomes of frames before it sees them; for one thread.

    Pickles only as `optimised` made it: what is fast on a CPU cannot travel.

    Attributes:
        model: optimised for inference, on `device`; it tells how pixels are normalised.
        grid: which frames each clip takes.
        short_side_px: the whole region is scaled to this short side.
        device: of the model.
        crops: "whole", "centre" or "three" squares of the short side, as in `FeaturesConfig`.
    """

    model: VideoNetwork
    grid: TimeGrid
    short_side_px: int
    device: torch.device
    crops: str = "whole"
    _batch: Tensor = field(default_factory=lambda: torch.empty(0), init=False, repr=False)
    _made_of: VideoNetwork | None = field(default=None, init=False, repr=False)

    @classmethod
    def optimised(
        cls, model: VideoNetwork, grid: TimeGrid, short_side_px: int, device: torch.device
    ) -> Extractor:
        """Make a network as it was trained fast, and see whole frames with it."""
        made = cls(optimize_for_inference(model, device=device), grid, short_side_px, device)
        made._made_of = model
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        if self._made_of is None:
            raise TypeError("this extractor holds an optimised network alone, which does not pickle")
        return Extractor.optimised, (self._made_of, self.grid, self.short_side_px, self.device)

    def prepare(self, frames_NHWC: NDArray[np.uint8]) -> Iterator[Tensor]:
        """Scale and normalise frames: uint8 (n, H, W, 3) to n tensors (3, h, w) on the device."""
        for frames in torch.from_numpy(frames_NHWC).split(_PREPARED_TOGETHER):
            scaled = scaled_frames(self._moved(frames), self.short_side_px)
            yield from self.model.input.normalise(scaled).unbind(1)

    def _moved(self, frames_NHWC: Tensor) -> Tensor:
        """Frames on the device; to a GPU they go by way of pinned memory, so that the next ones are
        made ready while they travel."""
        if self.device.type != "cuda":
            return frames_NHWC
        with torch.cuda.device(self.device):  # else pinning would set up a context on GPU 0
            return frames_NHWC.pin_memory().to(self.device, non_blocking=True)

    def batch_clips(self, frame_CHW: Tensor) -> int:
        """Clips per forward pass for frames of this size; depends on nothing else, so results
        are repeatable."""
        if self.device.type != "cpu":
            return BATCH_CLIPS
        clip_pixels = self.grid.clip_frames * frame_CHW.shape[1] * frame_CHW.shape[2]
        return max(1, min(BATCH_CLIPS, _CPU_BATCH_PIXELS // clip_pixels))

    def forward(self, clips: list[list[Tensor]]) -> NDArray[np.float32]:
        """Return the features (n, C) of n clips of T frames (3, h, w); (n, 3 C) for three crops."""
        with torch.inference_mode():
            views = self._views(self._stacked(clips))
            features = [self.model.forward_features(view) for view in views]
            return torch.cat(features, dim=1).float().cpu().numpy()

    def _stacked(self, clips: list[list[Tensor]]) -> Tensor:
        """Put clips of T frames (C, H, W) into one batch (B, C, T, H, W), each frame copied once.

        Always into the same memory: taking 68 MB anew from the system costs six times the copying.
        """
        frame = clips[0][0]
        shape = (frame.shape[0], len(clips[0]), *frame.shape[1:])
        if self._batch.shape[1:] != shape or len(self._batch) < len(clips):
            self._batch = frame.new_empty(max(len(clips), self.batch_clips(frame)), *shape)
        batch = self._batch[: len(clips)]
        for clip, place in zip(clips, batch, strict=True):
            torch.stack(clip, dim=1, out=place)
        return batch

    def _views(self, clips_BCTHW: Tensor) -> tuple[Tensor, ...]:
        if self.crops == "whole":
            return (clips_BCTHW,)
        if self.crops == "centre":
            return (centre_crop(clips_BCTHW, self.short_side_px),)
        return three_crops(clips_BCTHW, self.short_side_px)


class VideoExtraction:
    """The features of one video while its frames come in; batches hold clips of this video only.

    So the result does not depend on which other videos are decoded at the same time.

    Args:
        extractor: the network.
        assembler: which clips; None: those of the extractor's grid.
    """

    def __init__(self, extractor: Extractor, assembler: ClipAssembler | None = None) -> None:
        self.extractor = extractor
        self.assembler = assembler or ClipAssembler.at_every_stride(extractor.grid)
        self.clips: list[list[Tensor]] = []
        self.features = _GrowingRows()

    def add(self, indices: NDArray[np.int64], frames_NHWC: NDArray[np.uint8]) -> None:
        """Take decoded frames (n, H, W, 3) and their grid indices (n,), increasing over all
        calls."""
        for index, frame in zip(indices.tolist(), self.extractor.prepare(frames_NHWC), strict=True):
            self._add_clips(self.assembler.push(index, frame))

    def finish(self, n_frames: int) -> NDArray[np.float32]:
        """Return the features (T, C) of a video that turned out to have `n_frames` grid frames.

        Raises:
            InputError: if the grid's convention gives such a short video no feature at all.
        """
        self._add_clips(self.assembler.finish(n_frames))
        self._forward()
        if not self.features.count:
            grid = self.extractor.grid
            raise InputError(
                f"too short for a feature: {n_frames} frames at {grid.fps:g} fps, convention '{grid.convention}'; "
                f"'centred' covers any length"
            )
        return self.features.rows()

    def _add_clips(self, clips: Iterable[list[Tensor]]) -> None:
        for clip in clips:
            self.clips.append(clip)
            if len(self.clips) == self.extractor.batch_clips(clip[0]):
                self._forward()

    def _forward(self) -> None:
        if self.clips:
            self.features.append(self.extractor.forward(self.clips))
            self.clips = []


class _GrowingRows:
    """Rows of one array that doubles when it is full.

    A list of small arrays, each of them allocated between the large ones of a batch, would keep the
    memory of those from being used again: gigabytes in an hour of video.
    """

    def __init__(self) -> None:
        self._rows = np.empty((0, 0), dtype=np.float32)
        self.count = 0

    def append(self, rows: NDArray[np.float32]) -> None:
        end = self.count + len(rows)
        if end > len(self._rows):
            larger = np.empty((max(2 * end, 1024), rows.shape[1]), dtype=np.float32)
            larger[: self.count] = self._rows[: self.count] if self.count else 0
            self._rows = larger
        self._rows[self.count : end] = rows
        self.count = end

    def rows(self) -> NDArray[np.float32]:
        return self._rows[: self.count]


# ---- one video by itself


@dataclass(frozen=True)
class VideoFeatures:
    """The features of one video.

    Attributes:
        features: (T, C).
        times_s: of each feature, in seconds from the first shown frame, (T,).
        summary: what decoding found: frames, duration, rate.
    """

    features: NDArray[np.float32]
    times_s: NDArray[np.float64]
    summary: StreamSummary

    @property
    def duration_s(self) -> float:
        """From the first shown frame to the end of the last one's time on screen."""
        return self.summary.duration_s


def extract_video(
    extractor: Extractor,
    path: Path | str,
    *,
    min_decoded_share: float = DEFAULT_MIN_DECODED_SHARE,
    time_limit_s: float = DEFAULT_TIME_LIMIT_S,
    progress: Callable[[float], object] = lambda decoded_s: None,
) -> VideoFeatures:
    """Extract the features of one video, decoded in a child process while the network works.

    Args:
        extractor: network and grid.
        path: video file.
        min_decoded_share: smallest share of the promised frames that must decode.
        time_limit_s: a decoder that shows no progress for so long is stopped.
        progress: called with the seconds of video done, now and then.

    Raises:
        VideoError: if the video cannot be decoded.
        InputError: if the grid's convention gives such a short video no feature.
    """
    job = DecodeJob(
        video_id=str(path),
        path=Path(path),
        fps=extractor.grid.fps,
        wanted=extractor.grid.may_use,
        min_decoded_share=min_decoded_share,
    )
    extraction = Extraction(VideoExtraction(extractor))
    features, summary = drive_one(job, extraction, time_limit_s=time_limit_s, progress=progress)
    return VideoFeatures(features, extractor.grid.times_s(summary.n_frames), summary)


class Extraction:
    """A `VideoExtraction` to which `video_datasets.video.drive` gives the frames."""

    def __init__(self, extraction: VideoExtraction) -> None:
        self.extraction = extraction

    def add(self, indices: NDArray[np.int64], frames_NHWC: NDArray[np.uint8]) -> None:
        """Take frames (n, H, W, 3) and their grid indices (n,)."""
        self.extraction.add(indices, frames_NHWC)

    def finish(self, summary: StreamSummary) -> tuple[NDArray[np.float32], StreamSummary]:
        """Return the features (T, C), and what decoding found."""
        return self.extraction.finish(summary.n_frames), summary
