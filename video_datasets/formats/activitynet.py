"""Annotations of HACS Segments and ActivityNet: one JSON file of all subsets.

{"database": {"<video id>": {"subset": "training", "duration": 12.5,
                             "annotations": [{"label": "Archery", "segment": [1.5, 4.0]}, ..]}, ..}}
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from runtime.errors import InputError
from video_datasets.annotations import AnnotationTable, read_json_object, segment_ends, short_repr
from video_datasets.formats.format import Format

# Subsets whose annotations are kept by the organisers of a challenge.
UNLABELLED_SUBSETS = ("testing", "test")


def read_activitynet_json(path: str | Path) -> AnnotationTable:
    """Read a HACS Segments or ActivityNet annotation file.

    Only `database` is required: HACS_segments_v1.1.1.json has no `version` and no `taxonomy`. Segment ends
    and durations may be numbers or numbers in quotes (HACS durations are). Testing videos may lack
    `annotations`.

    Args:
        path: JSON file, plain or gzip.

    Returns:
        The table; labels are class names.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if it is not such a JSON file; the message names the key and the video.
    """
    path = Path(path)
    database = read_json_object(path, refuse_duplicates=True).get("database")
    if not isinstance(database, dict):
        raise InputError(
            f"{path}: expected an object with key 'database' (HACS/ActivityNet annotations), found none;"
            f" is this a prediction file, or another format?"
        )
    video_index: list[int] = []
    segments: list[tuple[float, float]] = []
    labels: list[str] = []
    subsets: list[str] = []
    durations: list[float] = []
    for index, (video_id, entry) in enumerate(database.items()):
        where = f"{path}: video {short_repr(video_id)}"
        subset, duration, annotations = _activitynet_video(entry, where)
        subsets.append(subset)
        durations.append(duration)
        for number, annotation in enumerate(annotations):
            label, segment = _activitynet_annotation(annotation, f"{where}, annotation {number}")
            video_index.append(index)
            labels.append(label)
            segments.append(segment)
    ends = np.array(segments, dtype=np.float64).reshape(-1, 2)
    return AnnotationTable(
        video_ids=tuple(database),
        subsets=tuple(subsets),
        durations_s=np.array(durations, dtype=np.float64),
        video_index=np.array(video_index, dtype=np.int32),
        start_s=ends[:, 0].copy(),
        end_s=ends[:, 1].copy(),
        labels=tuple(labels),
    )


def _activitynet_video(entry: Any, where: str) -> tuple[str, float, list[Any]]:
    """Subset, duration and annotations of one entry of `database`."""
    if not isinstance(entry, dict):
        raise InputError(
            f"{where}: expected an object with 'subset' and 'annotations', found {short_repr(entry)}"
        )
    subset = entry.get("subset")
    if not isinstance(subset, str):
        raise InputError(
            f"{where}: key 'subset' is missing or not text; found keys {short_repr(sorted(entry))}"
        )
    try:
        duration = float(entry.get("duration", "nan"))
    except (TypeError, ValueError, OverflowError):
        raise InputError(
            f"{where}: 'duration' must be a number of seconds, found {short_repr(entry['duration'])}"
        ) from None
    annotations = entry.get("annotations", [] if subset in UNLABELLED_SUBSETS else None)
    if not isinstance(annotations, list):
        raise InputError(
            f"{where}: key 'annotations' is missing or not a list; found keys {short_repr(sorted(entry))}"
        )
    return subset, duration, annotations


def _activitynet_annotation(annotation: Any, where: str) -> tuple[str, tuple[float, float]]:
    """Label and segment of one annotation."""
    if not isinstance(annotation, dict):
        raise InputError(
            f"{where}: expected an object with 'label' and 'segment', found {short_repr(annotation)}"
        )
    label = annotation.get("label")
    if not isinstance(label, str):
        raise InputError(
            f"{where}: key 'label' is missing or not text; found keys {short_repr(sorted(annotation))}"
        )
    if "segment" not in annotation:
        raise InputError(f"{where}: key 'segment' is missing; found keys {short_repr(sorted(annotation))}")
    try:
        return label, segment_ends(annotation["segment"])
    except ValueError as error:
        raise InputError(f"{where}: {error}") from None


HACS = Format(name="hacs", title="HACS Segments JSON", read=read_activitynet_json)
ACTIVITYNET = Format(name="activitynet", title="ActivityNet JSON", read=read_activitynet_json)
