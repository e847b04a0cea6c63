"""Sliding-window features of every video of a run: the work of the stage `features`.

Each video is decoded once, in a child process; of its grid frames only those that some clip uses are converted,
each scaled and normalised once. Every finished video is a file of its own, so a cut-off stage goes on with the
next one; at the end they are merged into features.h5.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from feature_extraction.backbone import load_backbone
from feature_extraction.clips import ClipAssembler
from feature_extraction.store import MERGED_NAME, FeatureStore, merge_features, video_file_name, write_video_features
from runtime.errors import InputError
from runtime.progress import progress
from runtime.schema import GridConfig
from runtime.stage import StageRun
from tadaconv import optimize_for_inference
from training.device import prepare_device
from video_datasets.dataset import Video, load_dataset
from video_datasets.decoder_process import DecodedVideo, DecodeJob, decode_videos
from video_datasets.decoding import VideoError
from video_datasets.time_grid import TimeGrid
from video_datasets.transforms import prepare_frames

BATCH_CLIPS = 8
"""Clips per forward pass; on a CPU more of them gain nothing."""


@dataclass(frozen=True)
class Extractor:
    """The network, and what becomes of frames before it sees them.

    Attributes:
        model: optimised for inference, on `device`.
        grid: which frames each clip takes.
        short_side_px: the whole region is scaled to this short side.
    """

    model: torch.nn.Module
    grid: TimeGrid
    short_side_px: int
    device: torch.device

    def features(self, video: DecodedVideo) -> np.ndarray:
        """Return the features (T, C) float32 of a video that is being decoded.

        Raises:
            VideoError: if it cannot be decoded, or has no frame.
        """
        rows = [self._forward(clips) for clips in _batches(self._clips(video), BATCH_CLIPS)]
        return np.concatenate(rows)

    def _clips(self, video: DecodedVideo) -> Iterator[Tensor]:
        assembler = ClipAssembler(self.grid)
        for indices, frames in video:
            prepared = prepare_frames(torch.from_numpy(frames).to(self.device), self.short_side_px)
            for index, frame in zip(indices.tolist(), prepared.unbind(1), strict=True):
                yield from assembler.push(index, frame)
        if video.summary is None:
            raise VideoError(video.job.path, "the decoder ended without a summary")
        yield from assembler.finish(video.summary.n_frames)

    def _forward(self, clips: list[Tensor]) -> np.ndarray:
        with torch.inference_mode():
            features: Tensor = self.model.forward_features(torch.stack(clips))  # type: ignore[operator]
        return features.float().cpu().numpy()


def extract(run: StageRun) -> None:
    """Extract features of all videos on disk; leaves features.h5 in the folder."""
    config = run.config
    device = prepare_device(config.runtime)
    backbone = load_backbone(run.upstream("finetune") / "weights.pt")
    extractor = Extractor(
        optimize_for_inference(backbone.model).to(device),
        time_grid(config.grid),
        config.features.short_side_px,
        device,
    )
    done = set(FeatureStore(run.folder))
    attributes = {"backbone": backbone.name, "backbone_sha256": backbone.sha256}
    videos = _videos_on_disk(run)
    todo = {video.video_id: video for video in videos if video.video_id not in done}
    jobs = [_job(video, extractor.grid, config.features.min_decoded_share) for video in todo.values()]
    decoding = decode_videos(
        jobs, workers=config.runtime.workers, time_limit_s=config.runtime.video_time_limit_s
    )
    with progress(description="features", total=len(videos), unit="video") as bar:
        bar.update(len(videos) - len(todo))
        for decoded in decoding:
            _extract_one(run, extractor, decoded, todo[decoded.job.video_id], attributes)
            bar.update()
    run.counts["videos"] = _merge(run.folder)
    run.summary = f"{run.counts['videos']} videos, {extractor.model.num_features} channels"


def time_grid(config: GridConfig) -> TimeGrid:
    """Return the time grid of a configuration."""
    return TimeGrid(
        fps=config.fps,
        stride_frames=config.stride_frames,
        clip_frames=config.clip_frames,
        interval_frames=config.interval_frames,
        convention=config.convention,
    )


def _videos_on_disk(run: StageRun) -> list[Video]:
    videos = []
    for video in load_dataset(run.config.data).videos.values():
        if video.path is None:
            run.skip(video.video_id, "video file not found")
        else:
            videos.append(video)
    if not videos:
        raise InputError(f"{run.config.data.root}: none of the annotated videos is there; check data.videos")
    return videos


def _job(video: Video, grid: TimeGrid, min_decoded_share: float) -> DecodeJob:
    assert video.path is not None
    return DecodeJob(
        video_id=video.video_id,
        path=video.path,
        fps=grid.fps,
        wanted=grid.may_use,
        min_decoded_share=min_decoded_share,
    )


def _extract_one(
    run: StageRun, extractor: Extractor, decoded: DecodedVideo, video: Video, attributes: dict[str, str]
) -> None:
    """Write the features of one video, or list why there are none."""
    try:
        features_TC = extractor.features(decoded)
    except VideoError as error:
        run.skip(video.video_id, error.reason)
        return
    summary = decoded.summary
    assert summary is not None
    write_video_features(
        run.folder,
        video.video_id,
        features_TC,
        extractor.grid.times_s(summary.n_frames),
        extractor.grid,
        attributes={
            **attributes,
            "source": decoded.job.path.name,
            "source_fps": summary.source_fps,
            "frames_decoded": summary.frames_decoded,
            "num_grid_frames": summary.n_frames,
            "duration_s": summary.duration_s,
            "short_side_px": extractor.short_side_px,
        },
        dtype=run.config.features.dtype,
    )


def _merge(folder: Path) -> int:
    """Merge the per-video files, remove them, and return the number of videos."""
    count = merge_features(folder)
    for video_id in FeatureStore(folder / MERGED_NAME):
        (folder / video_file_name(video_id)).unlink(missing_ok=True)
    return count


def _batches(clips: Iterator[Tensor], size: int) -> Iterator[list[Tensor]]:
    batch: list[Tensor] = []
    for clip in clips:
        batch.append(clip)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
