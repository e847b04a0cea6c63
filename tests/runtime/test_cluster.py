"""Work on a Dask cluster: results and errors as they come, and clusters that go away."""

from __future__ import annotations

import math
import threading

import pytest

from runtime import cluster
from runtime.cluster import cluster_map
from runtime.errors import InputError


@pytest.fixture
def workerless():
    """A Dask cluster of this process, so far without workers, and a client of it."""
    distributed = pytest.importorskip("distributed")
    options = {"processes": False, "dashboard_address": None, "host": "127.0.0.1", "protocol": "tcp"}
    with distributed.LocalCluster(n_workers=0, **options) as local, distributed.Client(local) as client:
        yield local, client


def test_a_cluster_gives_each_result_or_error(workerless) -> None:
    local, client = workerless
    local.scale(1)
    results = dict(cluster_map(client, math.sqrt, [4.0, -1.0, 9.0]))
    assert (results[4.0], results[9.0]) == (2.0, 3.0)
    assert isinstance(results[-1.0], ValueError)


def test_a_cluster_without_workers_is_not_waited_for(workerless, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "NO_WORKERS_LIMIT_S", 0.2)
    monkeypatch.setattr(cluster, "_POLL_S", 0.1)
    _, client = workerless
    with pytest.raises(InputError, match="the Dask scheduler has no worker left; what was finished is kept"):
        list(cluster_map(client, math.sqrt, [4.0]))


def test_a_cluster_that_goes_away_is_not_waited_for(workerless, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "_POLL_S", 0.1)
    local, client = workerless
    threading.Timer(0.5, local.close).start()
    with pytest.raises(InputError, match="the Dask scheduler is gone; what was finished is kept"):
        list(cluster_map(client, math.sqrt, [4.0]))
