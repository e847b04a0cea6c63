"""Still pictures to pre-train on: image files, and single frames of video files.

A frame is chosen on a coarse grid of times, so that every part of a video is as likely as any
other, whatever its frame rate.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from video_datasets.video.reader import FrameTimes, frame_times, read_clip
from video_datasets.video.search import video_files

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
PICTURES_PER_S = 10.0
"""Frames of a video that may be chosen."""
HELD_OUT_EVERY = 10
"""Of so many files one is for validation."""


@dataclass(frozen=True)
class PictureFiles:
    """Files to train on, and files held out to validate on."""

    training: tuple[Path, ...]
    validation: tuple[Path, ...]


def find_pictures(folder: Path) -> tuple[Path, ...]:
    """Return all image and video files below a folder, sorted."""
    images = (
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith("._") and path.is_file()
    )
    return tuple(sorted({*images, *video_files(folder)}))


def held_out(files: Sequence[Path]) -> PictureFiles:
    """Hold every tenth file out; none of fewer than ten.

    >>> found = held_out([Path(f"{number:02}.png") for number in range(20)])
    >>> len(found.training), [path.name for path in found.validation]
    (18, ['09.png', '19.png'])
    """
    validation = files[HELD_OUT_EVERY - 1 :: HELD_OUT_EVERY]
    kept = set(validation)
    return PictureFiles(tuple(path for path in files if path not in kept), tuple(validation))


def read_picture(path: Path, place: float) -> NDArray[np.uint8]:
    """Read one picture (H, W, 3), RGB.

    Args:
        path: image or video file.
        place: where in a video, 0 <= place < 1.

    Raises:
        VideoError: if the file cannot be read.
    """
    times = _times(path)
    index = int(place * times.n_frames(PICTURES_PER_S))
    return read_clip(path, [index], PICTURES_PER_S, times)[0]


@functools.lru_cache(maxsize=256)  # the times of an hour of video are 1.7 MB
def _times(path: Path) -> FrameTimes:
    return frame_times(path)
