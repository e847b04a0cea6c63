"""Work on many videos at once, where one failing video never stops the others, not even one that
kills its worker."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from joblib import Parallel, delayed

from runtime.errors import InputError

Item = TypeVar("Item")
Result = TypeVar("Result")

NO_WORKERS_LIMIT_S = 60.0
"""How long a cluster may be without any worker; those that died are started again within
seconds, if at all."""

_POLL_S = 2.0


class WorkerDiedError(RuntimeError):
    """The process that worked on an item was killed, and so were those that tried it again."""


def parallel_map(
    function: Callable[[Item], Result], items: Sequence[Item], *, workers: int
) -> Iterator[tuple[Item, Result | Exception]]:
    """Apply `function` to every item in worker processes; yield (item, result or exception) in
    order.

    An item whose worker dies is tried once more, in a process of its own; if that dies, too, its
    result is `WorkerDiedError`.

    Args:
        function: module-level function of one item.
        items: picklable items.
        workers: processes; 1 works in this process.
    """
    remaining = list(items)
    while remaining:
        done = 0
        try:
            for result in _processes(workers, function, remaining):
                yield remaining[done], result
                done += 1
            return
        except BrokenProcessPool:
            # Which one it was cannot be told; those that may have been under way go one at a time.
            remaining = remaining[done:]
            suspects, remaining = remaining[: 2 * workers], remaining[2 * workers :]
            for item in suspects:
                yield item, _alone(function, item)


def _processes(workers: int, function: Callable[[Item], Result], items: Sequence[Item]) -> Any:
    return Parallel(n_jobs=workers, batch_size=1, pre_dispatch=2 * workers, return_as="generator")(
        delayed(_attempt)(function, item) for item in items
    )


def _alone(function: Callable[[Item], Result], item: Item) -> Result | Exception:
    try:
        result: Result | Exception = next(iter(_processes(2, function, [item])))
    except BrokenProcessPool:
        return WorkerDiedError("the process that worked on it was killed, twice (out of memory?)")
    return result


def _attempt(function: Callable[[Item], Result], item: Item) -> Result | Exception:
    try:
        return function(item)
    except Exception as error:  # whatever a video does to its worker is this item's result, to be listed
        return error


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
    futures = client.map(_attempt, [function] * len(items), items, pure=False, batch_size=1000)
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
