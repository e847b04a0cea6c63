"""Feature files of others by video id, whatever their format; nothing is read before it is asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from feature_extraction.zoo.released import BARE_ARRAY, find_pieces, join_pieces, read_released_file
from runtime.errors import InputError
from video_datasets.ids import refuse_unsafe_id
from video_datasets.time_grid import TimeGrid

Array = NDArray[Any]
Sources = dict[str, Callable[[], Array]]
"""Video id -> reads its array."""

HDF5_SUFFIXES = (".h5", ".hdf5")


def open_sources(
    path: Path,
    *,
    files: str | None = None,
    prefix: str = "",
    suffix: str = "",
    pieces_of: TimeGrid | None = None,
) -> Sources:
    """List the videos of a folder of feature files, an HDF5 file, or a `.pkl` of arrays by video id.

    Args:
        path: the folder, searched at any depth, or the file.
        files: kind of the files in a folder, one of `READERS`; None: the only kind that is there.
        prefix: before the video id in the names of files or arrays; those without it are left out.
        suffix: behind the video id, before the dot; likewise.
        pieces_of: grid of the rows, if every file is a piece of a video (`released.find_pieces`).

    Raises:
        FileNotFoundError: if there is no such file or folder.
        InputError: if there is nothing to read, an id is unsafe or there twice, or the kind of files is open.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file or folder")
    if path.is_dir():
        sources = _folder_sources(path, files, prefix, suffix, pieces_of)
    elif path.suffix.lower() in HDF5_SUFFIXES:
        sources = _hdf5_sources(path, prefix, suffix)
    else:
        arrays = read_released_file(path)
        sources = {
            _video_id(name, prefix, suffix): partial(arrays.__getitem__, name)
            for name in arrays
            if name.startswith(prefix) and name.endswith(suffix)
        }
    if not sources:
        raise InputError(f"{path}: no feature files found; --files, --prefix and --suffix say which to take")
    for video_id in sources:
        refuse_unsafe_id(video_id, str(path))
    return sources


def _folder_sources(
    folder: Path, files: str | None, prefix: str, suffix: str, pieces_of: TimeGrid | None
) -> Sources:
    paths = [
        path for path in sorted(folder.rglob("*")) if path.suffix[1:].lower() in READERS and path.is_file()
    ]
    kinds = Counter(path.suffix[1:].lower() for path in paths)
    if files is None and len(kinds) > 1:
        found = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
        raise InputError(f"{folder}: holds files of several kinds ({found}); say which to read with --files")
    paths = [path for path in paths if files is None or path.suffix[1:].lower() == files]
    paths = [path for path in paths if path.stem.startswith(prefix) and path.stem.endswith(suffix)]
    if pieces_of is not None:
        return {
            video_id: partial(join_pieces, pieces, pieces_of, read_array)
            for video_id, pieces in find_pieces(paths).items()
        }
    by_id: dict[str, Path] = {}
    for path in paths:
        video_id = _video_id(path.stem, prefix, suffix)
        if video_id in by_id:
            raise InputError(f"{path}: video '{video_id}' is there twice, also as {by_id[video_id]}")
        by_id[video_id] = path
    return {video_id: partial(read_array, path) for video_id, path in by_id.items()}


def _hdf5_sources(path: Path, prefix: str, suffix: str) -> Sources:
    try:
        file = h5py.File(path, "r")  # closed with the last reader
        names = [name for name in file if isinstance(file.get(name), h5py.Dataset)]
    except (OSError, RuntimeError) as error:
        raise InputError(f"{path}: not an HDF5 file, or damaged ({error})") from error
    return {
        _video_id(name, prefix, suffix): partial(_read_dataset, file, name)
        for name in names
        if name.startswith(prefix) and name.endswith(suffix)
    }


def _read_dataset(file: h5py.File, name: str) -> Array:
    try:
        return file[name][()]
    except (OSError, RuntimeError) as error:
        raise InputError(f"not readable ({error})") from error


def _video_id(name: str, prefix: str, suffix: str) -> str:
    return name.removeprefix(prefix).removesuffix(suffix)


# ---- single files


def read_array(path: Path) -> Array:
    """Read the array of one file.

    Raises:
        InputError: if it is damaged, pickled, or holds something else; says what.
    """
    try:
        return READERS[path.suffix[1:].lower()](path)
    except InputError:
        raise
    except Exception as error:  # damaged files raise anything
        raise InputError(f"{path.name}: not readable ({type(error).__name__}: {error})") from error


def _read_npy(path: Path) -> Array:
    return np.load(path, allow_pickle=False)


def _read_npz(path: Path) -> Array:
    with np.load(path, allow_pickle=False) as arrays:
        names = [BARE_ARRAY] if BARE_ARRAY in arrays else list(arrays)
        return _only_array({name: arrays[name] for name in names}, path)


def _read_torch(path: Path) -> Array:
    return _only_array(read_released_file(path), path)


def _only_array(arrays: dict[str, Array], path: Path) -> Array:
    if BARE_ARRAY in arrays:
        return arrays[BARE_ARRAY]
    if len(arrays) != 1:
        raise InputError(
            f"{path.name}: expected one array, or one called '{BARE_ARRAY}'; found {', '.join(sorted(arrays))}"
        )
    return next(iter(arrays.values()))


def _read_csv(path: Path) -> Array:
    """Rows of numbers below a header; a first line of numbers other than 0, 1, 2, ... is a row, too."""
    import pandas as pd

    with path.open(encoding="utf-8") as file:
        header = file.readline().strip().split(",")
    is_row = _are_numbers(header) and header != [str(column) for column in range(len(header))]
    return pd.read_csv(path, header=None if is_row else "infer", dtype=np.float32).to_numpy()


def _are_numbers(words: list[str]) -> bool:
    try:
        [float(word) for word in words]
    except ValueError:
        return False
    return True


READERS: dict[str, Callable[[Path], Array]] = {
    "npy": _read_npy,
    "npz": _read_npz,
    "csv": _read_csv,
    "pt": _read_torch,
    "pkl": _read_torch,
}
"""By file suffix."""
