"""Feature store: HDF5 files that keep the features of each video with their times and their time
grid.

    <id>.h5 while a run goes on               features.h5, merged
    ---------------------------               -------------------
    /<id>          T x C, attributes          /<id 1>          /<id 2>          ...
    /_times/<id>   T, float64, seconds        /_times/<id 1>   /_times/<id 2>   ...

A pack (`zoo pack --shard-gb`) is a folder of such merged files and their index (`merged`).

Attributes of /<id>: the fields of the `TimeGrid` as "grid.fps", "grid.stride_frames", ...;
`complete`; `values_sum`, by which damage is noticed (`integrity`; older stores have none and open
all the same); and what the writer adds (backbone fingerprint, source file, duration_s, ...;
docs/features.md lists them). Any HDF5 reader finds one dataset per video id at the root, the layout
that ActionFormer reads.

One file per video, because a killed writer then costs one video and many processes may write at
once; a file appears under its name only when it is whole. float16 halves the size at a relative
error below 5e-4; filters would gain little more and cost most of the reading speed, so there are
none.
"""

from __future__ import annotations

import contextlib
from collections.abc import Container, Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import ArrayLike, NDArray

from feature_extraction import integrity
from feature_extraction.integrity import COMPLETE, SUM, TIMES_GROUP, has_whole_features
from feature_extraction.merged import MergedFile, Shards, is_pack
from feature_extraction.records import GRID_PREFIX, FeatureInfo, FeatureRecord, as_float32, read_info
from runtime.errors import InputError
from runtime.hdf5 import open_hdf5, writing_hdf5
from runtime.hdf5_texts import fixed_text
from video_datasets.ids import refuse_unsafe_id
from video_datasets.time_grid import TimeGrid

MERGED_NAME = "features.h5"
"""Name of the merged file within a folder of per-video files."""

_RESERVED_IDS = (TIMES_GROUP, Path(MERGED_NAME).stem)


def video_file_name(video_id: str) -> str:
    """Name of the per-video file: the id with ".h5" behind it.

    Raises:
        InputError: if the id cannot be a file name and an HDF5 name as it is ("../x", "/x", "",
            ".hidden", control characters), or is a name of the store's own.
    """
    refuse_unsafe_id(video_id, "feature store")
    if video_id in _RESERVED_IDS:
        raise InputError(f"video id {video_id!r} is a name of the store's own; rename the video")
    return f"{video_id}.h5"


# ---- writing


def write_video_features(
    folder: Path | str,
    video_id: str,
    features_TC: NDArray[np.floating],
    times_s: ArrayLike,
    grid: TimeGrid,
    *,
    attributes: Mapping[str, str | int | float | bool],
    dtype: str = "float16",
) -> Path:
    """Write the features of one video to `<folder>/<id>.h5`, whole or not at all.

    Args:
        folder: folder of the store, made when missing.
        video_id: name of the video.
        features_TC: shape (T, C), finite.
        times_s: seconds, shape (T,), increasing.
        grid: the rule that the times follow.
        attributes: what else to record; plain numbers and strings.
        dtype: type on disk, "float16" or "float32".

    Returns:
        Path of the file.

    Raises:
        InputError: if the id is unsafe, or a value is not finite (float16 ends at 65504).
        ValueError: if the arrays do not fit together.
    """
    path = Path(folder) / video_file_name(video_id)
    with writing_hdf5(path) as file:
        add_video(file, video_id, features_TC, times_s, grid, attributes=attributes, dtype=dtype)
    return path


def add_video(
    file: h5py.File,
    video_id: str,
    features_TC: NDArray[np.floating],
    times_s: ArrayLike,
    grid: TimeGrid,
    *,
    attributes: Mapping[str, str | int | float | bool],
    dtype: str,
) -> None:
    """Add one video to an open file; the arguments and errors are those of `write_video_features`.

    Nothing is added when the arguments are refused.
    """
    video_file_name(video_id)  # refuses unsafe ids
    times = np.asarray(times_s, dtype=np.float64)
    if features_TC.ndim != 2 or times.shape != features_TC.shape[:1]:
        raise ValueError(
            f"video {video_id!r}: expected features (T, C) and times (T,); "
            f"got {features_TC.shape} and {times.shape}"
        )
    if np.any(np.diff(times) <= 0):
        raise ValueError(f"video {video_id!r}: times of features must increase")
    with np.errstate(over="ignore"):  # reported just below
        stored = np.asarray(features_TC).astype(dtype, copy=False)
    if not np.isfinite(stored).all():
        raise InputError(f"video {video_id!r}: features hold nan or values beyond the range of {dtype}")
    dataset = file.create_dataset(video_id, data=stored)
    described = {GRID_PREFIX + name: value for name, value in grid.to_dict().items()}
    for name, value in {**described, **attributes}.items():
        dataset.attrs[name] = fixed_text(value) if isinstance(value, str) else value
    file.create_dataset(f"{TIMES_GROUP}/{video_id}", data=times)
    dataset.attrs[SUM] = np.uint64(integrity.values_sum(stored, times))
    dataset.attrs[COMPLETE] = True  # last


def merge_features(
    folder: Path | str, destination: Path | str | None = None, *, without: Container[str] = ()
) -> int:
    """Copy all complete videos of a folder into one file, one video at a time, whole or not at all.

    For a while the features lie on the disk twice: a file that grows while its sources are deleted
    one by one would lose all of them when the writer is killed (HDF5 keeps its tables in memory
    until the file is closed).

    Args:
        folder: folder of per-video files (an earlier merged file in it is taken along).
        destination: the merged file; None: `features.h5` in the folder.
        without: ids that are not taken along.

    Returns:
        Number of videos in the merged file.
    """
    store = FeatureStore(folder)
    ids = [video_id for video_id in store if video_id not in without]
    destination = Path(folder) / MERGED_NAME if destination is None else Path(destination)
    with writing_hdf5(destination) as merged:
        times = merged.create_group(TIMES_GROUP)
        for video_id in ids:
            with store.open_video(video_id) as file:
                file.copy(video_id, merged)
                file.copy(f"{TIMES_GROUP}/{video_id}", times)
        return len(ids)


# ---- reading


class FeatureStore(Mapping[str, FeatureRecord]):
    """Read features by video id, from a merged file, a pack, or a folder of per-video files.

    In a folder, a per-video file goes before an entry of `features.h5` (a file, or a link to a
    pack), and files that are incomplete or do not open count as absent. Pickles as its path; a
    merged file or a shard is opened once per process, at the first read. The list of ids is made
    once, at the first iteration. The values of a video are compared with their sum the first time
    that a process reads any of them. Methods raise KeyError for other videos.

    Args:
        path: HDF5 file or folder.

    Raises:
        InputError: if there is no such file or folder, or the file is no HDF5 file; from methods,
            if it is damaged within (names the video, and the shard), written by another process
            just now, or takes its values from elsewhere.

    Example:
        >>> store = FeatureStore("runs/hacs/features")            # doctest: +SKIP
        >>> store["--0edUL8zmA"].features.shape                   # doctest: +SKIP
        (173, 2048)
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        if not self.path.exists():
            raise InputError(f"{self.path}: no such feature store; run the feature extraction first")
        self._folder = self.path if self.path.is_dir() and not is_pack(self.path) else None
        place = self.path / MERGED_NAME if self._folder else self.path
        self._merged: MergedFile | Shards = Shards(place) if is_pack(place) else MergedFile(place)
        if self.path.is_file() and not h5py.is_hdf5(self.path):
            raise InputError(
                f"{self.path}: not an HDF5 file, or cut short; merge or extract the features again"
            )
        self._ids: list[str] | None = None
        self._checked: set[str] = set()
        """Videos whose values this process has compared with their sum."""

    def __reduce__(self) -> tuple[type[FeatureStore], tuple[Path]]:
        return type(self), (self.path.absolute(),)  # other processes may be elsewhere

    def __getitem__(self, video_id: str) -> FeatureRecord:
        with self._damage_told(video_id), self._opened(video_id) as file:
            dataset = file[video_id]
            info = read_info(dataset)
            features, times_s = self._values(file, dataset, info)
            return FeatureRecord(
                features=as_float32(features),
                times=times_s.astype(np.float64, copy=False),
                grid=info.grid,
                attributes=info.attributes,
            )

    def _values(
        self, file: h5py.File, dataset: h5py.Dataset, info: FeatureInfo
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        """Read features and times, compared with their sum when this process has not done so
        yet."""
        video_id = dataset.name[1:]
        features, times_s = dataset[()], file[f"{TIMES_GROUP}/{video_id}"][()]
        if video_id not in self._checked:
            if wrong := integrity.damage(info.values_sum, features, times_s):
                raise InputError(
                    f"{self._where(video_id)}: damaged: {wrong}; copy the file again, or remove it and extract again"
                )
            self._checked.add(video_id)
        return features, times_s

    def __contains__(self, video_id: object) -> bool:
        try:
            with self._opened(str(video_id)):
                return True
        except KeyError:
            return False

    def __iter__(self) -> Iterator[str]:
        return iter(self._listed())

    def __len__(self) -> int:
        return len(self._listed())

    def any_id(self) -> str | None:
        """Return the id of some video without listing all of them, None if there is none."""
        with self._damage_told():
            return next(self._found_ids(), None)

    def info(self, video_id: str) -> FeatureInfo:
        """Return shape, type, grid and attributes of a video, without reading its features."""
        with self._damage_told(video_id), self._opened(video_id) as file:
            return read_info(file[video_id])

    def duration_s(self, video_id: str) -> float:
        """Return the decoded duration of a video, without reading its features; KeyError if it
        is not recorded."""
        with self._damage_told(video_id), self._opened(video_id) as file:
            return float(file[video_id].attrs["duration_s"])

    def times(self, video_id: str) -> NDArray[np.float64]:
        """Return the time of every feature in seconds, shape (T,), without reading the features."""
        with self._damage_told(video_id), self._opened(video_id) as file:
            return file[f"{TIMES_GROUP}/{video_id}"][()].astype(np.float64, copy=False)

    def read_range(self, video_id: str, first: int, stop: int) -> NDArray[np.float32]:
        """Read features `first` to `stop - 1` of a video from disk, float32 of shape (stop - first,
        C).

        Raises:
            IndexError: unless 0 <= first <= stop <= T; nothing is padded here.
        """
        with self.open_video(video_id) as file:
            dataset = file[video_id]
            if not 0 <= first <= stop <= len(dataset):
                raise IndexError(
                    f"{self.path}: video {video_id!r} has {len(dataset)} features; asked for {first} to {stop}"
                )
            return as_float32(dataset[first:stop])

    @contextlib.contextmanager
    def open_video(self, video_id: str) -> Iterator[h5py.File]:
        """Open the file that holds a video, for reading parts of `/<id>` and `/_times/<id>`.

        Raises:
            KeyError: if the store does not hold it.
        """
        with self._opened(video_id) as file:
            if video_id not in self._checked:
                with self._damage_told(video_id):
                    self._values(file, file[video_id], read_info(file[video_id]))
            yield file

    @contextlib.contextmanager
    def _opened(self, video_id: str) -> Iterator[h5py.File]:
        """The same without a look at the values."""
        own = self._folder / f"{video_id}.h5" if self._folder else None
        if (
            own is not None
            and own.parent == self._folder
            and own != self._merged.path
            and has_whole_features(own)
        ):
            with open_hdf5(own) as file:
                yield file
        elif (merged := self._merged.file_of(video_id)) is not None:
            yield merged
        else:
            raise KeyError(f"{self.path}: no features of video {video_id!r}")

    def _where(self, video_id: str) -> str:
        return f"{self._merged.place_of(video_id) or self.path}: video {video_id!r}"

    def _listed(self) -> list[str]:
        if self._ids is None:
            with self._damage_told():
                self._ids = sorted(set(self._found_ids()))
        return self._ids

    @contextlib.contextmanager
    def _damage_told(self, video_id: str = "") -> Iterator[None]:
        """Turn what h5py raises over damage within a file into an InputError."""
        try:
            yield
        except (InputError, KeyError):
            raise
        except (OSError, RuntimeError, ValueError) as error:  # ValueError: of the time grid
            where = self._where(video_id) if video_id else str(self.path)
            raise InputError(f"{where}: damaged ({error}); copy it again, or extract again") from error

    def _found_ids(self) -> Iterator[str]:
        """Yield ids as they are found, some of them twice."""
        yield from self._merged.ids()
        if self._folder:
            own = (path for path in self._folder.glob("*.h5") if path != self._merged.path)
            yield from (path.stem for path in own if has_whole_features(path))
