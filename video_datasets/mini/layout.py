"""Interface of the layouts in which a mini data set can be rendered."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from video_datasets.mini.plan import MiniSize
from video_datasets.mini.scene import Picture
from video_datasets.mini.timeline import Clock


@dataclass(frozen=True)
class TwinFiles:
    """Two files to render, one the time reversal of the other.

    Attributes:
        draw: draws the forward video's frames, H x W x 3.
        paths: of the forward and of the backward video.
        clocks: when their frames are shown.
    """

    draw: Callable[[], Iterable[Picture]]
    paths: tuple[Path, Path]
    clocks: tuple[Clock, Clock]


class Layout(Protocol):
    """A module that plans a data set and knows where its files lie.

    Attributes:
        STANDARD_SIZE: numbers and lengths of videos when nothing else is asked for.
        COMPLETE_NAME: annotation file that is written last, so that its presence means that all is
            there.
    """

    STANDARD_SIZE: MiniSize
    COMPLETE_NAME: str

    def plan_files(self, root: Path, seed: int, size: MiniSize) -> list[TwinFiles]:
        """Return all files to render, in the order of the plan."""

    def write_annotations(self, root: Path, seed: int, size: MiniSize) -> None:
        """Write the annotation files."""
