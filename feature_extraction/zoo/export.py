"""A store as one file a video, for OpenTAD, ActionFormer and BMN.

DIR/features/<id>.npy|npz|pt|csv
DIR/config_values.json, config_values.txt   their settings, so that they find our times
DIR/durations.csv                           what was decoded, in seconds
DIR/missing_files.txt                       OpenTAD's `block_list`: it ends at the first missing file
DIR/actionformer.json, DIR/bmn/             with annotations: what other readers want beside features, `reader_files`
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from feature_extraction.store import TIMES_GROUP, FeatureStore
from feature_extraction.zoo.config_values import config_values, describe_config_values
from feature_extraction.zoo.reader_files import write_actionformer, write_bmn
from feature_extraction.zoo.summary import open_store, summarise
from runtime.atomic import atomic_path, write_json, write_text
from runtime.progress import progress
from video_datasets.annotations import AnnotationTable
from video_datasets.ids import refuse_unsafe_id
from video_datasets.time_grid import interpolate_to_cells

EXPORT_FOLDER = "features"
_CSV_NUMBER = "%.9g"
"""As many digits as give every float32 back exactly, and with it every float16."""


class Exported(NamedTuple):
    """What an export left."""

    settings: str
    """Of the readers, as text."""
    written: str
    """Which files are where, in a line."""
    skipped: dict[str, str]
    """Video id -> why it was left out."""


def export(
    source: Path,
    out: Path,
    file_format: str,
    *,
    cells: int | None = None,
    annotations: AnnotationTable | None = None,
) -> Exported:
    """Write the files; each appears whole or not at all.

    Args:
        source: store file, its folder, or a run folder.
        out: folder to write.
        file_format: one of `WRITERS`.
        cells: rescale every video to so many rows by linear interpolation (BMN reads 100); None: as
            extracted.
        annotations: of the data set; ids that the store lacks go to missing_files.txt, and readers
            get their files.

    Returns:
        What was written and what was left out.

    Raises:
        InputError: if there is no store, its videos differ in grid or channels, or an id is unsafe.
    """
    store = open_store(source)
    summary = summarise(store)
    suffix, write = f".{file_format}", WRITERS[file_format]
    annotated = annotations.video_ids if annotations is not None else ()
    skipped = {video_id: "annotated, but not in the store" for video_id in annotated if video_id not in store}
    durations = []
    for video_id in progress(store, description="export", total=len(store), unit="video"):
        refuse_unsafe_id(video_id, str(store.path))
        durations.append(f"{video_id},{store.info(video_id).attributes.get('duration_s', '')!s}\n")
        features, times_s = _features(store, video_id, cells)
        if not len(features):
            skipped[video_id] = "has no features"
            continue
        with atomic_path(out / EXPORT_FOLDER / f"{video_id}{suffix}") as temporary:
            write(temporary, features, times_s)
    values = config_values(summary.grid, summary.channels, summary.longest, file_format, cells)
    text = describe_config_values(values, summary.grid, cells)
    write_json(out / "config_values.json", {"grid": summary.grid.to_dict(), "cells": cells, **values})
    write_text(out / "config_values.txt", text)
    write_text(out / "durations.csv", "".join(["video_id,duration_s\n", *durations]))
    write_text(out / "missing_files.txt", "".join(f"{video_id}\n" for video_id in skipped))
    written = len(store) - sum(video_id in store for video_id in skipped)
    others = ["config_values.json", "config_values.txt", "durations.csv", "missing_files.txt"]
    others += _reader_files(out, store, file_format, cells, annotations)
    line = f"wrote {written} files of features to {out / EXPORT_FOLDER}, and beside them {', '.join(others)}"
    return Exported(text, line, skipped)


def _reader_files(
    out: Path, store: FeatureStore, file_format: str, cells: int | None, annotations: AnnotationTable | None
) -> list[str]:
    """Write what the readers of such files want beside them; return the names."""
    if annotations is None:
        return []
    paths = []
    if file_format in ("npy", "npz"):
        held = [video_id for video_id in annotations.video_ids if video_id in store]
        recorded = {video_id: store.info(video_id).attributes.get("duration_s") for video_id in held}
        durations_s = {video_id: float(value) for video_id, value in recorded.items() if value is not None}
        paths.append(write_actionformer(out, annotations, durations_s))
    if file_format == "csv" and cells is not None:
        paths += write_bmn(out, annotations, store, cells)
    return [str(path.relative_to(out)) for path in paths]


def _features(
    store: FeatureStore, video_id: str, cells: int | None
) -> tuple[NDArray[np.floating], NDArray[np.float64]]:
    """Features as stored with their times, or rescaled ones with the times of the cells."""
    with store.open_video(video_id) as file:
        features, times_s = file[video_id][()], file[f"{TIMES_GROUP}/{video_id}"][()]
    if cells is None or not len(features):
        return features, times_s
    duration_s = store.duration_s(video_id)
    rescaled = interpolate_to_cells(features, times_s, duration_s, cells)
    return rescaled, (np.arange(cells) + 0.5) * duration_s / cells


def _write_npy(path: Path, features: NDArray[np.floating], times_s: NDArray[np.float64]) -> None:
    with path.open("wb") as file:
        np.save(file, features, allow_pickle=False)


def _write_npz(path: Path, features: NDArray[np.floating], times_s: NDArray[np.float64]) -> None:
    with path.open("wb") as file:
        np.savez(file, feats=features, times=times_s)


def _write_pt(path: Path, features: NDArray[np.floating], times_s: NDArray[np.float64]) -> None:
    import torch

    torch.save(torch.from_numpy(features), path)


def _write_csv(path: Path, features: NDArray[np.floating], times_s: NDArray[np.float64]) -> None:
    header = ",".join(f"f{channel}" for channel in range(features.shape[1]))
    np.savetxt(path, features, fmt=_CSV_NUMBER, delimiter=",", header=header, comments="")


Writer = Callable[[Path, NDArray[np.floating], NDArray[np.float64]], None]
WRITERS: dict[str, Writer] = {"npy": _write_npy, "npz": _write_npz, "pt": _write_pt, "csv": _write_csv}
"""By file format; readers ignore the times that npz holds beside `feats`."""
