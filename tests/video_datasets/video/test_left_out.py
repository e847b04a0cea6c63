"""Folders of frames and files of unknown suffixes are named, with what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from feature_extraction.__main__ import main as extract
from video_datasets.video.left_out import MIN_BYTES, MIN_FRAMES, left_out


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    folder = tmp_path / "videos" / "P01_01"
    folder.mkdir(parents=True)
    for number in range(MIN_FRAMES):
        (folder / f"frame_{number:04}.jpg").touch()
    return folder.parent


def test_frames_are_told_with_the_command_that_joins_them(frames: Path) -> None:
    (words,) = left_out(frames)
    assert words.startswith(f"1 folders of pictures, such as {frames}/P01_01 (8, the first frame_0000.jpg)")
    assert (
        "ffmpeg -framerate FPS -pattern_type glob -i 'P01_01/*.jpg' -c:v libx264 -crf 18 P01_01.mp4" in words
    )


def test_large_files_of_unknown_suffixes_are_counted(tmp_path: Path) -> None:
    for name in ("a.xyz", "b.xyz", "noSuffix", "c.mp4", "d.csv", "._e.xyz"):
        (tmp_path / name).write_bytes(bytes(MIN_BYTES))
    (tmp_path / "small.abc").touch()
    (words,) = left_out(tmp_path)
    assert words.startswith("3 large files of suffixes that no video has are left out: .xyz (2), none (1)")


def test_videos_alone_need_no_words(tiny_mini: Path) -> None:
    assert left_out(tiny_mini) == []


def test_commands_on_folders_of_frames_say_it(frames: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--videos", str(frames), "--out", str(frames.parent / "out.h5"), "--model", "tada2d_mini"]
    assert extract(words) == 2
    assert "1 folders of pictures" in capsys.readouterr().err
