"""Proposals and detections in bulk: one record of columns, and one HDF5 layout.

Of a data set with verbs and nouns, rows carry one label "verb,noun" (e.g. "3,12"), from which the verb, the noun and
the action follow (`formats.ek100_labels`), so one file serves the three tasks.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from runtime.atomic import atomic_path
from runtime.errors import InputError

NO_LABEL = -1
HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
HDF5_FORMAT = "tadaloc predictions 1"
COLUMN_TYPES = {
    "video_index": np.int32,
    "start_s": np.float64,
    "end_s": np.float64,
    "score": np.float64,
    "label": np.int32,
}


@dataclass(frozen=True, eq=False)
class Predictions:
    """Proposals or detections of many videos, as columns of equal length N.

    Rows keep the order of the file: of two equal scores the official metrics rank the later row first.

    Attributes:
        videos: table of video ids; may hold videos without rows.
        labels: table of labels; empty for proposals.
        video_index: (N,) int32, position in `videos`.
        start_s: (N,) float64.
        end_s: (N,) float64.
        score: (N,) float64, higher is better.
        label: (N,) int32, position in `labels`, -1 for none.
    """

    videos: tuple[str, ...]
    labels: tuple[str, ...]
    video_index: np.ndarray
    start_s: np.ndarray
    end_s: np.ndarray
    score: np.ndarray
    label: np.ndarray

    def __post_init__(self) -> None:
        """Convert the columns to their types and check that they fit together.

        Raises:
            InputError: if lengths differ or an index points outside its table.
        """
        for name, dtype in COLUMN_TYPES.items():
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=dtype))
        shapes = {name: getattr(self, name).shape for name in COLUMN_TYPES}
        if len(set(shapes.values())) != 1 or self.score.ndim != 1:
            raise InputError(f"predictions: expected columns of one length, found shapes {shapes}")
        _check_indices(self.video_index, "video_index", "videos", 0, len(self.videos))
        _check_indices(self.label, "label", "labels", NO_LABEL, len(self.labels))

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.score)


def _check_indices(column: np.ndarray, name: str, table: str, lowest: int, size: int) -> None:
    bad = np.flatnonzero((column < lowest) | (column >= size))
    if bad.size:
        raise InputError(
            f"predictions: {name}[{bad[0]}] is {column[bad[0]]}, but the table '{table}' has {size} entries"
        )


def select_videos(predictions: Predictions, video_ids: Collection[str]) -> Predictions:
    """Keep some videos and their rows, in the order of the file."""
    keep = np.array([video in video_ids for video in predictions.videos], dtype=bool)
    rows = np.flatnonzero(keep[predictions.video_index])
    number = np.cumsum(keep) - 1
    return replace(
        predictions,
        videos=tuple(video for video, kept in zip(predictions.videos, keep, strict=True) if kept),
        video_index=number[predictions.video_index[rows]],
        start_s=predictions.start_s[rows],
        end_s=predictions.end_s[rows],
        score=predictions.score[rows],
        label=predictions.label[rows],
    )


def write_predictions(path: str | Path, predictions: Predictions) -> None:
    """Write proposals or detections to one columnar HDF5 file, whole or not at all.

    Layout: datasets video_index, start_s, end_s, score, label and the string tables videos, labels.
    """
    import h5py  # here, since commands on JSON files should start without it

    with atomic_path(Path(path)) as temporary, h5py.File(temporary, "w") as file:
        file.attrs["format"] = HDF5_FORMAT
        for name in COLUMN_TYPES:
            file[name] = getattr(predictions, name)
        for name in ("videos", "labels"):
            file.create_dataset(name, data=list(getattr(predictions, name)), dtype=h5py.string_dtype())


def read_predictions(path: str | Path) -> Predictions:
    """Read what `write_predictions` wrote.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if it is not such a file.
    """
    import h5py

    path = Path(path)
    if not is_hdf5(path):
        raise InputError(f"{path}: expected an HDF5 file of predictions, found another format")
    try:
        with h5py.File(path, "r") as file:
            columns = {name: file[name][()] for name in COLUMN_TYPES}
            videos, labels = (tuple(file[name].asstr()[()]) for name in ("videos", "labels"))
    except KeyError as error:
        raise InputError(
            f"{path}: a dataset is missing ({error}); expected {', '.join(COLUMN_TYPES)}, videos and labels"
        ) from None
    except OSError as error:
        raise InputError(f"{path}: damaged HDF5 file ({error}); write it again") from None
    return Predictions(videos, labels, **columns)


def is_hdf5(path: Path) -> bool:
    """Tell an HDF5 file by its first bytes.

    Raises:
        FileNotFoundError: if there is no such file.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    with path.open("rb") as file:
        return file.read(len(HDF5_MAGIC)) == HDF5_MAGIC
