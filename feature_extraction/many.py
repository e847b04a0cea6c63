"""Features of many videos, and nothing that one bad video can stop."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from feature_extraction.devices import extract_on_devices
from feature_extraction.outcome import Outcome
from feature_extraction.recipe import LoadedRecipe
from runtime.parallel import KILLED, WorkerDiedError
from runtime.progress import progress
from training.watching import Reading, StepClock
from video_datasets.video.container import VideoError


def extract_all(loaded: LoadedRecipe, videos: Mapping[str, Path], clock: StepClock) -> Iterator[Outcome]:
    """Extract videos by id, on the devices of `runtime.device` or the cluster of `runtime.scheduler`;
    write each.

    A video that fails is tried once more, after all others; then its reason is final.

    Args:
        loaded: network and settings.
        videos: files by id.
        clock: adds up how long the devices of this machine worked and waited for frames.
    """
    failed = {}
    for name, outcome in _extract(loaded, videos, clock):
        if outcome.reason not in ("", KILLED):  # which was tried twice already
            failed[name] = videos[name]
        else:
            yield outcome
    for _, outcome in _extract(loaded, failed, clock):
        yield outcome


def _extract(
    loaded: LoadedRecipe, videos: Mapping[str, Path], clock: StepClock
) -> Iterator[tuple[str, Outcome]]:
    """Extract each video once."""
    if not videos:
        return
    results: Iterator[tuple[str, Outcome | Exception]]
    if loaded.recipe.runtime.scheduler:
        from feature_extraction.cluster import extract_on_cluster

        results = extract_on_cluster(loaded, videos)
    else:
        jobs = [loaded.job(name, path) for name, path in videos.items()]
        here = extract_on_devices(loaded.on_all_devices, jobs, clock)
        results = ((job.video_id, result) for job, result in here)
    for name, result in results:
        if isinstance(result, VideoError):
            yield name, Outcome(name, result.reason, 0)
        elif isinstance(result, WorkerDiedError):
            yield name, Outcome(name, str(result), 0)
        elif isinstance(result, Exception):
            raise result  # every video would fail the same way
        else:
            yield name, result


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


def waiting(reading: Reading) -> str:
    """Say, as an ending of a line, how much of its time the device waited for frames; empty where it
    had nothing to do, or a cluster did it.

    >>> waiting(Reading(duration_s=8.0, waited_s=2.0))
    ', 25 % of the time waiting for data'
    """
    return (
        f", {100 * reading.data_wait_share:.0f} % of the time waiting for data" if reading.duration_s else ""
    )
