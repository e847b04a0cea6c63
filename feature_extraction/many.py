"""Features of many videos on this machine: many decoders, one network, and nothing that one bad
video can stop."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from feature_extraction.outcome import Outcome
from feature_extraction.recipe import LoadedRecipe
from runtime.progress import progress
from video_datasets.video.container import VideoError
from video_datasets.video.decoder_process import DecodeJob
from video_datasets.video.drive import drive


def extract_all(loaded: LoadedRecipe, videos: Mapping[str, Path]) -> Iterator[Outcome]:
    """Extract videos by id, `runtime.workers` at a time, or on the cluster of `runtime.scheduler`;
    write each.

    A video that fails is tried once more, after all others; then its reason is final.
    """
    if loaded.recipe.runtime.scheduler:
        from feature_extraction.cluster import extract_on_cluster  # Dask is an extra

        yield from extract_on_cluster(loaded, videos)
        return
    failed = []
    for job, outcome in _extract_here(loaded, [loaded.job(name, path) for name, path in videos.items()]):
        if outcome.reason:
            failed.append(job)
        else:
            yield outcome
    for _, outcome in _extract_here(loaded, failed):
        yield outcome


def _extract_here(loaded: LoadedRecipe, jobs: Iterable[DecodeJob]) -> Iterator[tuple[DecodeJob, Outcome]]:
    """Extract each video once, in this process, as its frames come in."""
    runtime = loaded.recipe.runtime
    results = drive(jobs, loaded.writer, workers=runtime.workers, time_limit_s=runtime.video_time_limit_s)
    for job, result in results:
        yield job, Outcome(job.video_id, result.reason, 0) if isinstance(result, VideoError) else result


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
