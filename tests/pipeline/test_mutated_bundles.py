"""Bundles that are damaged, or a stranger's with any settings and sizes: opened and applied to a
video, or refused in words, in a bounded time and memory; nothing is written elsewhere."""

from __future__ import annotations

import hashlib
import io
import json
import random
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline import Detector
from pipeline.bundle import main as bundle
from pipeline.bundle_file import INDEX
from runtime.errors import InputError
from tests.bounded import bounded
from video_datasets.mini import MiniSize, ensure_mini
from video_datasets.video.container import VideoError

VALUES: tuple[Any, ...] = (
    *(None, True, False, -1, 0, 1, 2, 3, 7, 1000, 10**6, 10**9, 10**18, 10**30, 0.5, -0.5, 1e-300, 1e308),
    *(float("nan"), float("inf"), "", "x", "../../x", "/etc/passwd", "~", "${seed}", "1e9", "auto", "cuda:9"),
    *([], {}, [1], [1, 2, 3], ["a"], [[0, 1]], {"a": 1}, "trained", "features", "clips", "scores", "windows"),
)
NAMES = ("../evil.npy", "/tmp/evil.npy", "backbone/../x.npy", "backbone/x.npy", "code.py", "bmn/", "a" * 300)


def _members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as file:
        return {name: file.read(name) for name in file.namelist()}


def _other_setting(index: dict[str, Any], chance: random.Random) -> None:
    """Another value of a setting, a size or a name, anywhere in the index but the sums."""
    place = index[chance.choice(("config", "config", "config", "networks", "networks"))]
    while True:
        key = chance.choice(list(place) if isinstance(place, dict) else range(len(place)))
        if not (isinstance(place[key], dict | list) and place[key] and chance.random() < 0.9):
            break
        place = place[key]
    if chance.random() < 0.1:
        del place[key]
    elif isinstance(place[key], int | float) and chance.random() < 0.3:
        place[key] = place[key] * chance.choice((-1, 0, 2, 1000))
    else:
        place[key] = chance.choice(VALUES)


def _other_array(members: dict[str, bytes], index: dict[str, Any], chance: random.Random) -> None:
    """Another array with sums that fit: other numbers, shapes or types."""
    name = chance.choice([name for name in members if name != INDEX])
    array = np.load(io.BytesIO(members[name]))
    kind = chance.randrange(4)
    if kind == 0 and array.size and array.dtype.kind == "f":
        array.reshape(-1)[chance.randrange(array.size)] = chance.choice((np.nan, np.inf, 1e30))
    elif kind == 1:
        array = array.reshape(-1)[: array.size // 2]
    elif kind == 2:
        array = array.astype(chance.choice((np.float64, np.int8, np.complex64, "S1")))
    else:
        array = np.concatenate([array.reshape(1, *array.shape)] * 2)
    buffer = io.BytesIO()
    np.save(buffer, array)
    members[name] = buffer.getvalue()
    index["members"][name] = {
        "bytes": len(members[name]),
        "sha256": hashlib.sha256(members[name]).hexdigest(),
    }


def _write(path: Path, members: dict[str, bytes], chance: random.Random) -> None:
    """Write the file, sometimes with a member too many or too few, or compressed."""
    with zipfile.ZipFile(path, "w") as file:
        for name, content in members.items():
            if chance.random() < 0.0005:
                continue
            kind = zipfile.ZIP_DEFLATED if chance.random() < 0.0005 else zipfile.ZIP_STORED
            file.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content, compress_type=kind)
        if chance.random() < 0.03:
            file.writestr(chance.choice(NAMES), bytes(1000))


def _damage(path: Path, chance: random.Random) -> None:
    """Cut the file, flip bits or overwrite a stretch, most often in its tables."""
    content = bytearray(path.read_bytes())
    first = chance.choice((chance.randrange(len(content)), len(content) - 1 - chance.randrange(9000)))
    kind = chance.randrange(3)
    if kind == 0:
        del content[first:]
    elif kind == 1:
        content[first] ^= 1 << chance.randrange(8)
    else:
        content[first : first + 100] = chance.randbytes(100)
    path.write_bytes(bytes(content))


def _outcome(path: Path, video: Path) -> str:
    """What is said about a bundle; "" where it detects."""
    try:
        with bounded(60.0):
            Detector(path, device="cpu").detect(video)
    except (InputError, VideoError) as error:
        return str(error)
    return ""


def _run(two_head_run: Path, folder: Path, count: int, seed: int) -> None:
    chance = random.Random(seed)
    assert bundle(["--run", str(two_head_run), "--out", str(folder / "good.zip")]) == 0
    ensure_mini(folder / "data", size=MiniSize(training=2, validation=2, testing=2, duration_s=(2.0, 3.0)))
    video = sorted((folder / "data").rglob("*.mp4"))[0]
    good = _members(folder / "good.zip")
    before = sorted(folder.rglob("*"))
    path = folder / "tried.zip"
    detected = 0
    for number in range(count):
        members = dict(good)
        index = json.loads(members[INDEX])
        if chance.random() < 0.8:
            for _ in range(chance.choice((1, 1, 2))):
                _other_setting(index, chance)
        else:
            _other_array(members, index, chance)
        members[INDEX] = json.dumps(index).encode()
        _write(path, members, chance)
        if chance.random() < 0.1:
            _damage(path, chance)
        message = _outcome(path, video)
        assert not message or path.name in message or video.name in message, (number, message)
        detected += not message
        path.unlink()
    assert sorted(folder.rglob("*")) == before
    print(f"{count} bundles: {detected} detect, {count - detected} refused")


def test_some_bundles(two_head_run: Path, tmp_path: Path) -> None:
    _run(two_head_run, tmp_path, 4, seed=1)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_many_bundles(two_head_run: Path, tmp_path: Path) -> None:
    _run(two_head_run, tmp_path, 600, seed=2)
