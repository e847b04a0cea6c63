"""Headers of videos: what the files say, read again only where a file has changed."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from feature_extraction.headers import read_headers
from runtime.settings import RuntimeConfig
from video_datasets.video.decoding import VideoInfo

RUNTIME = RuntimeConfig(workers=2)


def test_headers_are_those_of_the_files(shared: Path, tmp_path: Path) -> None:
    files = {path.stem: path for path in (shared / "videos").glob("*.mp4")}
    headers, unreadable = read_headers(files, RUNTIME, tmp_path / "headers.json")
    assert not unreadable
    assert (headers["demo"].width, headers["demo"].height, headers["demo"].fps) == (340, 256, 28)
    assert headers["v_GGSY1Qvo990"].promised_frames == 355
    assert read_headers(files, RUNTIME, tmp_path / "headers.json") == (headers, {})


class Videos:
    """Two good videos and a page, whose headers are read through one file of headers."""

    def __init__(self, folder: Path, sources: list[Path]) -> None:
        self.folder, self.sources, self.kept = folder, sources, folder / "run/headers.json"
        self.files = {name: folder / f"{name}.mp4" for name in ("a", "b", "page")}
        for name, source in zip("ab", sources, strict=False):
            shutil.copy(source, self.files[name])
        self.files["page"].write_text("<html>")

    def headers(self, runtime: RuntimeConfig = RUNTIME) -> dict[str, VideoInfo]:
        headers, unreadable = read_headers(self.files, runtime, self.kept)
        assert "page" in unreadable
        return headers

    def mark(self) -> None:
        """Make what is kept tell whether it is believed: every width is 7 there."""
        content = json.loads(self.kept.read_text())
        column = 2 + content["made_by"]["fields"].index("width")
        for row in content["files"].values():
            row[column] = 7
        self.kept.write_text(json.dumps(content))


@pytest.fixture
def videos(tiny_mini: Path, tmp_path: Path) -> Videos:
    made = Videos(tmp_path, sorted((tiny_mini / "videos").rglob("*.mp4"))[:3])
    assert made.headers().keys() == {"a", "b"}
    return made


def widths(headers: dict[str, VideoInfo]) -> dict[str, bool]:
    """Whether each header was taken from the marked file."""
    return {name: info.width == 7 for name, info in headers.items()}


def test_a_file_that_is_as_it_was_is_not_read_again(videos: Videos) -> None:
    before = videos.headers()
    videos.mark()
    again = videos.headers()
    assert widths(again) == {"a": True, "b": True}
    assert {name: replace(info, width=before[name].width) for name, info in again.items()} == before
    videos.files["c"] = videos.folder / "c.mp4"
    shutil.copy(videos.sources[2], videos.files["c"])
    assert widths(videos.headers()) == {"a": True, "b": True, "c": False}
    assert set(json.loads(videos.kept.read_text())["files"]) == {str(videos.files[name]) for name in "abc"}


def test_a_file_that_has_changed_is_read_again(videos: Videos) -> None:
    videos.mark()
    path, state = videos.files["a"], videos.files["a"].stat()
    shutil.copy(videos.sources[2], path)  # another size, and the same time
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert widths(videos.headers()) == {"a": False, "b": True}
    state = path.stat()
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns + 1))  # the same size, and another time
    videos.mark()
    assert widths(videos.headers()) == {"a": False, "b": True}
    path.unlink()
    assert widths(videos.headers()) == {"b": True}


def test_other_limits_read_everything_again(videos: Videos) -> None:
    videos.mark()
    assert widths(videos.headers(replace(RUNTIME, video_max_hours=23.0))) == {"a": False, "b": False}
    headers, unreadable = read_headers(videos.files, replace(RUNTIME, video_max_hours=1e-4), videos.kept)
    assert not headers
    assert "more than runtime.video_max_hours" in unreadable["a"]


@pytest.mark.parametrize("damage", ["", "{}", "[1]", '{"made_by": 1, "files": {}}', "\udcff", None])
def test_damaged_headers_are_read_again(videos: Videos, damage: str | None) -> None:
    before = videos.headers()
    if damage is None:
        content = json.loads(videos.kept.read_text())
        content["files"] = {name: row[:4] for name, row in content["files"].items()}
        damage = json.dumps(content)
    videos.kept.write_text(damage, errors="surrogateescape")
    assert videos.headers() == before
    assert len(json.loads(videos.kept.read_text())["files"]) == 2


def test_headers_that_cannot_be_kept_are_read_all_the_same(videos: Videos) -> None:
    videos.kept = videos.folder / "a.mp4" / "headers.json"  # a file is no folder
    assert videos.headers().keys() == {"a", "b"}
