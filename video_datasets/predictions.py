"""Proposals and detections in bulk: one record of columns, and one HDF5 layout.

Of a data set with verbs and nouns, rows carry one label "verb,noun" (e.g. "3,12"), from which the
verb, the noun and the action follow (`formats.ek100_labels`), so one file serves the three tasks.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

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

    Rows keep the order of the file: of two equal scores the official metrics rank the later row
    first.

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

    @classmethod
    def of_video(
        cls,
        video_id: str,
        segments_s: ArrayLike = (),
        score: ArrayLike = (),
        label: ArrayLike | None = None,
        labels: Sequence[str] = (),
    ) -> Predictions:
        """Make the record of one video.

        Args:
            video_id: whose rows they are.
            segments_s: (N, 2) start and end in seconds.
            score: (N,).
            label: (N,) positions in `labels`; None: rows without a label.
            labels: table of labels; those that no row has are left out.
        """
        segments = np.reshape(np.asarray(segments_s, dtype=np.float64), (-1, 2))
        count = len(segments)
        column = np.full(count, NO_LABEL) if label is None else np.asarray(label, dtype=np.int64)
        used = np.unique(column[column != NO_LABEL])
        named = np.where(column == NO_LABEL, NO_LABEL, np.searchsorted(used, column))
        names = tuple(labels[index] for index in used)
        index = np.zeros(count, dtype=np.int32)
        return cls((video_id,), names, index, segments[:, 0], segments[:, 1], np.asarray(score), named)

    @property
    def segments_s(self) -> NDArray[np.float64]:
        """Start and end of every row, (N, 2)."""
        return np.stack([self.start_s, self.end_s], axis=1)

    @property
    def label_names(self) -> tuple[str, ...]:
        """Label of every row, "" for none."""
        names = (*self.labels, "")
        return tuple(names[label] for label in self.label.tolist())

    def rows(self, index: NDArray[np.int64] | NDArray[np.bool_] | slice) -> Predictions:
        """Keep some rows, in the given order; the tables stay."""
        return replace(self, **{name: getattr(self, name)[index] for name in COLUMN_TYPES})


class Candidates(NamedTuple):
    """What a head finds in one video, before suppression.

    Suppression may depend on the width of a segment as a share of what the head looked at (BMN's
    does), so that segments come in the head's own unit, exactly as it made them.
    """

    segments: NDArray[np.float64]
    """(N, 2) start and end, in units of `unit_s`."""
    scores: NDArray[np.float64]
    """(N,)."""
    unit_s: float
    """Seconds of one unit."""
    duration_s: float
    """Of the video: what reaches over its end is cut."""
    classes: NDArray[np.int64] | None = None
    """(N,) positions in the head's table of labels; None: segments of any action."""

    @property
    def segments_s(self) -> NDArray[np.float64]:
        """Start and end in seconds, inside the video."""
        return np.clip(self.segments * self.unit_s, 0.0, self.duration_s)


def concatenate(parts: Sequence[Predictions], order: Sequence[str] = ()) -> Predictions:
    """Join the records of different videos.

    Args:
        parts: no video in two of them.
        order: of the table of labels, as far as they occur.

    Returns:
        Their videos and rows in the order of the parts; further labels by first occurrence.
    """
    videos = tuple(itertools.chain.from_iterable(part.videos for part in parts))
    names = dict.fromkeys(itertools.chain.from_iterable(part.labels for part in parts))
    sorted_names = dict.fromkeys(itertools.chain((name for name in order if name in names), names))
    place = {name: place for place, name in enumerate(sorted_names)}
    first_video = np.cumsum([0, *(len(part.videos) for part in parts)])
    index = [part.video_index + first for part, first in zip(parts, first_video[:-1], strict=True)]
    label = [np.array([*(place[name] for name in part.labels), NO_LABEL])[part.label] for part in parts]
    joined = {
        name: np.concatenate([np.zeros(0), *(getattr(part, name) for part in parts)])
        for name in ("start_s", "end_s", "score")
    }
    empty = np.zeros(0, dtype=np.int32)
    return Predictions(
        videos,
        tuple(place),
        np.concatenate([empty, *index]),
        label=np.concatenate([empty, *label]),
        **joined,
    )


def by_video(predictions: Predictions) -> dict[str, Predictions]:
    """Split into the records of single videos, rows in the order of the file; videos without
    rows, too."""
    order = np.argsort(predictions.video_index, kind="stable")
    bounds = np.searchsorted(predictions.video_index[order], np.arange(len(predictions.videos) + 1))
    parts = {}
    for video_id, (first, last) in zip(predictions.videos, itertools.pairwise(bounds), strict=True):
        rows = predictions.rows(order[first:last])
        parts[video_id] = replace(rows, videos=(video_id,), video_index=np.zeros(len(rows), dtype=np.int32))
    return parts


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

    from runtime.hdf5 import writing_hdf5

    with writing_hdf5(Path(path)) as file:
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
    from runtime.hdf5 import open_hdf5
    from runtime.hdf5_texts import read_texts

    path = Path(path)
    if not is_hdf5(path):
        raise InputError(f"{path}: expected an HDF5 file of predictions, found another format")
    try:
        with open_hdf5(path) as file:
            columns = {name: file[name][()] for name in COLUMN_TYPES}
            videos, labels = (read_texts(file[name]) for name in ("videos", "labels"))
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
