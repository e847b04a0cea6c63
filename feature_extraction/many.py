"""Features of many videos on this machine: many decoders, one network, and nothing that one bad video can stop."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch

from feature_extraction.extractor import VideoExtraction
from feature_extraction.recipe import LoadedRecipe
from runtime.progress import progress
from video_datasets.video.decoder_process import DecodeJob, decode_interleaved
from video_datasets.video.decoding import VideoError


class Outcome(NamedTuple):
    """A video that is through: its features are written, or there is a reason why not."""

    video_id: str
    reason: str
    """Empty when the features are written."""
    frames_decoded: int
    """Source frames; 0 without features."""


def extract_all(loaded: LoadedRecipe, videos: Mapping[str, Path]) -> Iterator[Outcome]:
    """Extract videos by id, `runtime.workers` at a time, or on the cluster of `runtime.scheduler`; write each.

    A video that fails is tried once more, after all others; then its reason is final.
    """
    if loaded.recipe.runtime.scheduler:
        from feature_extraction.cluster import extract_on_cluster

        yield from extract_on_cluster(loaded, videos)
        return
    jobs = [loaded.job(video_id, path) for video_id, path in videos.items()]
    failed = []
    for job, outcome in _extract_here(loaded, jobs):
        if outcome.reason:
            failed.append(job)
        else:
            yield outcome
    for _, outcome in _extract_here(loaded, failed):
        yield outcome


def _extract_here(loaded: LoadedRecipe, jobs: Iterable[DecodeJob]) -> Iterator[tuple[DecodeJob, Outcome]]:
    """Extract each video once, in this process, as its frames come in."""
    runtime = loaded.recipe.runtime
    under_way: dict[str, VideoExtraction] = {}
    too_large: dict[str, str] = {}
    messages = decode_interleaved(jobs, workers=runtime.workers, time_limit_s=runtime.video_time_limit_s)
    for job, message in messages:
        name = job.video_id
        if isinstance(message, tuple):
            if name not in too_large:
                extraction = under_way.setdefault(name, VideoExtraction(loaded.extractor))
                reason = _within_memory(partial(extraction.add, *message))
                if reason:
                    too_large[name] = reason
                    del under_way[name]
            continue
        extraction = under_way.pop(name) if name in under_way else VideoExtraction(loaded.extractor)
        if isinstance(message, VideoError):
            too_large.pop(name, None)
            yield job, Outcome(name, message.reason, 0)
        else:
            reason = too_large.pop(name, "") or _within_memory(
                partial(loaded.write, extraction, job, message)
            )
            yield job, Outcome(name, reason, 0 if reason else message.frames_decoded)


def _within_memory(act: Callable[[], str | None]) -> str:
    """Act on one video and return what it returns, or that memory ran out: frames of other videos may be smaller."""
    try:
        return act() or ""
    except (RuntimeError, MemoryError) as error:
        if not isinstance(error, (torch.OutOfMemoryError, MemoryError)) and "allocate memory" not in str(
            error
        ):
            raise
        first_line = (str(error) or type(error).__name__).splitlines()[0]
        return f"not enough memory for its clips: {first_line}"


def watched(outcomes: Iterable[Outcome], *, total: int, done: int) -> Iterator[Outcome]:
    """Show a bar with videos/s, frames/s and the time left, and give the outcomes on.

    Args:
        outcomes: as they come.
        total: videos altogether.
        done: those that an earlier attempt has finished.
    """
    frames = 0
    with progress(description="features", total=total, unit="video") as bar:
        bar.initial = bar.n = done  # so that the rate is this attempt's
        for outcome in outcomes:
            frames += outcome.frames_decoded
            bar.update()
            elapsed_s = bar.format_dict["elapsed"]
            bar.set_postfix_str(f"{frames / elapsed_s:.0f} frames/s" if elapsed_s else "", refresh=False)
            yield outcome
