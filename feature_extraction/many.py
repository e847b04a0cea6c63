"""Features of many videos on this machine: many decoders, one network, and nothing that one bad
video can stop."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from feature_extraction.outcome import Outcome
from feature_extraction.recipe import LoadedRecipe
from runtime.parallel import KILLED, WorkerDiedError
from runtime.progress import progress
from video_datasets.video.container import VideoError
from video_datasets.video.decoder_process import DecodeJob
from video_datasets.video.drive import drive


def extract_all(loaded: LoadedRecipe, videos: Mapping[str, Path]) -> Iterator[Outcome]:
    """Extract videos by id, `runtime.workers` at a time, or on the cluster of `runtime.scheduler`;
    write each.

    A video that fails is tried once more, after all others; then its reason is final.
    """
    failed = {}
    for name, outcome in _extract(loaded, videos):
        if outcome.reason not in ("", KILLED):  # which was tried twice already
            failed[name] = videos[name]
        else:
            yield outcome
    for _, outcome in _extract(loaded, failed):
        yield outcome


def _extract(loaded: LoadedRecipe, videos: Mapping[str, Path]) -> Iterator[tuple[str, Outcome]]:
    """Extract each video once."""
    if loaded.recipe.runtime.scheduler and videos:
        from feature_extraction.cluster import extract_on_cluster

        results = extract_on_cluster(loaded, videos)
    else:
        results = _extract_here(loaded, [loaded.job(name, path) for name, path in videos.items()])
    for name, result in results:
        if isinstance(result, VideoError):
            yield name, Outcome(name, result.reason, 0)
        elif isinstance(result, WorkerDiedError):
            yield name, Outcome(name, str(result), 0)
        elif isinstance(result, Exception):
            raise result  # every video would fail the same way
        else:
            yield name, result


def _extract_here(
    loaded: LoadedRecipe, jobs: Iterable[DecodeJob]
) -> Iterator[tuple[str, Outcome | Exception]]:
    """Extract in this process, as the frames come in."""
    runtime = loaded.recipe.runtime
    results = drive(jobs, loaded.writer, workers=runtime.workers, time_limit_s=runtime.video_time_limit_s)
    for job, result in results:
        yield job.video_id, result


def watched(outcomes: Iterable[Outcome], *, total: int, done: int) -> Iterator[Outcome]:
    """Show a bar with videos/s, frames/s and the time left, and give the outcomes on.

    Args:
        outcomes: as they come.
        total: videos altogether.
        done: those that an earlier attempt has finished.
    """
    frames = 0
    with progress(description="features", total=total, initial=done, unit="video") as bar:
        for outcome in outcomes:
            frames += outcome.frames_decoded
            bar.update()
            elapsed_s = bar.format_dict["elapsed"]
            bar.set_postfix_str(f"{frames / elapsed_s:.0f} frames/s" if elapsed_s else "", refresh=False)
            yield outcome
