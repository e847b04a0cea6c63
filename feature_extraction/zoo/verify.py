"""Everything that can be checked of a packed store, a shard at a time: sums, index, layout, values,
times, attributes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np

from feature_extraction.index import INDEX_NAME, PACKED_NAME, SHARD, IndexRow, index_row, read_index
from feature_extraction.store import TIMES_GROUP, FeatureStore
from feature_extraction.zoo.pack import CARD_NAME
from feature_extraction.zoo.shards import shard_names
from feature_extraction.zoo.sums import SUMS_NAME, read_sums
from runtime.errors import InputError
from runtime.fingerprint import file_sha256
from runtime.hdf5 import open_hdf5
from runtime.hdf5_texts import attributes
from runtime.progress import progress
from video_datasets.ids import refuse_unsafe_id
from video_datasets.time_grid import TimeGrid

REQUIRED_ATTRIBUTES = ("duration_s", "source", "weights")
KNOWN_DTYPES = ("float16", "float32")
TIME_TOLERANCE_S = 1e-9


@dataclass
class Verification:
    """What came of it: place -> what is wrong there; video id -> why it was not compared."""

    shards: dict[str, str] = field(default_factory=dict)
    """Of a pack in several: name -> what was found, in words."""
    videos: int = 0
    compared: int = 0
    problems: list[tuple[str, str]] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)


def verify(
    folder: Path, *, videos: Path | None = None, weights: Path | None = None, sample: int = 3
) -> Verification:
    """Check a folder that `pack` wrote.

    Args:
        folder: with features.hdf5 or shards, README.md, index.csv, SHA256SUMS.
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
    index = _rows_of_index(folder, result)
    names = shard_names(index or {}, folder) or [PACKED_NAME]
    _check_files(folder, names, result)
    check = _Check(index, result)
    readable = [(name, video_id) for name in names for video_id in check.shard(folder / name)]
    if videos is not None and readable:
        step = max(1, len(readable) // max(1, sample))
        _extract_again(folder, readable[::step][:sample], videos, weights, result)
    return result


def _extract_again(
    folder: Path, sample: list[tuple[str, str]], videos: Path, weights: Path | None, result: Verification
) -> None:
    """Compare some videos, (shard, id) each, with a new extraction."""
    from feature_extraction.zoo.reextract import compare_with_videos

    for name in dict.fromkeys(name for name, _ in sample):
        chosen = [video_id for shard, video_id in sample if shard == name]
        wrong, skipped = compare_with_videos(FeatureStore(folder / name), chosen, videos, weights)
        result.problems += [(f"{name}, video '{video_id}'", what) for video_id, what in wrong.items()]
        result.skipped |= skipped
        result.compared += len(chosen) - len(skipped)


def _check_files(folder: Path, shards: list[str], result: Verification) -> None:
    try:
        sums = read_sums(folder)
    except (InputError, FileNotFoundError) as error:
        result.problems.append((SUMS_NAME, str(error)))
        return
    for name in (*shards, INDEX_NAME, CARD_NAME):
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


class _Check:
    """Look at one HDF5 file after the other, a video at a time."""

    def __init__(self, index: dict[str, IndexRow] | None, result: Verification) -> None:
        self.index, self.result = index, result
        self.kinds: dict[tuple[str, ...], str] = {}
        """What the videos of all shards have in common -> the first such video."""

    def shard(self, path: Path) -> list[str]:
        """Check one file; return the ids of the videos that are whole."""
        listed = {name for name, row in (self.index or {}).items() if row[SHARD] == path.name}
        before = len(self.result.problems)
        try:
            with open_hdf5(path) as file:
                names = [name for name in file if name != TIMES_GROUP]
                whole = self._videos(file, names, path.name)
        except (OSError, RuntimeError) as error:
            self.result.problems.append((path.name, f"missing, damaged, or not an HDF5 file ({error})"))
            self.result.shards[path.name] = f"not readable, {len(listed)} videos"
            return []
        for video_id in sorted(listed - set(names)):
            self.result.problems.append((INDEX_NAME, f"lists video '{video_id}', which {path.name} lacks"))
        self.result.videos += len(names)
        n_problems = len(self.result.problems) - before
        self.result.shards[path.name] = f"{len(names)} videos, {n_problems} problems"
        return whole

    def _videos(self, file: h5py.File, names: list[str], shard: str) -> list[str]:
        whole = []
        for video_id in progress(names, description=f"verify {shard}", unit="video"):
            try:
                found = _video_problems(file, video_id)
                if not found:
                    whole.append(video_id)
                    found = _index_problems(index_row(file, video_id, shard), self.index)
                    kind = _kind(file[video_id])
                    if self.kinds.setdefault(kind, video_id) == video_id and len(self.kinds) > 1:
                        found.append(f"{', '.join(kind)}, unlike '{next(iter(self.kinds.values()))}'")
            except (OSError, RuntimeError, KeyError, InputError) as error:  # damage within the file
                found = [f"not readable ({error})"]
            self.result.problems += [(f"{shard}, video '{video_id}'", what) for what in found]
        return whole


def _kind(dataset: h5py.Dataset) -> tuple[str, ...]:
    """What must be the same for all videos."""
    found = attributes(dataset)
    grid = {name: found[name] for name in sorted(found) if name.startswith("grid.")}
    parts = {"channels": dataset.shape[1], "type": dataset.dtype.name, **grid}
    parts |= {name: found[name] for name in ("backbone", "backbone_sha256") if name in found}
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
    found = attributes(dataset)
    problems = [f"attribute '{name}' is missing" for name in REQUIRED_ATTRIBUTES if name not in found]
    if not found.get("complete", False):
        problems.append("not marked as complete")
    if not np.isfinite(dataset[()]).all():
        problems.append("values that are not finite")
    grid = {name.removeprefix("grid."): value for name, value in found.items()}
    try:
        return problems + _time_problems(times[()], TimeGrid.from_dict(grid), found.get("num_grid_frames"))
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
