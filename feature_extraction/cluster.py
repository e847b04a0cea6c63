"""Features of many videos on a Dask cluster (`runtime.cluster`): one task is one video.

Each worker process loads the network once and uses it from one thread; its other threads each feed
it with a video that a child process decodes, so `--nthreads` is the number of decoders for one
device. Batches hold clips of one video only and torch's threads are fixed, so features equal those
of a single machine bit for bit (on the same kind of processor). All machines see the videos and the
output folder under the same paths.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from feature_extraction.outcome import Outcome
from feature_extraction.recipe import FeatureWriter, LoadedRecipe, Recipe
from runtime.cluster import map_on_cluster
from video_datasets.video.container import VideoError
from video_datasets.video.drive import drive_one
from video_datasets.video.reader import StreamSummary

_LOADING = threading.Lock()
_NETWORK = ThreadPoolExecutor(1, thread_name_prefix="network")
"""The one thread of a worker process in which torch works."""


@dataclass(frozen=True)
class Task:
    """One video to extract on a worker."""

    recipe: Recipe
    video_id: str
    path: Path


def extract_on_cluster(
    loaded: LoadedRecipe, videos: Mapping[str, Path]
) -> Iterator[tuple[str, Outcome | Exception]]:
    """Extract videos by id, once each, on the cluster of `runtime.scheduler`.

    Raises:
        InputError: if the cluster cannot be used.
    """
    recipe = loaded.recipe.for_workers(loaded.backbone.sha256)
    tasks = {name: Task(recipe, name, path.absolute()) for name, path in videos.items()}
    yield from map_on_cluster(recipe.runtime.scheduler, extract_here, tasks, recipe.folder)


# ---- on a worker


def extract_here(task: Task) -> Outcome:
    """Extract one video on a worker.

    Raises:
        InputError: if the network cannot be loaded here.
    """
    with _LOADING:
        loaded = _load(task.recipe)
    job = loaded.job(task.video_id, task.path)
    writer = _OnNetworkThread(loaded.writer(job))
    try:
        return drive_one(job, writer, time_limit_s=task.recipe.runtime.video_time_limit_s)
    except VideoError as error:
        return Outcome(task.video_id, error.reason, 0)


class _OnNetworkThread:
    """Has a writer work in the one thread in which torch works."""

    def __init__(self, writer: FeatureWriter) -> None:
        self.writer = writer

    def add(self, indices: NDArray[np.int64], frames_NHWC: NDArray[np.uint8]) -> None:
        _NETWORK.submit(self.writer.add, indices, frames_NHWC).result()

    def finish(self, summary: StreamSummary) -> Outcome:
        return _NETWORK.submit(self.writer.finish, summary).result()


@functools.lru_cache(maxsize=1)
def _load(recipe: Recipe) -> LoadedRecipe:
    return _NETWORK.submit(recipe.load).result()
