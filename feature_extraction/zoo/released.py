"""Files of the TAdaConv repository: `torch.save` of NumPy arrays, for EPIC-KITCHENS-100 one for
every 5 seconds.

    P01_13_0005000_0010000.pkl     video P01_13, 5.000 s to 10.000 s

Features are an array (rows, C); classification results, under the same names, a dict of the arrays
"verb_class" and "noun_class". Rows follow one grid over the whole video, times (7 + 8 k) / 60 s, so
pieces hold 37 and 38 rows in turn (alibaba-mmai-research/TAdaConv,
tadaconv/datasets/base/epickitchen100_feature.py, `_transform_feature_scale`).

Such files are pickles, which may hold code. They are read with `weights_only=True`, which builds
tensors, arrays of numbers and plain containers, and refuses everything else.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feature_extraction.zoo.arrays import BARE_ARRAY
from feature_extraction.zoo.reach import MAX_GAP_S
from runtime.errors import InputError
from tadaconv.file_kinds import kind_of_file
from video_datasets.time_grid import TimeGrid

_PIECE_NAME = re.compile(r"(?P<video>.+)_(?P<start_ms>\d{7,})_(?P<end_ms>\d{7,})")
_ROUNDING = 1e-6
"""In features: a border may fall on a feature's time up to a rounding error."""


def read_released_file(path: Path) -> dict[str, NDArray[Any]]:
    """Read a `.pkl` or `.pt` of arrays or tensors by name; one that stands alone is called "feats".

    Raises:
        InputError: if the file is missing, damaged, holds code, or something else than arrays of
            numbers.
    """
    content = _load(path)
    entries = content if isinstance(content, dict) else {BARE_ARRAY: content}
    arrays = {str(name): _as_array(value) for name, value in entries.items()}
    wrong = [name for name, array in arrays.items() if array is None]
    if wrong or not arrays:
        found = type(entries[wrong[0]]).__name__ if wrong else "nothing"
        raise InputError(f"{path}: expected an array of numbers, or a dict of them; found {found}")
    return {name: array for name, array in arrays.items() if array is not None}


def _load(path: Path) -> Any:
    import torch

    if not path.is_file():
        raise InputError(f"{path}: no such file")
    if kind := kind_of_file(path):
        raise InputError(f"{path}: it is {kind}; features: numpy.save(FILE.npy, array)")
    try:
        with torch.serialization.safe_globals(_array_globals()):
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds on damaged files
        refused = re.search(r"GLOBAL (\S+) (was not an allowed|whose module)", str(error))
        if refused:
            raise InputError(f"{path}: refused, since it is not plain data: it calls {refused[1]}") from error
        raise InputError(
            f"{path}: not readable as a file of torch.save ({type(error).__name__}); download it again"
        ) from error


def _array_globals() -> list[Any]:
    """What an array of numbers is pickled with, under the names of NumPy 1 and 2."""
    reconstruct = np.zeros(0).__reduce__()[0]
    dtypes = {type(np.dtype(code)) for code in ("f2", "f4", "f8", "i4", "i8")}
    names = ("numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct")
    return [np.ndarray, np.dtype, *dtypes, *((reconstruct, name) for name in names)]


def _as_array(value: Any) -> NDArray[Any] | None:
    import torch

    if isinstance(value, torch.Tensor):
        value = value.float().numpy() if value.is_floating_point() else value.numpy()
    return value if isinstance(value, np.ndarray) and value.dtype.kind in "fi" else None


# ---- pieces of videos


@dataclass(frozen=True)
class ReleasedPiece:
    """One file of a video that is cut into pieces."""

    path: Path
    start_s: float
    end_s: float


def find_pieces(paths: Iterable[Path]) -> dict[str, list[ReleasedPiece]]:
    """Sort files named `<video>_<start ms>_<end ms>` by video and time; others are left out."""
    pieces = defaultdict(list)
    for path in paths:
        name = _PIECE_NAME.fullmatch(path.stem)
        if name:
            start_s, end_s = int(name["start_ms"]) / 1000, int(name["end_ms"]) / 1000
            pieces[name["video"]].append(ReleasedPiece(path, start_s, end_s))
    return {video_id: sorted(found, key=lambda p: (p.start_s, p.end_s)) for video_id, found in pieces.items()}


def num_piece_rows(grid: TimeGrid, start_s: float, end_s: float) -> int:
    """Count the features of a grid with start <= time < end.

    >>> grid = TimeGrid(fps=60, stride_frames=8, convention="centred_on_last")
    >>> [num_piece_rows(grid, t, t + 5) for t in (0, 5, 10, 15)]
    [37, 38, 37, 38]
    """
    first, stop = (max(0, math.ceil(p - _ROUNDING)) for p in grid.seconds_to_feature([start_s, end_s]))
    return stop - first


def join_pieces(
    pieces: Sequence[ReleasedPiece], grid: TimeGrid, read: Callable[[Path], NDArray[Any]]
) -> NDArray[Any]:
    """Put the rows of a video's pieces one after another, each row at its place in the grid.

    A piece may have one row too many, which is dropped, as the released loader does; the last piece
    may have one too few, since its end is rounded.

    Args:
        pieces: of one video, sorted.
        grid: of the rows.
        read: gives the rows of a file, shape (n, C).

    Raises:
        InputError: if a piece is missing between others or overlaps its neighbour, its rows do not
            fit its length, or are of another shape than those of the first.
    """
    rows: list[NDArray[Any]] = []
    end_s = 0.0
    for piece in pieces:
        if abs(piece.start_s - end_s) > grid.stride_frames / grid.fps / 2:
            what = "there is no file" if piece.start_s > end_s else "two files"
            between = sorted((piece.start_s, end_s))
            raise InputError(f"{piece.path.name}: {what} for {between[0]:g}-{between[1]:g} s")
        end_s = piece.end_s
        array = read(piece.path)
        expected = num_piece_rows(grid, piece.start_s, piece.end_s)
        missing_allowed = 1 if piece is pieces[-1] else 0
        if not expected - missing_allowed <= len(array) <= expected + 1:
            raise InputError(
                f"{piece.path.name}: {len(array)} rows, but {expected} fit its "
                f"{piece.end_s - piece.start_s:g} s at {grid.fps:g} fps, stride {grid.stride_frames}"
            )
        if rows and array.shape[1:] != rows[0].shape[1:]:
            raise InputError(
                f"{piece.path.name}: rows of shape {array.shape[1:]}, but {rows[0].shape[1:]} in "
                f"{pieces[0].path.name}: another number of channels, classes or crops; download it again"
            )
        rows.append(array[:expected])
    return np.concatenate(rows)


def refuse_missing_end(pieces: Sequence[ReleasedPiece], duration_s: float) -> None:
    """Refuse pieces that end more than `MAX_GAP_S` before their video.

    Released pieces may end a little early: those of less than 0.2 s are left out, and lengths of
    videos come from another list than the annotations (TAdaConv, `_construct_video_clips`).

    Args:
        pieces: of one video, sorted.
        duration_s: of the video; NaN where it is unknown, which refuses nothing.

    Raises:
        InputError: if the last piece, or more, is missing.
    """
    last = pieces[-1]
    if duration_s - last.end_s > MAX_GAP_S:
        raise InputError(
            f"{last.path.name} is the last file, but the video lasts {duration_s:g} s: there is no file for "
            f"{last.end_s:g}-{duration_s:g} s"
        )
