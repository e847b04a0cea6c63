"""kill -9 at random moments over a folder of videos, then finished: the content of an
uninterrupted run to the byte."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from feature_extraction import FeatureStore
from feature_extraction.__main__ import main
from feature_extraction.integrity import has_whole_features

ROOT = Path(__file__).resolve().parents[2]


def words(videos: Path, out: Path) -> list[str]:
    common = ["--model", "tada2d_mini", "--short-side", "32", "--threads", "1", "--device", "cpu"]
    return ["--videos", str(videos), "--out", str(out), *common]


def start(videos: Path, out: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "feature_extraction", *words(videos, out)]
    with (out.parent / "log").open("ab") as log:
        return subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, start_new_session=True)


def finished_parts(out: Path) -> list[Path]:
    return sorted(out.with_name(f"{out.name}.parts").glob("*.h5"))


def kill_on_the_way(videos: Path, out: Path, more: int, delay_s: float) -> bool:
    """Start, wait until `more` further videos are done and a moment longer, kill all; whether it
    was cut off."""
    process = start(videos, out)
    target = len(finished_parts(out)) + more
    while process.poll() is None and len(finished_parts(out)) < target:
        time.sleep(0.005)
    time.sleep(delay_s)
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    return process.wait() == -signal.SIGKILL


def check_readable(out: Path) -> None:
    """Whatever a kill left can be read: every file under a final name is whole."""
    for path in finished_parts(out):
        assert has_whole_features(path), path
    parts = out.with_name(f"{out.name}.parts")
    if parts.exists():
        for record in FeatureStore(parts).values():
            assert len(record.features) == len(record.times) > 0


def content(path: Path) -> dict[str, object]:
    found: dict[str, object] = {}

    def note(name: str, item: h5py.Dataset | h5py.Group) -> None:
        found[name] = item[()].tobytes() if isinstance(item, h5py.Dataset) else None
        found.update({f"{name}@{key}": np.asarray(value).tobytes() for key, value in item.attrs.items()})

    with h5py.File(path) as file:
        file.visititems(note)
    return found


def check(folder: Path, videos: Path, kills: int, seed: int) -> None:
    whole, killed = folder / "whole.h5", folder / "killed.h5"
    count = len(list(videos.iterdir()))
    assert main(words(videos, whole)) == 0
    rng = random.Random(seed)
    cut_off = 0
    for left in range(kills, 0, -1):
        # So that something is left to do at every kill.
        room = max((count - len(finished_parts(killed))) // (left + 1), 0)
        cut_off += kill_on_the_way(videos, killed, rng.randint(0, room), rng.uniform(0, 0.1))
        check_readable(killed)
    assert main(words(videos, killed)) == 0
    print(f"{cut_off} of {kills} kills came before the end")
    assert cut_off >= kills * 3 // 4
    assert content(killed) == content(whole)
    assert sorted(path.name for path in folder.glob("*.h5*")) == ["killed.h5", "whole.h5"]


def copies(tiny_mini: Path, folder: Path, count: int) -> Path:
    """So many videos, some of them several times under other names."""
    folder.mkdir()
    files = sorted((tiny_mini / "videos").rglob("*.mp4"))
    for i in range(count):
        shutil.copy(files[i % len(files)], folder / f"video_{i:02}.mp4")
    return folder


def test_two_kills(tiny_mini: Path, tmp_path: Path) -> None:
    check(tmp_path, copies(tiny_mini, tmp_path / "videos", 8), kills=2, seed=0)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_twenty_kills_over_thirty_videos(tiny_mini: Path, tmp_path: Path) -> None:
    check(tmp_path, copies(tiny_mini, tmp_path / "videos", 30), kills=20, seed=1)
