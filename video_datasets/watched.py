"""Partly labelled videos: which stretches were watched, so that the rest is unknown and no
background.

In any format, a segment with the label "(watched)" says that its stretch was labelled:

    kitchen_01,0,60,(watched)
    kitchen_01,3.2,8.5,stir           between 0 and 60 s nothing else happened; behind 60 s nobody has looked

A video without such a segment counts as watched from end to end. What is unknown teaches nothing,
and detections there are neither right nor wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from video_datasets.annotations import AnnotationTable
from video_datasets.predictions import Predictions

WATCHED = "(watched)"
Stretches = Mapping[str, NDArray[np.float64]]
"""Video id -> (n, 2) start and end of its watched stretches in seconds; of partly labelled
videos alone."""
_ROUNDING = 1e-9
"""How far a segment may leave its stretch by rounding, as a share of its numbers."""


def take_stretches(table: AnnotationTable) -> tuple[AnnotationTable, dict[str, NDArray[np.float64]]]:
    """Take the watched stretches out of a table of annotations; one without any is returned as
    it is."""
    is_stretch = np.array([label == WATCHED for label in table.labels], dtype=bool)
    if not is_stretch.any():
        return table, {}
    ends_s = np.stack([table.start_s, table.end_s], axis=1)
    stretches = {
        table.video_ids[index]: ends_s[is_stretch & (table.video_index == index)]
        for index in np.unique(table.video_index[is_stretch]).tolist()
    }
    kept = replace(
        table,
        video_index=table.video_index[~is_stretch],
        start_s=table.start_s[~is_stretch],
        end_s=table.end_s[~is_stretch],
        labels=tuple(label for label in table.labels if label != WATCHED),
    )
    return kept, stretches


def lies_inside(segments: NDArray[np.float64], stretches: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Say which segments lie wholly in one stretch; all of them where there is no stretch.

    Args:
        segments: (..., 2).
        stretches: (n, 2), in the same unit.

    >>> lies_inside(np.array([[1.0, 2.0], [2.0, 4.0]]), np.array([[0.0, 3.0]])).tolist()
    [True, False]
    """
    if not len(stretches):
        return np.ones(segments.shape[:-1], dtype=bool)
    slack = _ROUNDING * np.maximum(np.abs(stretches).max(), 1.0)
    starts, ends = segments[..., :1], segments[..., 1:]
    inside = (starts >= stretches[:, 0] - slack) & (ends <= stretches[:, 1] + slack)
    answer: NDArray[np.bool_] = inside.any(axis=-1)
    return answer


def where_watched(predictions: Predictions, stretches: Stretches) -> Predictions:
    """Leave out rows of partly labelled videos whose middle lies in no watched stretch."""
    if not stretches:
        return predictions
    middle_s = (predictions.start_s + predictions.end_s) / 2
    kept = np.ones(len(predictions), dtype=bool)
    for index, video_id in enumerate(predictions.videos):
        if video_id in stretches:
            rows = np.flatnonzero(predictions.video_index == index)
            kept[rows] = lies_inside(np.stack([middle_s[rows]] * 2, axis=-1), stretches[video_id])
    columns = {
        name: getattr(predictions, name)[kept]
        for name in ("video_index", "start_s", "end_s", "score", "label")
    }
    return replace(predictions, **columns)
