"""A store as one file a video, for OpenTAD, ActionFormer and BMN.

DIR/features/<id>.npy|npz|pt|csv
DIR/config_values.json, config_values.txt   their settings, so that they find our times
DIR/durations.csv                           what was decoded, in seconds
DIR/missing_files.txt                       OpenTAD's `block_list`: it ends at the first missing file
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from feature_extraction.store import TIMES_GROUP, FeatureStore
from feature_extraction.zoo.config_values import config_values, describe_config_values
from feature_extraction.zoo.summary import open_store, summarise
from runtime.atomic import atomic_path, write_json, write_text
from runtime.progress import progress
from video_datasets.ids import refuse_unsafe_id
from video_datasets.time_grid import interpolate_to_cells

EXPORT_FOLDER = "features"
_CSV_NUMBER = "%.9g"
"""As many digits as give every float32 back exactly, and with it every float16."""


def export(
    source: Path, out: Path, file_format: str, *, cells: int | None = None, annotated: Iterable[str] = ()
) -> tuple[str, dict[str, str]]:
    """Write the files; each appears whole or not at all.

    Args:
        source: store file, its folder, or a run folder.
        out: folder to write.
        file_format: one of `WRITERS`.
        cells: rescale every video to so many rows by linear interpolation (BMN reads 100); None: as extracted.
        annotated: ids of the data set; those that the store lacks go to missing_files.txt.

    Returns:
        The settings as text, and video id -> reason of what was left out.

    Raises:
        InputError: if there is no store, its videos differ in grid or channels, or an id is unsafe.
    """
    store = open_store(source)
    summary = summarise(store)
    suffix, write = f".{file_format}", WRITERS[file_format]
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
    return text, skipped


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
