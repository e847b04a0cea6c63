"""Everything that can be checked of a packed store: sums, index, layout, values, times,
attributes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np

from feature_extraction.store import TIMES_GROUP, FeatureStore
from feature_extraction.zoo.index import (
    INDEX_NAME,
    SUMS_NAME,
    IndexRow,
    index_row,
    read_index,
    read_sums,
)
from feature_extraction.zoo.pack import CARD_NAME
from feature_extraction.zoo.summary import PACKED_NAME
from runtime.errors import InputError
from runtime.fingerprint import file_sha256
from runtime.hdf5 import open_hdf5
from runtime.progress import progress
from video_datasets.ids import refuse_unsafe_id
from video_datasets.time_grid import TimeGrid

REQUIRED_ATTRIBUTES = ("duration_s", "source", "weights")
KNOWN_DTYPES = ("float16", "float32")
TIME_TOLERANCE_S = 1e-9


@dataclass
class Verification:
    """What came of it: place -> what is wrong there; video id -> why it was not compared."""

    videos: int = 0
    compared: int = 0
    problems: list[tuple[str, str]] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)


def verify(
    folder: Path, *, videos: Path | None = None, weights: Path | None = None, sample: int = 3
) -> Verification:
    """Check a folder that `pack` wrote.

    Args:
        folder: with features.hdf5, README.md, index.csv, SHA256SUMS.
        videos: folder of the videos, to extract some of them again; None: not done.
        weights: file of the network for that.
        sample: how many videos to extract again, spread evenly over the ids.

    Raises:
        InputError: if there is no such folder, or the features cannot be compared with videos at
            all.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; expected one that `zoo pack` wrote")
    result = Verification()
    _check_files(folder, result)
    path = folder / PACKED_NAME
    index = _rows_of_index(folder, result)
    try:
        with open_hdf5(path) as file:
            readable = _check_features(file, index, result)
    except (OSError, RuntimeError) as error:
        result.problems.append((PACKED_NAME, f"missing, damaged, or not an HDF5 file ({error})"))
        return result
    if videos is not None and readable:
        from feature_extraction.zoo.reextract import compare_with_videos

        step = max(1, len(readable) // max(1, sample))
        chosen = readable[::step][:sample]
        wrong, result.skipped = compare_with_videos(FeatureStore(path), chosen, videos, weights)
        result.problems += [(f"{PACKED_NAME}, video '{video_id}'", what) for video_id, what in wrong.items()]
        result.compared = len(chosen) - len(result.skipped)
    return result


def _check_files(folder: Path, result: Verification) -> None:
    try:
        sums = read_sums(folder)
    except (InputError, FileNotFoundError) as error:
        result.problems.append((SUMS_NAME, str(error)))
        return
    for name in (PACKED_NAME, INDEX_NAME, CARD_NAME):
        if name not in sums:
            result.problems.append((SUMS_NAME, f"does not list {name}"))
    for name, expected in sums.items():
        if not (folder / name).is_file():
            result.problems.append((name, f"missing, though {SUMS_NAME} lists it"))
        elif file_sha256(folder / name) != expected:
            result.problems.append((name, f"another SHA-256 than in {SUMS_NAME}: changed or cut short"))


def _rows_of_index(folder: Path, result: Verification) -> dict[str, IndexRow] | None:
    try:
        return read_index(folder / INDEX_NAME)
    except (InputError, FileNotFoundError) as error:
        result.problems.append((INDEX_NAME, str(error)))
        return None


def _check_features(file: h5py.File, index: dict[str, IndexRow] | None, result: Verification) -> list[str]:
    """Check the HDF5 file, a video at a time; return the ids of those that are whole."""
    kinds: dict[tuple[str, ...], str] = {}
    whole = []
    names = [name for name in file if name != TIMES_GROUP]
    result.videos = len(names)
    for video_id in progress(names, description="verify", unit="video"):
        try:
            found = _video_problems(file, video_id)
            if not found:
                whole.append(video_id)
                found = _index_problems(index_row(file, video_id), index)
                kind = _kind(file[video_id])
                if kinds.setdefault(kind, video_id) == video_id and len(kinds) > 1:
                    found.append(f"{', '.join(kind)}, unlike '{next(iter(kinds.values()))}'")
        except (OSError, RuntimeError, KeyError) as error:  # damage within the file
            found = [f"not readable ({error})"]
        result.problems += [(f"{PACKED_NAME}, video '{video_id}'", what) for what in found]
    for video_id in sorted((index or {}).keys() - set(names)):
        result.problems.append((INDEX_NAME, f"lists video '{video_id}', which {PACKED_NAME} lacks"))
    return whole


def _kind(dataset: h5py.Dataset) -> tuple[str, ...]:
    """What must be the same for all videos."""
    grid = {name: dataset.attrs[name] for name in sorted(dataset.attrs) if name.startswith("grid.")}
    parts = {"channels": dataset.shape[1], "type": dataset.dtype.name, **grid}
    parts |= {name: dataset.attrs[name] for name in ("backbone", "backbone_sha256") if name in dataset.attrs}
    return tuple(f"{name} {value}" for name, value in parts.items())


def _video_problems(file: h5py.File, video_id: str) -> list[str]:
    """Problems of one video's layout, attributes, times and values."""
    try:
        refuse_unsafe_id(video_id, "id")
    except InputError as error:
        return [str(error)]
    dataset, times = file.get(video_id), file.get(f"{TIMES_GROUP}/{video_id}")
    if not isinstance(dataset, h5py.Dataset) or dataset.ndim != 2 or dataset.dtype.name not in KNOWN_DTYPES:
        return ["expected a dataset T x C of float16 or float32"]
    if not isinstance(times, h5py.Dataset) or times.shape != dataset.shape[:1]:
        return [f"expected {dataset.shape[0]} times in {TIMES_GROUP}/{video_id}"]
    problems = [f"attribute '{name}' is missing" for name in REQUIRED_ATTRIBUTES if name not in dataset.attrs]
    if not dataset.attrs.get("complete", False):
        problems.append("not marked as complete")
    if not np.isfinite(dataset[()]).all():
        problems.append("values that are not finite")
    grid = {name.removeprefix("grid."): value for name, value in dataset.attrs.items()}
    try:
        return problems + _time_problems(
            times[()], TimeGrid.from_dict(grid), dataset.attrs.get("num_grid_frames")
        )
    except ValueError as error:
        return [*problems, str(error)]


def _time_problems(times_s: np.ndarray, grid: TimeGrid, n_frames: int | None) -> list[str]:
    expected = grid.feature_to_seconds(np.arange(len(times_s)))
    problems = []
    if np.any(np.diff(times_s) <= 0):
        problems.append("times do not increase")
    wrong = np.flatnonzero(~(np.abs(times_s - expected) <= TIME_TOLERANCE_S))
    if len(wrong):
        first = wrong[0]
        problems.append(f"time {first} is {times_s[first]:.6f} s, its grid says {expected[first]:.6f} s")
    if n_frames is not None and len(times_s) != grid.num_features(int(n_frames)):
        problems.append(
            f"{len(times_s)} features, but {n_frames} grid frames give {grid.num_features(int(n_frames))}"
        )
    return problems


def _index_problems(found: IndexRow, index: dict[str, IndexRow] | None) -> list[str]:
    if index is None:
        return []
    listed = index.get(found["video_id"])
    if listed is None:
        return [f"not listed in {INDEX_NAME}"]
    return [
        f"{name} {value or 'unknown'}, {INDEX_NAME} says {listed[name] or 'unknown'}"
        for name, value in found.items()
        if listed[name] != value
    ]
