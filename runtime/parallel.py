"""Work on many videos at once, where one failing video never stops the others, not even one that
kills its worker."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from joblib import Parallel, delayed

Item = TypeVar("Item")
Result = TypeVar("Result")


KILLED = "the process that worked on it was killed, twice (out of memory?)"


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
        delayed(attempt)(function, item) for item in items
    )


def _alone(function: Callable[[Item], Result], item: Item) -> Result | Exception:
    try:
        result: Result | Exception = next(iter(_processes(2, function, [item])))
    except BrokenProcessPool:
        return WorkerDiedError(KILLED)
    return result


def attempt(function: Callable[[Item], Result], item: Item) -> Result | Exception:
    """Return the result of an item, or the exception that it raised."""
    try:
        return function(item)
    except Exception as error:  # whatever a video does to its worker is this item's result, to be listed
        return error
