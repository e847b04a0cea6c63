"""Annotations of HACS Segments and ActivityNet: one JSON file of all subsets, or BMN's own, a file
a subset.

{"database": {"<video id>": {"subset": "training", "duration": 12.5,
                             "annotations": [{"label": "Archery", "segment": [1.5, 4.0]}, ..]}, ..}}

anet_anno_train.json, anet_anno_val.json, anet_anno_test.json (BMN, mmaction2), whose name tells the
subset: {"v_<video id>": {"duration_second": 12.5, "annotations": [..], ..}, ..}
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from runtime.errors import InputError, error_list
from video_datasets.annotations import (
    SUBSETS,
    AnnotationTable,
    join_tables,
    read_json_object,
    segment_ends,
    short_repr,
)
from video_datasets.formats.format import Format

# Subsets whose annotations are kept by the organisers of a challenge.
UNLABELLED_SUBSETS = ("testing", "test")


def read_activitynet_json(path: str | Path) -> AnnotationTable:
    """Read a HACS Segments or ActivityNet annotation file.

    Only `database` is required: HACS_segments_v1.1.1.json has no `version` and no `taxonomy`. Names
    of subsets become lower case, for the THUMOS14 file that goes round has "Validation" and "Test".
    Segment ends and durations may be numbers or numbers in quotes (HACS durations are). Testing
    videos may lack `annotations`.

    Args:
        path: JSON file, plain or gzip, or a folder of BMN's files.

    Returns:
        The table; labels are class names.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if it is not such a JSON file; the message lists all errors by key and video.
    """
    path = Path(path)
    if path.is_dir():
        return _read_folder(path)
    videos = _videos(read_json_object(path, refuse_duplicates=True), path)
    errors: list[str] = []
    subsets, durations, index_and_rows = [], [], []
    for index, (video_id, entry) in enumerate(videos.items()):
        where = f"video {short_repr(video_id)}"
        try:
            subset, duration, annotations = _video(entry)
        except ValueError as error:
            errors.append(f"{where}: {error}")
            continue
        subsets.append(subset)
        durations.append(duration)
        for number, annotation in enumerate(annotations):
            try:
                index_and_rows.append((index, *_annotation(annotation)))
            except ValueError as error:
                errors.append(f"{where}, annotation {number}: {error}")
    if errors:
        raise InputError(error_list(str(path), errors))
    video_index, labels, start_s, end_s = zip(*index_and_rows, strict=True) if index_and_rows else ((),) * 4
    return AnnotationTable(
        video_ids=tuple(videos),
        subsets=tuple(subsets),
        durations_s=np.array(durations, dtype=np.float64),
        video_index=np.array(video_index, dtype=np.int32),
        start_s=np.array(start_s, dtype=np.float64),
        end_s=np.array(end_s, dtype=np.float64),
        labels=tuple(labels),
    )


def _read_folder(folder: Path) -> AnnotationTable:
    """Read the files of a folder whose names tell their subset."""
    files = [path for path in sorted(folder.glob("*.json")) if _named_subset(path)]
    if not files:
        raise FileNotFoundError(f"{folder}: expected files such as anet_anno_train.json, found none")
    table = join_tables([read_activitynet_json(path) for path in files])
    twice = sorted({video_id for video_id in table.video_ids if table.video_ids.count(video_id) > 1})
    if twice:
        names = ", ".join(path.name for path in files)
        raise InputError(f"{folder}: a video may be in one of {names} only; '{twice[0]}' is in two")
    return table


def _named_subset(path: Path) -> str:
    """The subset that a file's name ends with, "" if it does not."""
    return SUBSETS.get(re.split(r"[\W_]", path.stem.lower())[-1], "")


def _videos(content: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """Video id -> entry as ActivityNet has it."""
    database = content.get("database")
    if isinstance(database, dict):
        return database
    if any(isinstance(entry, dict) and "duration_second" in entry for entry in content.values()):
        return dict(_without_database(content, _named_subset(path)))
    raise InputError(
        f"{path}: expected an object with key 'database' (HACS/ActivityNet annotations), found none;"
        f" is this a prediction file, or another format?"
    )


def _without_database(content: Mapping[str, Any], subset: str) -> Iterator[tuple[str, Any]]:
    for video_id, entry in content.items():
        if isinstance(entry, dict):
            entry = {"subset": subset, **entry, "duration": entry.get("duration_second")}
        yield video_id, entry


def _video(entry: Any) -> tuple[str, float, list[Any]]:
    """Subset, duration and annotations of one entry of `database`."""
    if not isinstance(entry, dict):
        raise ValueError(f"expected an object with 'subset' and 'annotations', found {short_repr(entry)}")
    subset = entry.get("subset")
    if not isinstance(subset, str):
        raise ValueError(f"key 'subset' is missing or not text; found keys {short_repr(sorted(entry))}")
    try:
        duration = float(entry.get("duration", "nan"))
    except (TypeError, ValueError, OverflowError):
        raise ValueError(
            f"'duration' must be a number of seconds, found {short_repr(entry['duration'])}"
        ) from None
    annotations = entry.get("annotations", [] if subset.lower() in UNLABELLED_SUBSETS else None)
    if not isinstance(annotations, list):
        raise ValueError(
            f"key 'annotations' is missing or not a list; found keys {short_repr(sorted(entry))}"
        )
    return subset.lower(), duration, annotations


def _annotation(annotation: Any) -> tuple[str, float, float]:
    """Label, start and end of one annotation."""
    if not isinstance(annotation, dict):
        raise ValueError(f"expected an object with 'label' and 'segment', found {short_repr(annotation)}")
    label = annotation.get("label")
    if not isinstance(label, str):
        raise ValueError(f"key 'label' is missing or not text; found keys {short_repr(sorted(annotation))}")
    if "segment" not in annotation:
        raise ValueError(f"key 'segment' is missing; found keys {short_repr(sorted(annotation))}")
    return label, *segment_ends(annotation["segment"])


HACS = Format(name="hacs", title="HACS Segments JSON", read=read_activitynet_json)
ACTIVITYNET = Format(
    name="activitynet", title="ActivityNet JSON, or a folder of BMN's", read=read_activitynet_json
)
