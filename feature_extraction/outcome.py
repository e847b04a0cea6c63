"""Outcome of one video of an extraction, and the failures that are that video's alone."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import torch

from video_datasets.video.container import VideoError


class Outcome(NamedTuple):
    """A video that is through: its features are written, or there is a reason why not."""

    video_id: str
    reason: str
    """Empty when the features are written."""
    frames_decoded: int
    """Source frames; 0 without features."""


@contextlib.contextmanager
def within_memory(path: Path) -> Iterator[None]:
    """Turn "out of memory" into the video's own reason: frames of other videos may be smaller."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        lacks_memory = isinstance(error, (torch.OutOfMemoryError, MemoryError))
        if not lacks_memory and "allocate memory" not in str(error):
            raise
        first_line = (str(error) or type(error).__name__).splitlines()[0]
        raise VideoError(path, f"not enough memory for its clips: {first_line}") from error
