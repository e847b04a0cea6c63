"""Pictures to pre-train on, from images and videos."""

from __future__ import annotations

import doctest
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from classification.pretrain import pictures
from classification.pretrain.pictures import find_pictures, held_out, read_picture
from video_datasets.video.decoding import VideoError
from video_datasets.video.reader import frame_times, read_clip


def test_an_image_is_read_to_the_pixel(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (12, 20, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert np.array_equal(read_picture(tmp_path / "a.png", 0.7), pixels)


def test_a_video_is_read_where_it_is_asked_for(tiny_mini: Path) -> None:
    path = find_pictures(tiny_mini)[0]
    times = frame_times(path)
    last = times.n_frames(10.0) - 1
    assert np.array_equal(read_picture(path, 0.999999), read_clip(path, [last], 10.0)[0])
    assert np.array_equal(read_picture(path, 0.0), read_clip(path, [0], 10.0)[0])


def test_images_and_videos_are_found_at_any_depth(tiny_mini: Path, tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "videos").symlink_to(tiny_mini / "videos")
    for name in ("deep/b.JPG", "a.png", "notes.txt", "._a.png"):
        (tmp_path / name).write_bytes(b"")
    names = [path.name for path in find_pictures(tmp_path)]
    assert names[:2] == ["a.png", "b.JPG"]
    assert len(names) == 2 + 18  # and the videos of the mini data set


def test_a_few_files_are_all_for_training() -> None:
    assert held_out([Path("a"), Path("b")]).validation == ()


def test_what_is_no_picture_has_a_reason(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"not a picture")
    with pytest.raises(VideoError, match=r"a\.png"):
        read_picture(tmp_path / "a.png", 0.0)


def test_doctest() -> None:
    assert doctest.testmod(pictures).failed == 0
