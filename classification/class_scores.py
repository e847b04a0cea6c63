"""Released classification results: logits of verbs and nouns over time, in files of a few seconds
each.

Their form is in `feature_extraction.zoo.released`. Arrays "verb_class" and "noun_class" have a row
for each feature of the run's grid, and the classes of one or more crops side by side (the released
ones: three).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from feature_extraction.zoo.released import ReleasedPiece, find_pieces, join_pieces, read_released_file
from runtime.errors import InputError
from video_datasets.time_grid import TimeGrid

SUFFIXES = (".pkl", ".pt")


def class_score_files(folder: Path) -> list[Path]:
    """Return the files of classification results below a folder.

    Raises:
        InputError: if there are none.
    """
    files = [path for path in sorted(folder.rglob("*")) if path.suffix in SUFFIXES]
    if not find_pieces(files):
        raise InputError(
            f"classification.class_scores={folder}: expected a folder with files <video>_<start ms>_<end ms>.pkl, "
            f"found none"
        )
    return files


def read_class_scores(
    pieces: Sequence[ReleasedPiece], grid: TimeGrid, class_counts: Mapping[str, int]
) -> dict[str, NDArray[np.float32]]:
    """Read the logits of one video.

    Args:
        pieces: its files, sorted by time.
        grid: of the rows.
        class_counts: head -> K classes.

    Returns:
        Head -> (T, R, K) for T rows and R crops.

    Raises:
        InputError: if a piece is missing, is not readable, or holds other classes; the message
            names the file.
    """
    rows = join_pieces(pieces, grid, partial(_read_side_by_side, class_counts=class_counts))
    num_crops = rows.shape[1] // sum(class_counts.values())
    stops = np.cumsum([num_crops * count for count in class_counts.values()])
    columns = np.split(rows, stops[:-1], axis=1)
    return {
        head: values.reshape(len(rows), num_crops, count)
        for (head, count), values in zip(class_counts.items(), columns, strict=True)
    }


def _read_side_by_side(path: Path, class_counts: Mapping[str, int]) -> NDArray[np.float32]:
    """Return the logits of a file, (rows, columns): all crops of the first head, then those of
    the next."""
    arrays = read_released_file(path)
    columns = [_columns(path, arrays, head, count) for head, count in class_counts.items()]
    shapes = {
        (len(array), array.shape[1] // count)
        for array, count in zip(columns, class_counts.values(), strict=True)
    }
    if len(shapes) > 1:
        raise InputError(
            f"{path}: rows or crops differ between {' and '.join(class_counts)}: {[array.shape for array in columns]}"
        )
    return np.concatenate(columns, axis=1)


def _columns(
    path: Path, arrays: Mapping[str, NDArray[np.generic]], head: str, count: int
) -> NDArray[np.float32]:
    array = arrays.get(f"{head}_class")
    if array is None or array.ndim < 2 or not array.size or array[0].size % count:
        found = {name: values.shape for name, values in arrays.items()}
        raise InputError(
            f"{path}: expected an array '{head}_class' whose rows hold {count} classes of one or more crops, "
            f"found {found}"
        )
    logits = array.reshape(len(array), -1).astype(np.float32)
    if not np.isfinite(logits).all():
        raise InputError(f"{path}: '{head}_class' holds values that are not finite; download it again")
    return logits
