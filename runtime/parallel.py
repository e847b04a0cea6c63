"""Work on many videos at once, where one failing video never stops the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from joblib import Parallel, delayed

Item = TypeVar("Item")
Result = TypeVar("Result")


def parallel_map(
    function: Callable[[Item], Result], items: Sequence[Item], *, workers: int
) -> Iterator[tuple[Item, Result | Exception]]:
    """Apply `function` to every item in worker processes; yield (item, result or exception) in order.

    Args:
        function: module-level function of one item.
        items: picklable items.
        workers: processes; 1 works in this process.
    """
    results = Parallel(n_jobs=workers, return_as="generator")(
        delayed(_attempt)(function, item) for item in items
    )
    yield from zip(items, results, strict=True)


def _attempt(function: Callable[[Item], Result], item: Item) -> Result | Exception:
    try:
        return function(item)
    except Exception as error:  # whatever a video does to its worker is this item's result, to be listed
        return error
