"""Feature files of others by video id, whatever their format; nothing is read before it is asked
for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from feature_extraction.zoo.arrays import BARE_ARRAY, features_among
from feature_extraction.zoo.released import find_pieces, join_pieces, read_released_file
from runtime.errors import InputError
from runtime.hdf5 import open_hdf5, own_dataset
from video_datasets.ids import refuse_unsafe_id
from video_datasets.time_grid import TimeGrid
from video_datasets.video.search import APPLE_DOUBLE

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
    """List the videos of a folder of feature files, an HDF5 file, or a `.pkl` of arrays by video
    id.

    Args:
        path: the folder, searched at any depth, or the file.
        files: kind of the files in a folder, one of `READERS`; None: the only kind that is there.
        prefix: before the video id in the names of files or arrays; those without it are left out.
        suffix: behind the video id, before the dot; likewise.
        pieces_of: grid of the rows, if every file is a piece of a video (`released.find_pieces`).

    Raises:
        FileNotFoundError: if there is no such file or folder.
        InputError: if there is nothing to read, an id is unsafe or there twice, or the kind of
            files is open.
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
        raise InputError(
            f"{path}: no feature files found{_others(path)}; --files, --prefix and --suffix say which to take"
        )
    for video_id in sources:
        refuse_unsafe_id(video_id, str(path))
    return sources


def _others(path: Path) -> str:
    """What lies there instead, for a message."""
    if not path.is_dir():
        return " in it"
    kinds = Counter(file.suffix.lower() or "no suffix" for file in path.rglob("*") if file.is_file())
    found = ", ".join(f"{count} of {kind}" for kind, count in kinds.most_common(3))
    database = "; an LMDB must be written as .npy files first" if ".mdb" in kinds else ""
    return f" (looked for .{', .'.join(READERS)}; found {found or 'nothing'}{database})"


def _folder_sources(
    folder: Path, files: str | None, prefix: str, suffix: str, pieces_of: TimeGrid | None
) -> Sources:
    paths = [
        path
        for path in sorted(folder.rglob("*"))
        if path.suffix[1:].lower() in READERS and not path.name.startswith(APPLE_DOUBLE) and path.is_file()
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
        file = open_hdf5(path)  # closed with the last reader
        names = {name: member for name in file if (member := _table_of(file, name))}
    except (OSError, RuntimeError) as error:
        raise InputError(f"{path}: not an HDF5 file, or damaged ({error})") from error
    return {
        _video_id(name, prefix, suffix): partial(_read_dataset, file, member)
        for name, member in names.items()
        if name.startswith(prefix) and name.endswith(suffix)
    }


def _table_of(file: h5py.File, name: str) -> str:
    """Where the features of a video lie: in the dataset of its name, or in the only table of the
    group of its name.

    The C3D features of ActivityNet are such groups: <id>/c3d_features.
    """
    if own_dataset(file, name) is not None:
        return name
    group = file[name]
    members = [f"{name}/{member}" for member in group] if isinstance(group, h5py.Group) else []
    tables = [
        member
        for member in members
        if (dataset := own_dataset(file, member)) is not None and dataset.ndim > 1
    ]
    return tables[0] if len(tables) == 1 else ""


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
    except InputError as error:
        named = str(error).startswith(str(path))
        raise error if named else InputError(f"{path.name}: {error}") from error
    except Exception as error:  # damaged files raise anything
        raise InputError(f"{path.name}: not readable ({type(error).__name__}: {error})") from error


def _read_npy(path: Path) -> Array:
    return np.load(path, allow_pickle=False)


def _read_npz(path: Path) -> Array:
    with np.load(path, allow_pickle=False) as arrays:
        names = [BARE_ARRAY] if BARE_ARRAY in arrays else list(arrays)
        return features_among({name: arrays[name] for name in names})


def _read_torch(path: Path) -> Array:
    return features_among(read_released_file(path))


def _read_csv(path: Path) -> Array:
    """Rows of numbers, with or without a header; separated by commas, semicolons, tabs or blanks.

    A first line of numbers other than 0, 1, 2, ... is a row. A column without a name in front is
    the number of the row, as pandas writes it, and is left out.
    """
    import pandas as pd

    with path.open(encoding="utf-8-sig") as file:
        first, second = file.readline().strip("\r\n"), file.readline()
    separator = next((mark for mark in ";\t," if mark in first), None)
    decimal = "," if separator in (";", "\t") and "," in first + second else "."
    header = [cell.strip(' "') for cell in first.split(separator)]
    is_row = _are_numbers([cell.replace(decimal, ".") for cell in header])
    is_row = is_row and header != [str(column) for column in range(len(header))]
    table = pd.read_csv(
        path,
        sep=separator or r"\s+",
        decimal=decimal,
        header=None,
        skiprows=0 if is_row else 1,
        encoding="utf-8-sig",
    ).to_numpy()
    if table.shape[1] != len(header):
        raise InputError(f"{table.shape[1]} cells in a row under a header of {len(header)}")
    return (table[:, 1:] if not header[0] else table).astype(np.float32)


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
