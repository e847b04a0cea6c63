"""FiftyOne's temporal detections (`FiftyOneTemporalDetectionDataset`): a folder with labels.json.

    labels.json   {"classes": ["stir"], "labels": {"kitchen_01": [{"label": 0, "timestamps": [3.2, 8.5],
                                                                   "confidence": 0.9}],
                                                                   "kitchen_02": null}}
    data.json     {"kitchen_01": "/videos/kitchen_01.mp4"}      or the videos themselves in data/

A label is a name or a position in `classes`. Times are `timestamps` in seconds, or `support`: first
and last frame, counted from 1. Written are timestamps; subject and source stand among a detection's
attributes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from runtime.atomic import atomic_path
from runtime.errors import InputError
from video_datasets.annotations import short_repr
from video_datasets.formats.tools.frame_clock import unknown_rate
from video_datasets.formats.tools.labelling import (
    AnnotatedVideo,
    Bout,
    Labelling,
    LabelReading,
    Notes,
    collect,
    remark_subsets,
)
from video_datasets.formats.tools.tool_files import checked, member, read_json
from video_datasets.formats.tools.tool_media import Media
from video_datasets.ids import refuse_unsafe_id

LABELS_NAME, DATA_NAME = "labels.json", "data.json"


def read_fiftyone(path: Path, reading: LabelReading) -> Labelling:
    """Read such a folder, or its labels.json.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if it is no such file, or frames are counted and no rate is known; the message
            names the video.
    """
    path = path / LABELS_NAME if path.is_dir() else path
    content = checked(read_json(path), dict, str(path))
    classes = [
        checked(name, str, f"{path}: 'classes'") for name in member(content, "classes", list, str(path), [])
    ]
    videos = []
    for video_id, entries in member(content, "labels", dict, str(path)).items():
        where = f"{path}: video '{video_id}'"
        refuse_unsafe_id(video_id, where)
        detections = checked(entries or [], list, where)
        bouts = [
            _bout(entry, classes, video_id, f"{where}, detection {n}", reading)
            for n, entry in enumerate(detections)
        ]
        videos.append(AnnotatedVideo(video_id, tuple(bouts)))
    return collect(path, videos, Notes(), classes)


def _bout(content: Any, classes: list[str], video_id: str, where: str, reading: LabelReading) -> Bout:
    detection = checked(content, dict, where)
    start_s, end_s = _times(detection, video_id, where, reading)
    attributes = member(detection, "attributes", dict, where, {})
    subject, source = (member(attributes, key, str, where, "") for key in ("subject", "source"))
    score: float | None = member(detection, "confidence", float, where, None)
    return Bout(start_s, end_s, _label(detection.get("label"), classes, where), subject, source, score)


def _label(value: Any, classes: list[str], where: str) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(classes):
        return classes[value]
    raise InputError(f"{where}: expected a label or one of {len(classes)} classes, found {short_repr(value)}")


def _times(
    detection: dict[str, Any], video_id: str, where: str, reading: LabelReading
) -> tuple[float, float]:
    key = "timestamps" if "timestamps" in detection else "support"
    ends = [checked(end, float, f"{where}, '{key}'") for end in member(detection, key, list, where)]
    if len(ends) != 2:
        raise InputError(f"{where}, '{key}': expected two numbers, found {len(ends)}")
    if key == "timestamps":
        return ends[0], ends[1]
    clock = reading.clock_of(video_id)
    if clock is None:
        raise unknown_rate(where)
    return clock.time_s(round(ends[0]) - 1), clock.time_s(round(ends[1]))


def write_fiftyone(path: Path, labelling: Labelling, media: Media, notes: Notes) -> None:
    """Write the folder; data.json names the videos that were found, and without any it is left
    out."""
    remark_subsets(path, labelling, notes)
    position = {label: index for index, label in enumerate(labelling.labels)}
    labels = {
        video.video_id: [_detection(bout, position) for bout in video.bouts] for video in labelling.videos
    }
    _write(path / LABELS_NAME, {"classes": list(labelling.labels), "labels": labels})
    data = {
        video.video_id: str(media.paths[video.video_id].resolve())
        for video in labelling.videos
        if video.video_id in media.paths
    }
    if data:
        _write(path / DATA_NAME, data)
    else:
        notes.remark(f"{path}: put the videos into {path / 'data'}, or name their folder (--videos)")


def _detection(bout: Bout, position: dict[str, int]) -> dict[str, Any]:
    detection: dict[str, Any] = {"label": position[bout.label], "timestamps": [bout.start_s, bout.end_s]}
    if bout.score is not None:
        detection["confidence"] = bout.score
    people = {"subject": bout.subject, "source": bout.source}
    attributes = {key: text for key, text in people.items() if text}
    return {**detection, "attributes": attributes} if attributes else detection


def _write(path: Path, content: dict[str, Any]) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, ensure_ascii=False, allow_nan=False), encoding="utf-8")
