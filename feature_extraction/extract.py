"""Sliding-window features of every video of a run: the work of the stage `features`.

Each video is decoded once, in a child process; of its grid frames only those that some clip uses are converted,
each scaled and normalised once. Every finished video is a file of its own, so a cut-off stage goes on with the
next one; at the end they are merged into features.h5.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

from feature_extraction.backbone import load_backbone
from feature_extraction.extractor import Extractor, VideoExtraction
from feature_extraction.store import (
    MERGED_NAME,
    FeatureStore,
    merge_features,
    video_file_name,
    write_video_features,
)
from runtime.errors import InputError
from runtime.progress import progress
from runtime.stage import StageRun
from tadaconv import optimize_for_inference
from training.device import prepare_device
from video_datasets.dataset import Video, load_dataset
from video_datasets.decoder_process import DecodeJob, decode_interleaved
from video_datasets.decoding import VideoError
from video_datasets.reader import StreamSummary
from video_datasets.time_grid import TimeGrid

MAX_DURATION_GAP_S = 1.0
MAX_DURATION_GAP_SHARE = 0.02
"""How far a video's length may be from its annotation before it is listed; whichever is larger."""


def extract(run: StageRun) -> None:
    """Extract features of all videos on disk; leaves features.h5 in the folder."""
    config = run.config
    device = prepare_device(config.runtime)
    backbone = load_backbone(run.upstream("finetune") / "weights.pt")
    extractor = Extractor(
        optimize_for_inference(backbone.model).to(device),
        TimeGrid.from_config(config.grid),
        config.features.short_side_px,
        device,
    )
    done = set(FeatureStore(run.folder))
    attributes = {"backbone": backbone.name, "backbone_sha256": backbone.sha256}
    videos = _videos_on_disk(run)
    todo = {video.video_id: video for video in videos if video.video_id not in done}
    with progress(description="features", total=len(videos), unit="video") as bar:
        bar.update(len(videos) - len(todo))
        for _ in _extract_all(run, extractor, todo, attributes):
            bar.update()
    run.counts["videos"] = _merge(run.folder)
    _list_other_lengths(run, videos)
    run.summary = f"{run.counts['videos']} videos, {extractor.model.num_features} channels"


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


def _extract_all(
    run: StageRun, extractor: Extractor, todo: dict[str, Video], attributes: dict[str, str]
) -> Iterator[str]:
    """Extract videos as their frames come in, write or list each, and yield the ids of those that are through.

    A video that cannot be decoded is tried once more, after all others, before it is listed.
    """
    config = run.config
    jobs = [_job(video, extractor.grid, config.features.min_decoded_share) for video in todo.values()]
    for is_last_try in (False, True):
        failed = []
        messages = decode_interleaved(
            jobs, workers=config.runtime.workers, time_limit_s=config.runtime.video_time_limit_s
        )
        under_way: dict[str, VideoExtraction] = {}
        for job, message in messages:
            extraction = under_way.setdefault(job.video_id, VideoExtraction(extractor))
            if isinstance(message, tuple):
                extraction.add(*message)
                continue
            del under_way[job.video_id]
            if not isinstance(message, VideoError):
                _write(run, extraction, job, message, attributes)
            elif is_last_try:
                run.skip(job.video_id, message.reason)
            else:
                failed.append(job)
                continue
            yield job.video_id
        jobs = failed


def _write(
    run: StageRun,
    extraction: VideoExtraction,
    job: DecodeJob,
    summary: StreamSummary,
    attributes: dict[str, str],
) -> None:
    """Write the features of one decoded video, or list why there are none."""
    grid = extraction.extractor.grid
    try:
        write_video_features(
            run.folder,
            job.video_id,
            extraction.finish(summary.n_frames),
            grid.times_s(summary.n_frames),
            grid,
            attributes={
                **attributes,
                "source": job.path.name,
                "source_fps": summary.source_fps,
                "frames_decoded": summary.frames_decoded,
                "num_grid_frames": summary.n_frames,
                "duration_s": summary.duration_s,
                "short_side_px": extraction.extractor.short_side_px,
            },
            dtype=run.config.features.dtype,
        )
    except ValueError as error:
        run.skip(job.video_id, str(error))


def _list_other_lengths(run: StageRun, videos: list[Video]) -> None:
    """List videos that are not as long as their annotations say; their features are kept."""
    store = FeatureStore(run.folder)
    for video in videos:
        if math.isnan(video.duration_s) or video.video_id not in store:
            continue
        decoded_s = store.duration_s(video.video_id)
        tolerance_s = max(MAX_DURATION_GAP_S, MAX_DURATION_GAP_SHARE * video.duration_s)
        if abs(decoded_s - video.duration_s) > tolerance_s:
            reason = f"kept, but lasts {decoded_s:.1f} s, annotated with {video.duration_s:.1f} s"
            run.skip(video.video_id, reason)


def _merge(folder: Path) -> int:
    """Merge the per-video files, remove them, and return the number of videos."""
    count = merge_features(folder)
    for video_id in FeatureStore(folder / MERGED_NAME):
        (folder / video_file_name(video_id)).unlink(missing_ok=True)
    return count
