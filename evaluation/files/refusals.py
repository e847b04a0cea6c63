"""Refusals before scoring: files that the official code would turn into a meaningless score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from runtime.errors import InputError, error_list
from runtime.text import examples
from video_datasets.annotations import AnnotationTable, short_repr
from video_datasets.predictions import NO_LABEL, Predictions


def refuse_bad_annotations(truth: AnnotationTable) -> None:
    """Refuse annotations whose times are NaN or infinite.

    Raises:
        InputError: naming the videos and the annotations.
    """
    columns = {name: getattr(truth, name) for name in ("start_s", "end_s")}
    errors = not_finite(columns, truth.video_ids, truth.video_index)
    if errors:
        raise InputError(error_list("ground truth", errors))


def refuse_bad_predictions(truth: AnnotationTable, predictions: Predictions, *, needs_labels: bool) -> None:
    """Refuse predictions without finite numbers, without a known video, or without needed labels.

    Raises:
        InputError: if a time or score is NaN or infinite, if no predicted video is in `truth`, or
            if labels are needed and missing.
    """
    errors = not_finite_predictions(predictions)
    if errors:
        raise InputError(error_list("predictions", errors))
    if not len(predictions):
        raise InputError("predictions: the file has no predictions at all, nothing can be scored")
    predicted = [predictions.videos[video] for video in np.unique(predictions.video_index)]
    if set(truth.video_ids).isdisjoint(predicted):
        raise InputError(
            f"predictions: none of the {len(predicted)} predicted videos is among the {len(truth.video_ids)}"
            f" of the ground truth; ids look like {examples(predicted)} and {examples(truth.video_ids)}"
            f" (wrong file, wrong subset, or a 'v_' in front?)"
        )
    unlabelled = np.flatnonzero(predictions.label == NO_LABEL)
    if needs_labels and unlabelled.size:
        where = _places(unlabelled[:1], predictions.videos, predictions.video_index)[0]
        raise InputError(
            f"predictions: {unlabelled.size} of {len(predictions)} have no label, first of {where};"
            f" to score proposals use --task proposals"
        )


def not_finite_predictions(predictions: Predictions) -> list[str]:
    """List the predictions that hold NaN or infinity, in file order."""
    columns = {name: getattr(predictions, name) for name in ("start_s", "end_s", "score")}
    return not_finite(columns, predictions.videos, predictions.video_index)


def not_finite(
    columns: Mapping[str, np.ndarray], videos: Sequence[str], video_index: np.ndarray
) -> list[str]:
    """List the rows where a column is NaN or infinite, as "video .., entry ..: <column> is ..".

    Args:
        columns: name -> (N,) float64.
        videos: table of video ids.
        video_index: (N,) position in `videos`.
    """
    finite = np.ones(len(video_index), dtype=bool)
    for column in columns.values():
        finite &= np.isfinite(column)
    rows = np.flatnonzero(~finite)
    errors = []
    for row, place in zip(rows, _places(rows, videos, video_index), strict=True):
        found = [
            f"{name} is {column[row]}" for name, column in columns.items() if not np.isfinite(column[row])
        ]
        errors.append(f"{place}: {' and '.join(found)}, expected a finite number")
    return errors


def _places(rows: np.ndarray, videos: Sequence[str], video_index: np.ndarray) -> list[str]:
    """Name rows by their video and their number among the entries of the video, as in the JSON."""
    if not rows.size:
        return []
    order = np.argsort(video_index, kind="stable")
    first = np.searchsorted(video_index[order], video_index)
    number = np.empty(len(order), dtype=np.int64)
    number[order] = np.arange(len(order))
    number -= first
    return [f"video {short_repr(videos[video_index[row]])}, entry {number[row]}" for row in rows]
