"""Several devices of one machine: the features of one device bit for bit, bad videos listed, cut-off
runs continued, and one failure that ends them all."""

from __future__ import annotations

import itertools
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from feature_extraction.__main__ import main
from feature_extraction.devices import extract_on_devices
from feature_extraction.recipe import LoadedRecipe, Recipe
from feature_extraction.settings import FeaturesConfig
from runtime.settings import RuntimeConfig
from training.watching import StepClock
from video_datasets.time_grid import TimeGrid

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def videos(tiny_mini: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six good videos and a web page."""
    folder = tmp_path_factory.mktemp("videos")
    for number, path in enumerate(sorted((tiny_mini / "videos").rglob("*.mp4"))[:6]):
        shutil.copy(path, folder / f"{number}.mp4")
    (folder / "page.mp4").write_text("<html>404</html>")
    return folder


@pytest.fixture(scope="module")
def from_one(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What one device makes of them."""
    out = tmp_path_factory.mktemp("one") / "one.h5"
    assert main(words(videos, out, "cpu")) == 1
    return content(out)


def words(videos: Path, out: Path, device: str) -> list[str]:
    network = ["--model", "tada2d_mini", "--short-side", "32", "--threads", "1"]
    return ["--videos", str(videos), "--out", str(out), *network, "--device", device]


def content(path: Path) -> dict[str, bytes]:
    found: dict[str, bytes] = {}

    def note(name: str, item: h5py.Dataset | h5py.Group) -> None:
        if isinstance(item, h5py.Dataset):
            found[name] = item[()].tobytes()
        found.update({f"{name}@{key}": np.asarray(value).tobytes() for key, value in item.attrs.items()})

    with h5py.File(path) as file:
        file.visititems(note)
    return found


@pytest.mark.parametrize("workers", ["1", "5"])
def test_two_devices_make_what_one_makes(
    videos: Path,
    from_one: dict[str, bytes],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    workers: str,
) -> None:
    out = tmp_path / "two.h5"
    assert main([*words(videos, out, "cpu,cpu"), "--workers", workers]) == 1
    said = capsys.readouterr().err
    assert "left out: page: not a video, or damaged beyond reading" in said
    assert re.search(r"6 videos, 256 channels, \d+ % of the time waiting for data", said)
    assert content(out) == from_one


def test_a_cut_off_work_of_two_devices_ends_soon_and_goes_on(
    videos: Path, from_one: dict[str, bytes], tmp_path: Path
) -> None:
    out = tmp_path / "two.h5"
    command = [sys.executable, "-m", "feature_extraction", *words(videos, out, "cpu,cpu")]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    while process.poll() is None and not list(tmp_path.glob("two.h5.parts/*.h5")):
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=120)  # also waits for the decoders, which hold stderr
    assert process.returncode == 130, said
    assert 0 < len(list(tmp_path.glob("two.h5.parts/*.h5"))) < 6
    assert main(words(videos, out, "cpu,cpu")) == 1
    assert content(out) == from_one


def loaded_twice(folder: Path) -> LoadedRecipe:
    return Recipe(
        model="tada2d_mini",
        weights=None,
        grid=TimeGrid(),
        features=FeaturesConfig(short_side_px=32),
        runtime=RuntimeConfig(device="cpu,cpu", threads=1, workers=2),
        folder=folder,
    ).load()


def test_what_fails_on_one_device_ends_the_work_of_all(videos: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    loaded = loaded_twice(tmp_path / "file")
    jobs = [loaded.job(path.stem, path) for path in sorted(videos.glob("?.mp4"))]
    with pytest.raises(OSError, match="file"):
        list(extract_on_devices(loaded.on_all_devices, jobs, StepClock()))
    assert not [thread for thread in threading.enumerate() if thread.name == "device"]


def test_abandoned_results_end_the_work(videos: Path, tmp_path: Path) -> None:
    loaded = loaded_twice(tmp_path)
    endless = (loaded.job(str(number), videos / "0.mp4") for number in itertools.count())
    results = extract_on_devices(loaded.on_all_devices, endless, StepClock())
    next(results)
    results.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "device"]
