"""Features of others become a store with an explicit time grid, one video at a time."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from feature_extraction.store import add_video
from feature_extraction.zoo.arrays import as_table, turned_around
from feature_extraction.zoo.reach import covered_s
from feature_extraction.zoo.sources import Sources
from runtime.atomic import write_text
from runtime.errors import InputError
from runtime.hdf5 import writing_hdf5
from runtime.progress import progress
from runtime.text import spreadsheet_text
from video_datasets.time_grid import TimeGrid


@dataclass(frozen=True, kw_only=True)
class ImportPlan:
    """What is imported and how."""

    grid: TimeGrid
    channels: int | None = None
    """Expected C; None: that of the first readable video."""
    transposed: bool = False
    """Arrays are C x T."""
    dtype: str = "float16"
    durations_s: Mapping[str, float] = field(default_factory=dict)
    """Of the videos, where known."""
    attributes: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    """Recorded with every video."""


@dataclass
class Imported:
    """What came of it."""

    lengths: dict[str, int] = field(default_factory=dict)
    """Features of each video in the store."""
    channels: int = 0
    skipped: dict[str, str] = field(default_factory=dict)
    """What was left out or is odd: video id -> reason."""


def import_features(sources: Sources, out: Path, plan: ImportPlan) -> Imported:
    """Write the store, one video at a time, whole or not at all.

    A video that cannot be read or does not fit the others is left out and listed.

    Args:
        sources: readers by video id.
        out: HDF5 file to write.
        plan: grid and expectations.

    Raises:
        InputError: if `out` exists, no video could be read, or time and channels look exchanged.
    """
    if out.exists():
        raise InputError(f"{out}: exists already; remove it, or choose another name")
    result = Imported(channels=plan.channels or 0)
    shapes: list[tuple[int, int]] = []
    with writing_hdf5(out) as file:
        for video_id in progress(sorted(sources), description="import", total=len(sources), unit="video"):
            try:
                table = as_table(sources[video_id]())
                shapes.append((len(table), table.shape[1]))
                features = _checked(table, plan.transposed, result.channels)
                _add(file, video_id, features, plan)
            except (ValueError, OSError) as error:  # InputError is a ValueError
                result.skipped[video_id] = f"not imported: {error}"
                continue
            result.channels = features.shape[1]
            result.lengths[video_id] = len(features)
        if why := turned_around(shapes, plan.transposed, plan.channels):
            raise InputError(f"{out}: not written: {why}, or --channels if it is right so")
        if not result.lengths:
            video_id, reason = next(iter(result.skipped.items()))
            raise InputError(
                f"{out}: not written, since none of {len(sources)} videos could be imported; '{video_id}' was {reason}"
            )
    return result


def _checked(table: NDArray[Any], transposed: bool, channels: int) -> NDArray[np.floating]:
    """Return features (T, C) of floating point."""
    features = table.T if transposed else table
    if not len(features):
        raise InputError("no features")
    if channels and features.shape[1] != channels:
        hint = "; --transposed turns C x T around" if features.shape[0] == channels else ""
        raise InputError(f"expected T x {channels}, found {features.shape[0]} x {features.shape[1]}{hint}")
    return features if features.dtype.kind == "f" else features.astype(np.float32)


def _add(file: h5py.File, video_id: str, features: NDArray[np.floating], plan: ImportPlan) -> None:
    grid, known_s = plan.grid, plan.durations_s.get(video_id, math.nan)
    duration_s = known_s if known_s > 0 else covered_s(grid, len(features))
    own = {"duration_s": duration_s, "duration_from": "annotations" if known_s > 0 else "features"}
    times_s = grid.feature_to_seconds(np.arange(len(features)))
    add_video(
        file, video_id, features, times_s, grid, attributes={**plan.attributes, **own}, dtype=plan.dtype
    )


def tool_version() -> str:
    """Return "tadaloc <version>", for attributes."""
    return f"tadaloc {metadata.version('tadaloc')}"


def write_skipped(path: Path, skipped: Mapping[str, str]) -> None:
    """Write what was left out or is odd as a CSV of two columns, video_id and reason."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    rows = (map(spreadsheet_text, row) for row in skipped.items())
    writer.writerows([("video_id", "reason"), *rows])
    write_text(path, text.getvalue())
