"""One function over many items, wherever that is done: in this process, in worker processes of this
machine, or on a Dask cluster. Results are the same everywhere.

    items --- here, one after the other, as long as that is quick
          --- `runtime.workers` processes of this machine
          --- the workers of `runtime.scheduler`

A function that holds a network is large, so it does not travel with every item: it lies in a file
beside the output, which each worker process reads once and compares with a check sum. One thread of
each process works, so a worker's memory is that of the function and of one item; the largest is in
the record of the stage (`peak_memory_mb`).
"""

from __future__ import annotations

import functools
import hashlib
import multiprocessing
import pickle
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from joblib.externals.loky import get_reusable_executor

from runtime.atomic import atomic_path
from runtime.cluster import begun, map_on_cluster
from runtime.errors import InputError
from runtime.parallel import attempt, parallel_map
from runtime.settings import RuntimeConfig

Item = TypeVar("Item")
Result = TypeVar("Result")

HERE_S = 5.0
"""So long items are done in this process, before others are started: loading PyTorch takes each of
them seconds."""

_BEGUN = ".begun"
_FUNCTION = ".function"
_THE_THREAD = ThreadPoolExecutor(1, thread_name_prefix="item")
"""In which a worker process works: torch counts its threads for each of Python's."""


def map_items(
    function: Callable[[Item], Result],
    items: Mapping[str, Item],
    *,
    runtime: RuntimeConfig,
    folder: Path,
    prepare: Callable[[], object],
) -> Iterator[tuple[str, Result | Exception]]:
    """Apply a function to every item; yield (name, result or exception), in any order.

    An item over which a process was killed is tried once more, in a process of its own; if that is
    killed, too, its result is a `WorkerDiedError`. That holds from one command to the next: a mark
    tells over which item this process was killed.

    Args:
        function: picklable.
        items: picklable, by names that can be those of files.
        runtime: workers or scheduler.
        folder: for the function and the marks; all workers of a cluster see it.
        prepare: called once in each process before the function, such as to fix torch's threads.

    Raises:
        InputError: if the cluster cannot be used, see `runtime.cluster.map_on_cluster`.
    """
    if runtime.scheduler and items:
        yield from map_on_cluster(runtime.scheduler, _ship(function, prepare, folder), items, folder)
        return
    prepare()
    rest = dict(items)
    for name, result in _here(function, items, folder / _BEGUN, runtime.workers):
        del rest[name]
        yield name, result
    if rest:
        # Of one worker, only what this process was killed over is left.
        shipped, workers = _ship(function, prepare, folder), max(runtime.workers, 2)
        results = parallel_map(shipped, list(rest.values()), workers=workers)
        for name, (_, result) in zip(rest, results, strict=True):
            (folder / _BEGUN / name).unlink(missing_ok=True)
            yield name, result
        get_reusable_executor(reuse=True).shutdown(wait=True)  # so that their memory counts


def _here(
    function: Callable[[Item], Result], items: Mapping[str, Item], marks: Path, workers: int
) -> Iterator[tuple[str, Result | Exception]]:
    """Do in this process all items, or with several workers those of the first seconds."""
    marks.mkdir(parents=True, exist_ok=True)
    start_s = time.monotonic()
    for name, item in items.items():
        if workers > 1 and time.monotonic() - start_s >= HERE_S:
            return
        if not (marks / name).exists():
            with begun(marks / name):
                result = attempt(function, item)
            yield name, result


# ---- the function on its way to other processes


@dataclass(frozen=True)
class _Shipped:
    """A function in a file, which each process loads once."""

    path: Path
    sha256: str

    def __call__(self, item: Any) -> Any:
        return _THE_THREAD.submit(_call, self, item).result()


def _ship(function: Callable[[Item], Result], prepare: Callable[[], object], folder: Path) -> _Shipped:
    content = pickle.dumps((prepare, function))
    path = folder.absolute() / _FUNCTION
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)
    return _Shipped(path, hashlib.sha256(content).hexdigest())


def _call(shipped: _Shipped, item: Any) -> Any:
    return _loaded(shipped)(item)


@functools.lru_cache(maxsize=1)
def _loaded(shipped: _Shipped) -> Any:
    content = shipped.path.read_bytes()
    if hashlib.sha256(content).hexdigest() != shipped.sha256:
        raise InputError(f"{shipped.path}: another file here than where the work was started")
    if multiprocessing.get_start_method(allow_none=True) == "loky":
        # joblib's way to start processes, which those that this one starts (decoders) do not know.
        multiprocessing.set_start_method(None, force=True)
    prepare, function = pickle.loads(content)
    prepare()
    return function
