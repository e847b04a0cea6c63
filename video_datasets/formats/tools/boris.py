"""BORIS projects (`.boris`, `.boris.gz`): one JSON of all observations.

    {"project_format_version": "7.0",
     "behaviors_conf": {"0": {"type": "State event", "key": "a", "code": "stir", ...}},
     "observations": {"kitchen_01": {"type": "MEDIA", "file": {"1": ["kitchen_01.mp4"]}, "time
     offset": 0.0,
         "events": [[3.2, "", "stir", "", "", 96], [8.5, "", "stir", "", "", 255]],
         "media_info": {"length": {"kitchen_01.mp4": 20.0}, "fps": {"kitchen_01.mp4": 30.0}}}}}

An event is [seconds, subject, behaviour, modifiers, comment, frame]; older files lack the frame. Of
several players only the first counts; the files that it plays one after the other are told apart by
their lengths. An observation's independent variable `subset` is the videos' subset.

Two bouts of one behaviour and subject cannot overlap. Written, the second goes to the subject
"<subject> #2".
"""

from __future__ import annotations

import datetime
import json
import math
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from runtime.atomic import atomic_path
from runtime.errors import InputError
from video_datasets.formats.tools.boris_events import Event, bouts_of, per_file, remark_of
from video_datasets.formats.tools.labelling import (
    DEFAULT_SUBSET,
    AnnotatedVideo,
    Bout,
    Labelling,
    LabelReading,
    Notes,
    collect,
    tracks_of,
)
from video_datasets.formats.tools.tool_files import checked, media_id, member, read_json
from video_datasets.formats.tools.tool_media import Media

FORMAT_VERSION = "7.0"
_EVENT = "[seconds, subject, behaviour, modifiers, comment]"


def read_boris(path: Path, reading: LabelReading) -> Labelling:
    """Read a project.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if it is no such project; the message names the observation and the event.
    """
    project = checked(read_json(path), dict, str(path))
    types = dict(_behaviours(path, project))
    notes = Notes()
    videos: list[AnnotatedVideo] = []
    for name, content in member(project, "observations", dict, str(path)).items():
        where = f"{path}: observation '{name}'"
        observation = checked(content, dict, where)
        kind = member(observation, "type", str, where)
        files = _files(observation, where) if kind == "MEDIA" else []
        if not files:
            notes.lose(f"{where}: no media file ({kind}), left out")
            continue
        others = [player for player, paths in observation["file"].items() if player != "1" and paths]
        if others:
            notes.remark(
                f"{where}: shows {len(others)} more files at the same time; times are those of player 1"
            )
        events = _events(observation, types, where, notes)
        videos += per_file(bouts_of(events, where, reading, notes), files, where, notes)
    return collect(path, videos, notes, types)


def _behaviours(path: Path, project: dict[str, Any]) -> Iterator[tuple[str, bool]]:
    """Each behaviour, and whether it is a point event."""
    for index, content in member(project, "behaviors_conf", dict, str(path)).items():
        where = f"{path}: behaviour {index}"
        behaviour = checked(content, dict, where)
        kind = member(behaviour, "type", str, where)
        yield member(behaviour, "code", str, where), kind.lower().startswith("point")


def _files(observation: dict[str, Any], where: str) -> list[AnnotatedVideo]:
    """The files of player 1, without bouts."""
    if not isinstance(observation.get("file"), dict):  # of live observations it is a list
        return []
    paths = [
        checked(name, str, f"{where}, 'file'") for name in member(observation["file"], "1", list, where, [])
    ]
    info = member(observation, "media_info", dict, where, {})
    lengths, rates = (member(info, key, dict, f"{where}, 'media_info'", {}) for key in ("length", "fps"))
    variables = member(observation, "independent_variables", dict, where, {})
    subset = member(variables, "subset", str, where, "") or DEFAULT_SUBSET
    files = [
        AnnotatedVideo(
            media_id(name, where),
            file=name,
            subset=subset,
            duration_s=member(lengths, name, float, f"{where}, length", math.nan),
            fps=member(rates, name, float, f"{where}, fps", math.nan),
        )
        for name in paths
    ]
    unknown = [file.file for file in files[:-1] if not file.duration_s > 0]
    if unknown:
        raise InputError(
            f"{where}: plays several files, but media_info does not tell the length of '{unknown[0]}';"
            " open and save the project in BORIS with the file in its place"
        )
    return files


def _events(observation: dict[str, Any], types: dict[str, bool], where: str, notes: Notes) -> Iterator[Event]:
    offset_s = member(observation, "time offset", float, where, 0.0)
    if observation.get("media_creation_date_as_offset"):
        raise InputError(
            f"{where}: expected times from the file's start, found 'media_creation_date_as_offset'"
        )
    for number, content in enumerate(member(observation, "events", list, where)):
        event = f"{where}, event {number}"
        row = checked(content, list, event)
        if len(row) < 5:
            raise InputError(f"{event}: expected {_EVENT}, found {len(row)} values")
        subject, label, modifiers, comment = (checked(text, str, event) for text in row[1:5])
        if label in types:
            time_s = checked(row[0], float, event) - offset_s
            yield Event(time_s, subject, label, modifiers, comment, types[label])
        else:
            notes.lose(f"{where}: behaviour '{label}' is none of the project's, left out")


# ---- writing


def write_boris(path: Path, labelling: Labelling, media: Media, notes: Notes) -> None:
    """Write a project of one observation a video; scores and sources stand in the comments."""
    observations = {
        video.video_id: _observation(video, media, path.parent, notes) for video in labelling.videos
    }
    subjects = {row[1] for observation in observations.values() for row in observation["events"]} - {""}
    now = _now()
    project = {
        "time_format": "hh:mm:ss",
        "project_name": path.name.partition(".")[0],
        "project_date": now,
        "project_description": "",
        "project_format_version": FORMAT_VERSION,
        "subjects_conf": {
            str(index): {"key": "", "name": name, "description": ""}
            for index, name in enumerate(sorted(subjects))
        },
        "behaviors_conf": {str(i): _behaviour(i, label) for i, label in enumerate(labelling.labels)},
        "observations": observations,
        "behavioral_categories": [],
        "behavioral_categories_config": {},
        "independent_variables": {
            "0": {
                "label": "subset",
                "description": "",
                "type": "text",
                "default value": "",
                "possible values": "",
            }
        },
        "coding_map": {},
        "behaviors_coding_map": [],
        "converters": {},
    }
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(project, ensure_ascii=False, allow_nan=False), encoding="utf-8")


def _now() -> str:
    return datetime.datetime.now().isoformat(timespec="seconds")


def _behaviour(index: int, label: str) -> dict[str, Any]:
    keys = string.ascii_lowercase + string.digits
    return {
        "type": "State event",
        "key": keys[index] if index < len(keys) else "",
        "code": label,
        "description": "",
        "color": "",
        "category": "",
        "modifiers": {},
        "excluded": "",
        "coding map": "",
    }


def _observation(video: AnnotatedVideo, media: Media, folder: Path, notes: Notes) -> dict[str, Any]:
    file = media.relative(video, folder)
    facts = media.facts(video, notes)
    rows = [row for bout in _without_overlap(video, notes) for row in _rows(bout, facts.fps)]
    return {
        "type": "MEDIA",
        "date": _now(),
        "description": "",
        "time offset": 0.0,
        "file": {"1": [file], "2": []},
        "events": sorted(rows, key=lambda row: row[0]),
        "observation time interval": [0, 0],
        "independent_variables": {"subset": video.subset},
        "close_behaviors_between_videos": False,
        "visualize_spectrogram": False,
        "visualize_waveform": False,
        "media_info": {
            "length": {file: facts.duration_s},
            "fps": {file: facts.fps},
            "hasVideo": {file: True},
            "hasAudio": {file: False},
            "offset": {"1": 0.0},
        },
    }


def _without_overlap(video: AnnotatedVideo, notes: Notes) -> Iterator[Bout]:
    """The bouts; those that overlap another of their label and subject get a subject of their
    own."""
    bouts = [Bout(bout.start_s, bout.end_s, bout.label, bout.subject) for bout in video.bouts]
    remarks = {id(plain): bout for plain, bout in zip(bouts, video.bouts, strict=True)}
    for (_, subject, _), tracks in tracks_of(bouts).items():
        for number, track in enumerate(tracks, start=1):
            name = subject if number == 1 else f"{subject} #{number}".strip()
            for plain in track:
                bout = remarks[id(plain)]
                if number > 1:
                    notes.remark(
                        f"video '{video.video_id}': overlapping '{bout.label}' written under the subject '{name}'"
                    )
                yield Bout(bout.start_s, bout.end_s, bout.label, name, bout.source, bout.score)


def _rows(bout: Bout, fps: float) -> list[list[Any]]:
    start, stop = (
        [time_s, bout.subject, bout.label, "", comment, round(time_s * fps)]
        for time_s, comment in ((bout.start_s, remark_of(bout)), (bout.end_s, ""))
    )
    return [start, stop]
