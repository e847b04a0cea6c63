"""Partly labelled videos in evaluation: what nobody has watched is neither right nor wrong.

Source of the stretches: `video_datasets.watched`. Files without any are scored as the official
evaluators score them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import overload

from video_datasets.annotations import AnnotationTable
from video_datasets.predictions import Predictions
from video_datasets.watched import take_stretches, where_watched


@overload
def only_watched(
    annotations: AnnotationTable, predictions: Predictions
) -> tuple[AnnotationTable, Predictions]: ...


@overload
def only_watched(
    annotations: AnnotationTable, predictions: Predictions | Mapping[str, Predictions]
) -> tuple[AnnotationTable, Predictions | Mapping[str, Predictions]]: ...


def only_watched(
    annotations: AnnotationTable, predictions: Predictions | Mapping[str, Predictions]
) -> tuple[AnnotationTable, Predictions | Mapping[str, Predictions]]:
    """Leave out the stretches themselves, and predictions whose middle lies outside of them.

    Args:
        annotations: of all subsets.
        predictions: of any videos; perhaps of each task its own.
    """
    annotations, stretches = take_stretches(annotations)
    if not stretches:
        return annotations, predictions
    if isinstance(predictions, Predictions):
        return annotations, where_watched(predictions, stretches)
    return annotations, {task: where_watched(found, stretches) for task, found in predictions.items()}
