"""A Dask cluster of processes of its own: the features of one machine bit for bit, and workers
that die."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest

from feature_extraction import FeatureStore
from feature_extraction.own_videos import OwnVideos, extract_own_videos
from feature_extraction.settings import FeaturesConfig
from runtime.errors import InputError
from runtime.settings import RuntimeConfig
from video_datasets.time_grid import TimeGrid

pytest.importorskip("distributed")
ROOT = Path(__file__).resolve().parents[2]

PRELOAD = """
import os, signal, time
from pathlib import Path
from feature_extraction import cluster

original = getattr(cluster, "original", cluster.extract_here)  # Dask may load this file twice

def with_accidents(task):
    noted = Path(os.environ["PIDS"], task.video_id)
    first = not noted.exists()
    noted.write_text(str(os.getpid()))
    if task.video_id == "killer":
        os.kill(os.getpid(), signal.SIGKILL)
    if task.video_id == "victim" and first:
        time.sleep(600)  # until somebody kills this worker
    return original(task)

cluster.original, cluster.extract_here = original, with_accidents
"""
"""What happens to the workers: one video always kills its own, beside another one somebody does."""


@contextlib.contextmanager
def cluster(folder: Path) -> Iterator[str]:
    """A scheduler and two workers with their nannies, which start a killed worker anew; yields
    the address."""
    folder.mkdir()
    (folder / "preload.py").write_text(PRELOAD)
    (folder / "pids").mkdir()
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PIDS": str(folder / "pids"),
        "OMP_NUM_THREADS": "1",
    }
    address_file = folder / "scheduler.json"
    common = ["--scheduler-file", str(address_file), "--no-dashboard"]
    commands = [["scheduler", "--host", "127.0.0.1", "--port", "0", *common]]
    worker = ["worker", "--nthreads", "1", "--preload", str(folder / "preload.py"), *common]
    commands += [worker, worker]
    processes = []
    with (folder / "log").open("w") as log:
        try:
            for command in commands:
                words = [sys.executable, "-m", "dask", *command]
                processes.append(
                    subprocess.Popen(
                        words, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True
                    )
                )
            import distributed

            with distributed.Client(scheduler_file=str(address_file), timeout=60) as client:
                client.wait_for_workers(2, timeout=60)
                address = client.scheduler.address
            yield address
        finally:
            for process in processes:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def asked(videos: Path, out: Path, scheduler: str = "") -> OwnVideos:
    return OwnVideos(
        videos=videos,
        out=out,
        model="tada2d_mini",
        weights=None,
        grid=TimeGrid(),
        features=FeaturesConfig(short_side_px=32),
        runtime=RuntimeConfig(threads=1, device="cpu", scheduler=scheduler),
    )


def kill_the_worker_of(victim: Path) -> None:
    while not victim.exists():
        time.sleep(0.05)
    time.sleep(0.3)
    os.kill(int(victim.read_text()), signal.SIGKILL)


def content(path: Path) -> dict[str, object]:
    """Every dataset and attribute of a store, as bytes."""
    found: dict[str, object] = {}

    def note(name: str, item: h5py.Dataset | h5py.Group) -> None:
        found[name] = item[()].tobytes() if isinstance(item, h5py.Dataset) else None
        found.update({f"{name}@{key}": np.asarray(value).tobytes() for key, value in item.attrs.items()})

    with h5py.File(path) as file:
        file.visititems(note)
    return found


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_cluster_with_accidents_gives_the_features_of_one_machine(
    tiny_mini: Path, shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    videos = tmp_path / "videos"
    videos.mkdir()
    for path in sorted((tiny_mini / "videos").rglob("*.mp4"))[:5]:
        shutil.copy(path, videos)
    first = next(videos.iterdir())
    shutil.copy(first, videos / "victim.mp4")
    shutil.copy(shared / "videos_bad" / "cut_40pct.mp4", videos)
    assert extract_own_videos(asked(videos, tmp_path / "here.h5")) == 1
    shutil.copy(first, videos / "killer.mp4")
    capsys.readouterr()
    with cluster(tmp_path / "cluster") as address:
        killer = threading.Thread(
            target=kill_the_worker_of, args=[tmp_path / "cluster/pids/victim"], daemon=True
        )
        killer.start()
        assert extract_own_videos(asked(videos, tmp_path / "there.h5", address)) == 1
    printed = capsys.readouterr().err
    assert "left out: killer: the process that worked on it was killed, twice" in printed
    assert "left out: cut_40pct: cut or damaged: 21 / 79 frames decoded" in printed
    assert printed.count("left out:") == 2
    assert not killer.is_alive()
    assert content(tmp_path / "here.h5") == content(tmp_path / "there.h5")
    assert not (tmp_path / "there.h5.parts").exists()


def test_a_worker_gives_the_features_of_this_process(tiny_mini: Path, shared: Path, tmp_path: Path) -> None:
    """On the quick: worker and scheduler are threads of this process; all else is as it is on a
    cluster."""
    import distributed

    videos = tmp_path / "videos"
    videos.mkdir()
    for path in [*sorted((tiny_mini / "videos").rglob("*.mp4"))[:3], shared / "videos_bad" / "cut_40pct.mp4"]:
        shutil.copy(path, videos)
    local = distributed.LocalCluster(
        n_workers=1,
        threads_per_worker=2,
        processes=False,
        dashboard_address=None,
        host="127.0.0.1",
        protocol="tcp",
    )
    with local:
        codes = [
            extract_own_videos(asked(videos, tmp_path / f"{scheduler[:3]}.h5", scheduler))
            for scheduler in ("", local.scheduler_address)
        ]
    assert codes == [1, 1]
    assert content(tmp_path / ".h5") == content(tmp_path / "tcp.h5")
    assert len(FeatureStore(tmp_path / "tcp.h5")) == 3


def test_without_a_scheduler_the_command_says_so(
    tiny_mini: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.cluster._CONNECT_LIMIT_S", 1)
    videos = tiny_mini / "videos"
    with pytest.raises(InputError, match=r"no Dask scheduler answers at 'tcp://127\.0\.0\.1:9' within 1 s"):
        extract_own_videos(asked(videos, tmp_path / "out.h5", "tcp://127.0.0.1:9"))
