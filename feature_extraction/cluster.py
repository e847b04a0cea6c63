"""Features of many videos on a Dask cluster that is already running: one task is one video.

    dask scheduler --host 10.0.0.5                       # an address that only the cluster sees; see docs/hacs.md
    dask worker tcp://10.0.0.5:8786 --nthreads 16        # one for each GPU (CUDA_VISIBLE_DEVICES), or each CPU machine
    python -m feature_extraction ... --scheduler tcp://host:8786

Each worker process loads the network once and uses it from one thread; its other threads each feed
it with a video that a child process decodes, so `--nthreads` is the number of decoders for one
device. Batches hold clips of one video only and torch's threads are fixed, so features equal those
of a single machine bit for bit (on the same kind of processor). All machines see the videos and the
output folder under the same paths.

A worker that is killed costs its videos one attempt: they are extracted again after all others, one
at a time so that a video that kills its worker stops no other, and are listed if that fails, too.
Dask alone would let such a video kill as many workers as the scheduler allows, so each attempt
leaves a mark in the output folder. Nothing else is kept by the cluster: when it stops, the same
command goes on from the folder.
"""

from __future__ import annotations

import functools
import multiprocessing
import shutil
import threading
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feature_extraction.outcome import Outcome
from feature_extraction.recipe import FeatureWriter, LoadedRecipe, Recipe
from runtime.errors import InputError
from runtime.parallel import WorkerDiedError, cluster_map
from runtime.resources import versions
from video_datasets.video.container import VideoError
from video_datasets.video.drive import drive_one
from video_datasets.video.reader import StreamSummary

MARKS_FOLDER = ".attempts"
"""In the output folder: an empty file for each video that a worker has begun."""

_CONNECT_LIMIT_S = 30
_SAME_VERSIONS = ("tadaloc", "torch", "numpy", "av")
_LOADING = threading.Lock()
_NETWORK = ThreadPoolExecutor(1, thread_name_prefix="network")
"""The one thread of a worker process in which torch works."""


@dataclass(frozen=True)
class Task:
    """One video to extract on a worker, and where its attempt leaves a mark."""

    recipe: Recipe
    video_id: str
    path: Path
    mark: Path


def extract_on_cluster(loaded: LoadedRecipe, videos: Mapping[str, Path]) -> Iterator[Outcome]:
    """Extract videos by id on the cluster of `runtime.scheduler`; a video that fails twice is
    listed.

    Raises:
        InputError: if Dask is not installed, there is no such scheduler, or its workers have other
            versions or do not see the output folder.
    """
    recipe = loaded.recipe.for_workers(loaded.backbone.sha256)
    with _client(recipe.runtime.scheduler) as client:
        _check_workers(client, recipe)
        marks = recipe.folder / MARKS_FOLDER
        try:
            yield from _with_second_attempts(client, recipe, videos, marks)
        finally:
            shutil.rmtree(marks, ignore_errors=True)


def _with_second_attempts(
    client: Any, recipe: Recipe, videos: Mapping[str, Path], marks: Path
) -> Iterator[Outcome]:
    def tasks(ids: Iterable[str], attempt: int) -> list[Task]:
        (marks / str(attempt)).mkdir(parents=True, exist_ok=True)
        return [Task(recipe, name, videos[name].absolute(), marks / str(attempt) / name) for name in ids]

    shutil.rmtree(marks, ignore_errors=True)  # of an earlier command
    failed, lonely = [], []
    for task, outcome in _run(client, tasks(videos, 1)):
        if outcome is None:
            lonely.append(task.video_id)
        elif outcome.reason:
            failed.append(task.video_id)
        else:
            yield outcome
    again = [_run(client, tasks(failed, 2)), *(_run(client, tasks([name], 2)) for name in lonely)]
    for results in again:
        for task, outcome in results:
            yield outcome or Outcome(task.video_id, "its worker was killed, twice (out of memory?)", 0)


def _run(client: Any, tasks: list[Task]) -> Iterator[tuple[Task, Outcome | None]]:
    """Extract on the workers; an outcome is None where the worker died."""
    for task, result in cluster_map(client, extract_here, tasks):
        if isinstance(result, Outcome):
            yield task, result
        elif result is None or isinstance(result, WorkerDiedError):
            yield task, None
        else:
            raise result  # every video would fail the same way


# ---- the cluster


def _client(address: str) -> Any:
    try:
        import distributed
    except ImportError as error:
        raise InputError("runtime.scheduler needs Dask: pip install 'tadaloc[cluster]'") from error
    try:
        return distributed.Client(address, timeout=_CONNECT_LIMIT_S)
    except (OSError, ValueError) as error:
        raise InputError(
            f"runtime.scheduler: no Dask scheduler answers at '{address}' within {_CONNECT_LIMIT_S} s ({error})"
        ) from error


def _check_workers(client: Any, recipe: Recipe) -> None:
    try:
        client.wait_for_workers(1, timeout=_CONNECT_LIMIT_S)
    except TimeoutError as error:
        raise InputError(
            f"{recipe.runtime.scheduler}: the scheduler has no workers; start some, see "
            f"feature_extraction/cluster.py"
        ) from error
    recipe.folder.mkdir(parents=True, exist_ok=True)
    wanted = versions()
    for worker, found in client.run(look_around, recipe.folder, on_error="return").items():
        if isinstance(found, Exception):
            raise InputError(
                f"worker {worker} cannot run tadaloc ({found!r}); install it there, same version"
            )
        different = [f"{k} {found[k]}, here {wanted[k]}" for k in _SAME_VERSIONS if found[k] != wanted[k]]
        if different:
            raise InputError(f"worker {worker} has other versions: {'; '.join(different)}")
        if not found["sees_folder"]:
            raise InputError(f"worker {worker} does not see {recipe.folder}; use a shared file system")


# ---- on a worker


def look_around(folder: Path) -> dict[str, Any]:
    """Return the versions of a worker, and whether it sees the output folder."""
    return {**versions(), "sees_folder": folder.is_dir()}


def extract_here(task: Task) -> Outcome | None:
    """Extract one video on a worker; None if an earlier worker died of it, or beside it.

    Raises:
        InputError: if the network cannot be loaded here.
    """
    try:
        task.mark.touch(exist_ok=False)
    except FileExistsError:
        return None
    # Dask's workers are daemonic, to which Python denies children; ours end with their work or
    # their parent.
    multiprocessing.current_process()._config["daemon"] = False  # type: ignore[attr-defined]
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
