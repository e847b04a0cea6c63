"""Work over many items in processes: same order, same results, errors as results."""

from __future__ import annotations

import math
import os
import signal
from pathlib import Path

import pytest

from runtime.parallel import WorkerDiedError, parallel_map


def _pid(_: int) -> int:
    return os.getpid()


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_order_and_an_error_stops_nothing(workers: int) -> None:
    items = [4.0, -1.0, 9.0, 0.0]
    results = list(parallel_map(math.sqrt, items, workers=workers))
    assert [item for item, _ in results] == items
    assert [results[i][1] for i in (0, 2, 3)] == [2.0, 3.0, 0.0]
    assert isinstance(results[1][1], ValueError)


def test_one_worker_is_this_process_and_two_are_others() -> None:
    assert {result for _, result in parallel_map(_pid, [1, 2], workers=1)} == {os.getpid()}
    assert os.getpid() not in {result for _, result in parallel_map(_pid, [1, 2], workers=2)}


def test_nothing_gives_nothing() -> None:
    assert list(parallel_map(math.sqrt, [], workers=2)) == []


def _square_unless_killed(item: tuple[int, Path]) -> int:
    """Item 3 always kills its worker; item 5 does so the first time."""
    number, folder = item
    if number == 3 or (number == 5 and not (folder / "5").exists()):
        (folder / "5").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number**2


def test_items_that_kill_their_worker_are_tried_again_and_told(tmp_path: Path) -> None:
    items = [(number, tmp_path) for number in range(12)]
    results = list(parallel_map(_square_unless_killed, items, workers=2))
    assert [item for item, _ in results] == items
    assert isinstance(results[3][1], WorkerDiedError)
    assert [result for _, result in results if isinstance(result, int)] == [n**2 for n in range(12) if n != 3]
