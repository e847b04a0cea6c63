"""Label Studio's JSON: a list of tasks, a video each.

    [{"data": {"video": "/data/local-files/?d=kitchen_01.mp4", "fps": 30.0},
      "annotations": [{"result": [{"type": "timelinelabels", "value": {"ranges": [{"start": 97,
      "end": 255}],
                                                                       "timelinelabels":
                                                                       ["stir"]}}]}],
      "predictions": [...]}]

TimelineLabels count frames from 1, both ends included, at the rate that the project's <Video
frameRate=...> states, which the export does not hold: it is the video's own where its folder is
named, else the task's "fps", which our files have, else --fps. Labels (older projects that label
sound and video together) are in seconds. Annotations are a person's bouts, predictions a model's;
cancelled annotations are passed over. An uploaded video's address, /data/upload/3/5f0c2a1b-NAME.mp4,
is that of NAME.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from runtime.atomic import atomic_path
from runtime.errors import InputError
from video_datasets.annotations import short_repr
from video_datasets.formats.tools.frame_clock import FrameClock, unknown_rate
from video_datasets.formats.tools.labelling import (
    DEFAULT_SUBSET,
    AnnotatedVideo,
    Bout,
    Labelling,
    LabelReading,
    Notes,
    collect,
)
from video_datasets.formats.tools.tool_files import checked, media_id, member, read_json
from video_datasets.formats.tools.tool_media import Media

_FRAMES, _SECONDS = "timelinelabels", "labels"
_SUBJECT = "subject="
_MEDIA_KEYS = ("video", "video_url", "audio", "url")
_UPLOAD = re.compile(r"/data/upload/(?:[^/]+/)?[0-9a-f]{8}-(?=[^/]+$)")
"""What Label Studio puts before the name of a file that is uploaded, so that two may have one name."""
LOCAL_FILES = "/data/local-files/?d="
"""Address of a file below Label Studio's document root."""


def read_label_studio(path: Path, reading: LabelReading) -> Labelling:
    """Read exported tasks.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if it is no such file, or frames are counted and no rate is known; the message
            names the task.
    """
    content = read_json(path)
    tasks = checked([content] if isinstance(content, dict) else content, list, str(path))
    notes = Notes()
    videos = [
        _video(checked(task, dict, f"{path}: task {number}"), f"{path}: task {number}", reading, notes)
        for number, task in enumerate(tasks)
    ]
    return collect(path, videos, notes)


def _video(task: dict[str, Any], where: str, reading: LabelReading, notes: Notes) -> AnnotatedVideo:
    data = member(task, "data", dict, where)
    key = next((name for name in _MEDIA_KEYS if name in data), None)
    if key is None:
        raise InputError(f"{where}: expected 'video' in data, found {short_repr(sorted(data))}")
    name = member(data, key, str, where)
    video_id = media_id(_UPLOAD.sub("/", name), where)
    where += f", video '{video_id}'"
    fps = member(data, "fps", float, where, math.nan)
    clock = reading.clock_of(video_id) or (FrameClock(fps) if fps > 0 else None)
    bouts: list[Bout] = []
    for part, source_key in (("annotations", "completed_by"), ("predictions", "model_version")):
        for number, content in enumerate(member(task, part, list, where, [])):
            place = f"{where}, {part} {number}"
            entry = checked(content, dict, place)
            if entry.get("was_cancelled"):
                notes.lose(f"{place}: cancelled, left out")
                continue
            source = _source(entry.get(source_key))
            for region in member(entry, "result", list, place):
                bouts += _bouts(checked(region, dict, place), source, clock, place, notes)
    subset = member(data, "subset", str, where, "") or DEFAULT_SUBSET
    return AnnotatedVideo(video_id, tuple(bouts), name, subset, fps=fps)


def _source(value: Any) -> str:
    """A model's version or a person's address; numbers of persons say nothing outside the
    project."""
    if isinstance(value, dict):
        value = value.get("email")
    return value if isinstance(value, str) else ""


def _bouts(
    region: dict[str, Any], source: str, clock: FrameClock | None, where: str, notes: Notes
) -> Iterator[Bout]:
    kind = member(region, "type", str, where, "relation")
    if kind not in (_FRAMES, _SECONDS):
        notes.lose(f"{where}: '{kind}' is no stretch of time, left out")
        return
    value = member(region, "value", dict, where)
    labels = [checked(label, str, where) for label in member(value, kind, list, where)]
    subject = _subject(member(region, "meta", dict, where, {}), where)
    score: float | None = member(region, "score", float, where, None)
    for start_s, end_s in _times(value, kind, clock, where):
        for label in labels:
            yield Bout(start_s, end_s, label, subject, source, score)


def _subject(meta: dict[str, Any], where: str) -> str:
    lines = [text for text in member(meta, "text", list, where, []) if isinstance(text, str)]
    return next((text.removeprefix(_SUBJECT) for text in lines if text.startswith(_SUBJECT)), "")


def _times(
    value: dict[str, Any], kind: str, clock: FrameClock | None, where: str
) -> Iterator[tuple[float, float]]:
    if kind == _SECONDS:
        yield member(value, "start", float, where), member(value, "end", float, where)
        return
    for content in member(value, "ranges", list, where):
        frames = checked(content, dict, f"{where}, 'ranges'")
        start, end = (member(frames, key, float, f"{where}, 'ranges'") for key in ("start", "end"))
        if clock is None:
            raise unknown_rate(where)
        yield clock.time_s(round(start) - 1), clock.time_s(round(end))


# ---- writing


def write_label_studio(path: Path, labelling: Labelling, media: Media, notes: Notes) -> None:
    """Write tasks: bouts with a score as predictions, of one source each, others as annotations.

    The project's configuration that fits is among the notes. Sources of annotations are lost,
    noted.
    """
    tasks = []
    for number, video in enumerate(labelling.videos, start=1):
        clock = media.clock(video, notes)
        scored = [bout for bout in video.bouts if bout.score is not None]
        plain = [bout for bout in video.bouts if bout.score is None]
        if any(bout.source for bout in plain):
            notes.remark(
                f"video '{video.video_id}': who made an annotation cannot be told to the tool, left out"
            )
        sources = dict.fromkeys(bout.source for bout in scored)
        predictions = [
            _prediction(source, [bout for bout in scored if bout.source == source], clock)
            for source in sources
        ]
        address = LOCAL_FILES + quote(media.relative(video, path.parent))
        task: dict[str, Any] = {"id": number, "data": {"video": address, "fps": clock.fps}}
        task["data"]["subset"] = video.subset
        task["annotations"] = [{"result": _regions(plain, clock)}] if plain else []
        task["predictions"] = predictions
        tasks.append(task)
    notes.remark(f"label configuration for Label Studio: {label_config(labelling.labels)}")
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(tasks, ensure_ascii=False, allow_nan=False), encoding="utf-8")


def label_config(labels: tuple[str, ...]) -> str:
    """Labelling configuration of a project that takes such tasks; the frame rate is each task's
    own."""
    from xml.sax.saxutils import quoteattr

    tags = "".join(f"<Label value={quoteattr(label)}/>" for label in labels)
    return (
        '<View><Video name="video" value="$video" frameRate="$fps"/>'
        f'<TimelineLabels name="actions" toName="video">{tags}</TimelineLabels></View>'
    )


def _prediction(source: str, bouts: list[Bout], clock: FrameClock) -> dict[str, Any]:
    score = max(bout.score for bout in bouts if bout.score is not None)
    return {"model_version": source, "score": score, "result": _regions(bouts, clock)}


def _regions(bouts: list[Bout], clock: FrameClock) -> list[dict[str, Any]]:
    regions = []
    for number, bout in enumerate(bouts):
        start, end = clock.edges(bout.start_s, bout.end_s)
        region: dict[str, Any] = {
            "id": f"b{number}",
            "from_name": "actions",
            "to_name": "video",
            "type": _FRAMES,
            "value": {"ranges": [{"start": start + 1, "end": end}], _FRAMES: [bout.label]},
        }
        if bout.score is not None:
            region["score"] = bout.score
        if bout.subject:
            region["meta"] = {"text": [_SUBJECT + bout.subject]}
        regions.append(region)
    return regions
