"""Columns that the metrics compute on: videos and classes as integers, times in float64.

Overlaps that hit a threshold exactly are common (copied boundaries), and float32 times move the
official mAP by nearly 0.1 points, hence float64 everywhere.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from runtime.errors import InputError

UNKNOWN = -1
# Accepted names of each column; the second ones are those of the official evaluators' tables.
COLUMN_NAMES = {
    "video": ("video_id", "video-id"),
    "label": ("label",),
    "start_s": ("start_s", "t-start"),
    "end_s": ("end_s", "t-end"),
    "score": ("score",),
}


@dataclass(frozen=True, eq=False)
class Segments:
    """Annotations or predictions as columns of equal length N, in file order.

    Attributes:
        video: (N,) int64, number of the video, -1 for one without annotations.
        label: (N,) int64, number of the class, -1 for one without annotations; zeros where classes
            do not matter.
        start_s: (N,) float64.
        end_s: (N,) float64.
        score: (N,) float64; zeros for annotations.
    """

    video: np.ndarray
    label: np.ndarray
    start_s: np.ndarray
    end_s: np.ndarray
    score: np.ndarray

    def take(self, rows: np.ndarray) -> Segments:
        """Rows by index or mask, in the order of `rows`."""
        return Segments(
            self.video[rows], self.label[rows], self.start_s[rows], self.end_s[rows], self.score[rows]
        )

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.video)


def number_values(values: Iterable[Hashable]) -> dict[Hashable, int]:
    """Number the distinct values in order of first appearance.

    >>> number_values(["b", "a", "b"])
    {'b': 0, 'a': 1}
    """
    return {value: number for number, value in enumerate(dict.fromkeys(values))}


def look_up(values: Iterable[Hashable], numbers: Mapping[Any, int]) -> np.ndarray:
    """Numbers of the values, -1 for unknown ones; int64.

    >>> look_up(["a", "c"], {"b": 0, "a": 1})
    array([ 1, -1])
    """
    return np.array([numbers.get(value, UNKNOWN) for value in values], dtype=np.int64)


def code_tables(
    ground_truth: Any, predictions: Any, *, with_labels: bool
) -> tuple[Segments, Segments, tuple[Hashable, ...]]:
    """Turn two tables into integer columns that share one numbering.

    Args:
        ground_truth: DataFrame or mapping of columns: video_id, start_s, end_s, and label if
            `with_labels` (the official names video-id, t-start, t-end are understood too).
        predictions: likewise, with score.
        with_labels: False where classes do not matter.

    Returns:
        Annotations, predictions, and the classes of the annotations in order of first appearance.

    Raises:
        InputError: if a column is missing, is not numeric, or has another length.
    """
    annotation_videos = _values(ground_truth, "video", "ground_truth")
    videos = number_values(annotation_videos)
    prediction_videos = _values(predictions, "video", "predictions")
    annotation_labels = (
        _values(ground_truth, "label", "ground_truth") if with_labels else [0] * len(annotation_videos)
    )
    prediction_labels = (
        _values(predictions, "label", "predictions") if with_labels else [0] * len(prediction_videos)
    )
    labels = number_values(annotation_labels)
    annotations = Segments(
        video=look_up(annotation_videos, videos),
        label=look_up(annotation_labels, labels),
        start_s=_numbers(ground_truth, "start_s", "ground_truth"),
        end_s=_numbers(ground_truth, "end_s", "ground_truth"),
        score=np.zeros(len(annotation_videos)),
    )
    predicted = Segments(
        video=look_up(prediction_videos, videos),
        label=look_up(prediction_labels, labels),
        start_s=_numbers(predictions, "start_s", "predictions"),
        end_s=_numbers(predictions, "end_s", "predictions"),
        score=_numbers(predictions, "score", "predictions"),
    )
    _check_lengths(annotations, "ground_truth")
    _check_lengths(predicted, "predictions")
    return annotations, predicted, tuple(labels)


def _column(table: Any, column: str, name: str) -> Any:
    for key in COLUMN_NAMES[column]:
        if key in table:
            return table[key]
    raise InputError(
        f"{name}: expected a column '{COLUMN_NAMES[column][0]}', found {', '.join(map(str, table)) or 'none'}"
    )


def _values(table: Any, column: str, name: str) -> Sequence[Hashable]:
    """A column as a list of Python values, so that numpy and Python numbers compare equal."""
    values = _column(table, column, name)
    return values.tolist() if hasattr(values, "tolist") else list(values)


def _numbers(table: Any, column: str, name: str) -> np.ndarray:
    try:
        return np.asarray(_column(table, column, name), dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name}: column '{column}' must hold numbers ({error})") from None


def _check_lengths(segments: Segments, name: str) -> None:
    shapes = {column: getattr(segments, column).shape for column in COLUMN_NAMES}
    if len(set(shapes.values())) != 1:
        raise InputError(f"{name}: expected columns of one length, found shapes {shapes}")


@dataclass(frozen=True, eq=False)
class TaskColumns:
    """What one task is scored on: rows in the order of the files, videos numbered as in the table.

    Attributes:
        annotations: label 0..C-1.
        predictions: label -1 for classes without annotations, video -1 for unknown videos.
        labels: names of the C annotated classes, in order of first appearance.
        unknown_labels: predicted classes without annotations.
    """

    annotations: Segments
    predictions: Segments
    labels: tuple[str, ...]
    unknown_labels: list[str]
