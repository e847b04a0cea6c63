"""Frames of a small training set, decoded once and kept on disk, so that no epoch decodes them
again.

One HDF5 file a video, `<id>.h5`: "frames" uint8 (n, H, W, 3) and "indices" (n,), every `step`-th
grid frame of the labelled segments, at the largest short side of training; attribute "num_frames"
is the N of the video's grid.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch

from classification.finetune.sampling import segment_frames
from feature_extraction.store import video_file_name
from runtime.errors import InputError
from runtime.hdf5 import open_hdf5, writing_hdf5
from runtime.progress import progress
from runtime.stage import StageRun
from training.held import HELD_BYTES, Held
from video_datasets.dataset import Video
from video_datasets.time_grid import TimeGrid
from video_datasets.video.container import VideoError
from video_datasets.video.decoder_process import DecodeJob
from video_datasets.video.drive import drive
from video_datasets.video.reader import StreamSummary
from video_datasets.video.transforms import resize_short_side, to_float

FRAMES_FOLDER = "frames"


class FrameCache:
    """Clip source that reads cached frames, and keeps some of them in memory.

    Args:
        folder: of the cache.
        step: every how many grid frames there is one.
        held_bytes: of frames that are kept.
    """

    def __init__(self, folder: Path, step: int, held_bytes: int = HELD_BYTES) -> None:
        self.folder, self.start_step = folder, step
        self._known: dict[str, tuple[int, np.ndarray]] = {}
        self._held: Held[np.ndarray] = Held(held_bytes)

    def holds(self, video: Video) -> bool:
        """Whether a video could be decoded to the cache."""
        return (self.folder / video_file_name(video.video_id)).is_file()

    def num_frames(self, video: Video) -> int:
        """Return the frames N of a video's uniform grid."""
        return self._extent(video)[0]

    def read(self, video: Video, frames: np.ndarray) -> np.ndarray:
        """Return grid frames (n,), multiples of the step, as uint8 (n, H, W, 3)."""
        cached = self._extent(video)[1]
        rows = np.searchsorted(cached, frames)
        if rows.max() >= len(cached) or not np.array_equal(cached[rows], frames):
            raise VideoError(video.video_id, "a labelled segment lies after the last frame of the video")
        held = self._held.get(video.video_id)
        if held is not None:
            return held[rows]
        with open_hdf5(self.folder / video_file_name(video.video_id)) as file:
            dataset = file["frames"]
            whole = self._held.fits(dataset.nbytes)
            first = 0 if whole else int(rows.min())
            block: np.ndarray = dataset[first : None if whole else int(rows.max()) + 1]
        if whole:
            self._held.keep(video.video_id, block, block.nbytes)
        return block[rows - first]

    def _extent(self, video: Video) -> tuple[int, np.ndarray]:
        """Return the N of a video's grid and which frames are cached; read once, since opening a
        file takes long."""
        if video.video_id not in self._known:
            with open_hdf5(self.folder / video_file_name(video.video_id)) as file:
                indices = file["indices"][()] if "indices" in file else np.empty(0, np.int64)
                self._known[video.video_id] = int(file.attrs["num_frames"]), indices
        return self._known[video.video_id]


def build_frame_cache(run: StageRun, videos: Iterable[Video], grid: TimeGrid) -> FrameCache:
    """Decode what is missing from a run's cache; videos that cannot be decoded are listed in the
    run.

    Raises:
        InputError: if the frames of a clip do not lie at multiples of the step.
    """
    config, runtime = run.config.finetune, run.config.runtime
    step, short_side_px = config.frame_cache_step, max(config.short_side_px)
    if config.sampling == "interval" and (grid.clip_steps % step).any():
        raise InputError(
            f"finetune.frame_cache_step={step} must divide the places of a clip's frames, {grid.clip_steps.tolist()}; "
            f"set it to 0, or to a divisor of grid.interval_frames={grid.interval_frames} with grid.spacing=interval"
        )
    folder = run.folder / FRAMES_FOLDER
    videos = list(videos)
    jobs = [
        _job(video, grid, step, config.min_decoded_share)
        for video in videos
        if video.segments and not (folder / video_file_name(video.video_id)).is_file()
    ]
    results = drive(
        jobs,
        lambda job: _CachedVideo(folder / video_file_name(job.video_id), step, short_side_px),
        workers=runtime.workers,
        time_limit_s=runtime.video_time_limit_s,
    )
    for job, result in progress(results, description="decoding", total=len(jobs), unit="video"):
        if isinstance(result, VideoError):
            run.skip(job.video_id, result.reason)
    return FrameCache(folder, step)


def cached_indices(video: Video, grid: TimeGrid, num_frames: int, step: int) -> set[int]:
    """Return the grid frames that clips of a video's segments can ask for.

    Args:
        video: with its segments.
        grid: gives the spacing of a clip's frames.
        num_frames: at least the N of the video's grid, which is known only when it has been
            decoded.
        step: of the cache.
    """
    wanted: set[int] = set()
    for segment in video.segments:
        first, stop = segment_frames(grid, segment, num_frames)
        missing = max(grid.clip_span_frames - (stop - first), 0)  # a clip that is longer than its segment
        # In front there is room for the segment of one frame that the end of the video may leave.
        first, stop = max(first - grid.clip_span_frames // 2, 0), min(stop + missing, num_frames)
        wanted.update(range(first - first % step, stop, step))
    return wanted


def _job(video: Video, grid: TimeGrid, step: int, min_decoded_share: float) -> DecodeJob:
    assert video.path is not None
    beyond_any_video = (
        int(max(segment.end_s for segment in video.segments) * grid.fps) + grid.clip_span_frames
    )
    return DecodeJob(
        video_id=video.video_id,
        path=video.path,
        fps=grid.fps,
        wanted=sorted(cached_indices(video, grid, beyond_any_video, step)),
        min_decoded_share=min_decoded_share,
    )


class _CachedVideo:
    """The frames of one video while they come in (`video_datasets.video.drive`)."""

    def __init__(self, path: Path, step: int, short_side_px: int) -> None:
        self.path = path
        self.step, self.short_side_px = step, short_side_px
        self.indices: list[np.ndarray] = []
        self.frames: list[np.ndarray] = []

    def add(self, indices: np.ndarray, frames_NHWC: np.ndarray) -> None:
        """Take frames (n, H, W, 3) and their grid indices (n,)."""
        kept = indices % self.step == 0  # the decoder adds the video's last frame
        if kept.any():
            scaled = resize_short_side(to_float(frames_NHWC[kept]), self.short_side_px)
            self.frames.append((scaled * 255).round().to(torch.uint8).permute(1, 2, 3, 0).numpy())
            self.indices.append(indices[kept])

    def finish(self, summary: StreamSummary) -> None:
        """Write the file."""
        with writing_hdf5(self.path) as file:
            if self.frames:
                file["frames"], file["indices"] = np.concatenate(self.frames), np.concatenate(self.indices)
            file.attrs["num_frames"] = summary.n_frames
