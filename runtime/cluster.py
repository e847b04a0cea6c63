"""Work on many items on a Dask cluster that is already running: one task is one item.

    dask scheduler --host 10.0.0.5                       # an address that only the cluster sees; see docs/hacs.md
    dask worker tcp://10.0.0.5:8786 --nthreads 16        # one for each GPU (CUDA_VISIBLE_DEVICES), or each CPU machine
    python -m proposals ... --scheduler tcp://host:8786

All machines see the files that the work reads, and the folder of its output, under the same paths.

A worker that is killed costs its items one attempt: they are done again after all others, one at a
time so that an item that kills its worker stops no other, and are told if that fails, too. Dask
alone would let such an item kill as many workers as the scheduler allows, so each attempt leaves a
mark in the output folder while it is under way. Nothing else is kept by the cluster: when it stops,
the same command goes on from the folder. How much memory a worker may take is Dask's own
`--memory-limit`.
"""

from __future__ import annotations

import multiprocessing
import queue
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from runtime.errors import InputError
from runtime.parallel import KILLED, WorkerDiedError, attempt
from runtime.resources import versions

Item = TypeVar("Item")
Result = TypeVar("Result")

MARKS_FOLDER = ".attempts"
"""In the output folder: an empty file for each item that a worker is at."""

NO_WORKERS_LIMIT_S = 60.0
"""How long a cluster may be without any worker; those that died are started again within
seconds, if at all."""

_CONNECT_LIMIT_S = 30
_POLL_S = 2.0
_SAME_VERSIONS = ("tadaloc", "torch", "numpy", "av")


def map_on_cluster(
    address: str, function: Callable[[Item], Result], items: Mapping[str, Item], folder: Path
) -> Iterator[tuple[str, Result | Exception]]:
    """Apply a function to every item on the cluster; yield (name, result or exception) as they
    come.

    Args:
        address: of the scheduler, `runtime.scheduler`.
        function: picklable, small; importable on the workers.
        items: by names that can be those of files.
        folder: that all workers see, where attempts leave their marks.

    Raises:
        InputError: if Dask is not installed, there is no such scheduler, its workers have other
            versions or do not see the folder, or the cluster goes away.
    """
    folder = folder.absolute()
    marks = folder / MARKS_FOLDER
    marked = _Marked(function, marks)
    lonely = []
    with _client(address) as client:
        _check_workers(client, address, folder)
        shutil.rmtree(marks, ignore_errors=True)  # of an earlier command
        marks.mkdir()
        try:
            for (name, _), result in cluster_map(client, marked, list(items.items())):
                if isinstance(result, WorkerDiedError):
                    lonely.append(name)
                else:
                    yield name, result
            for name in lonely:
                (marks / name).unlink(missing_ok=True)
                for _, result in cluster_map(client, marked, [(name, items[name])]):
                    yield name, result
        finally:
            shutil.rmtree(marks, ignore_errors=True)


@contextmanager
def begun(mark: Path) -> Iterator[None]:
    """Leave a mark while an item is under way; where it stays, a process was killed over the item.

    Raises:
        WorkerDiedError: if there is one.
    """
    try:
        mark.touch(exist_ok=False)
    except FileExistsError:
        raise WorkerDiedError(KILLED) from None
    try:
        yield
    finally:
        mark.unlink(missing_ok=True)


@dataclass(frozen=True)
class _Marked(Generic[Item, Result]):
    """Does an item on a worker, unless an earlier worker died of it, or beside it."""

    function: Callable[[Item], Result]
    marks: Path

    def __call__(self, entry: tuple[str, Item]) -> Result:
        name, item = entry
        # Dask's workers are daemonic, to which Python denies children; ours end with their work or
        # their parent.
        multiprocessing.current_process()._config["daemon"] = False  # type: ignore[attr-defined]
        with begun(self.marks / name):
            return self.function(item)


# ---- the cluster


def _client(address: str) -> Any:
    try:
        import distributed
    except ImportError as error:
        raise InputError("runtime.scheduler needs Dask: pip install 'tadaloc[cluster]'") from error
    try:
        return distributed.Client(address, timeout=_CONNECT_LIMIT_S)
    except TypeError as error:
        if not address.startswith("tls:"):
            raise
        raise InputError(
            f"runtime.scheduler: '{address}' needs certificates, and Dask's configuration names none "
            "(DASK_DISTRIBUTED__COMM__TLS__CA_FILE, ..., see docs/planning.md)"
        ) from error
    except (OSError, ValueError) as error:
        raise InputError(
            f"runtime.scheduler: no Dask scheduler answers at '{address}' within {_CONNECT_LIMIT_S} s ({error})"
        ) from error


def _check_workers(client: Any, address: str, folder: Path) -> None:
    try:
        client.wait_for_workers(1, timeout=_CONNECT_LIMIT_S)
    except TimeoutError as error:
        raise InputError(
            f"{address}: the scheduler has no workers; start some, see runtime/cluster.py"
        ) from error
    folder.mkdir(parents=True, exist_ok=True)
    wanted = versions()
    for worker, found in client.run(look_around, folder, on_error="return").items():
        if isinstance(found, Exception):
            raise InputError(
                f"worker {worker} cannot run tadaloc ({found!r}); install it there, same version"
            )
        different = [f"{k} {found[k]}, here {wanted[k]}" for k in _SAME_VERSIONS if found[k] != wanted[k]]
        if different:
            raise InputError(f"worker {worker} has other versions: {'; '.join(different)}")
        if not found["sees_folder"]:
            raise InputError(f"worker {worker} does not see {folder}; use a shared file system")


def look_around(folder: Path) -> dict[str, Any]:
    """Return the versions of a worker, and whether it sees the output folder."""
    return {**versions(), "sees_folder": folder.is_dir()}


def cluster_map(
    client: Any, function: Callable[[Item], Result], items: Sequence[Item]
) -> Iterator[tuple[Item, Result | Exception]]:
    """Apply `function` to every item on the workers of a Dask cluster; yield (item, result or
    exception) as they come.

    Dask gives the item of a worker that dies to another one, and gives up on it (`WorkerDiedError`)
    after as many deaths as the scheduler allows. joblib on top of Dask would wait for ever then, so
    this is Dask's own client.

    Args:
        client: `distributed.Client`.
        function: module-level function of one item, importable on the workers.
        items: picklable items.

    Raises:
        InputError: if the scheduler goes away, or no worker is left for `NO_WORKERS_LIMIT_S`.
    """
    finished: queue.SimpleQueue[Any] = queue.SimpleQueue()
    futures = client.map(attempt, [function] * len(items), items, pure=False, batch_size=1000)
    item_of = {future.key: item for future, item in zip(futures, items, strict=True)}
    for future in futures:
        future.add_done_callback(finished.put)
    try:
        for _ in items:
            future = _next_finished(client, finished)
            yield item_of[future.key], _result(future)
            future.release()
    finally:
        if client.status == "running":
            client.cancel(futures)


def _result(future: Any) -> Any:
    if future.status == "finished":
        return future.result()
    failure = future.exception()  # not the function's own, which would be a result
    return WorkerDiedError(str(failure)) if type(failure).__name__ == "KilledWorker" else failure


def _next_finished(client: Any, finished: queue.SimpleQueue[Any]) -> Any:
    last_seen_s = time.monotonic()
    while True:
        try:
            future = finished.get(timeout=_POLL_S)
        except queue.Empty:
            if client.status != "running":
                raise InputError(_gone(client, "is gone")) from None
            if client.scheduler_info(n_workers=-1)["workers"]:
                last_seen_s = time.monotonic()
            elif time.monotonic() - last_seen_s > NO_WORKERS_LIMIT_S:
                raise InputError(_gone(client, "has no worker left")) from None
        else:
            if future.status in ("cancelled", "lost"):
                raise InputError(_gone(client, "is gone"))
            return future


def _gone(client: Any, what: str) -> str:
    return (
        f"the Dask scheduler {what}; what was finished is kept: start it again, then the same command goes on"
    )
