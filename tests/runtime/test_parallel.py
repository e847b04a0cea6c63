"""Work over many items in processes: same order, same results, errors as results."""

from __future__ import annotations

import math
import os

import pytest

from runtime.parallel import parallel_map


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
