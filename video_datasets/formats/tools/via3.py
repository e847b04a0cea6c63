"""VIA 3 projects of the VGG video annotator: one JSON of all videos.

    "attribute": {"1": {"aname": "action", "anchor_id": "FILE1_Z2_XY0", "type": 4, "options": {"0":
    "stir"}, ...}}, "file": {"1": {"fid": "1", "fname": "kitchen_01.mp4", "type": 4, "loc": 1,
    "src": ""}}, "view": {"1": {"fid_list": ["1"]}}, "metadata": {"1_ab": {"vid": "1", "flg": 0,
    "z": [3.2, 8.5], "xy": [], "av": {"1": "0"}}}

`z` is in seconds; one number is a point event. The label is the first attribute of temporal
segments (anchor FILE1_Z1_XY0, FILE1_Z2_XY0, ...) that is none of "subject", "source" and "score",
which are ours; its option's text, or what was typed. Overlaps are allowed. Segments without a label
and regions in pictures (`xy`) are left out, noted.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from runtime.atomic import atomic_path
from runtime.errors import InputError
from video_datasets.formats.tools.labelling import (
    AnnotatedVideo,
    Bout,
    Labelling,
    LabelReading,
    Notes,
    collect,
    point_bout,
    remark_subsets,
)
from video_datasets.formats.tools.tool_files import checked, media_id, member, read_json
from video_datasets.formats.tools.tool_media import Media

_SEGMENT_ANCHOR = re.compile(r"FILE1_Z[1-9]\d*_XY0")
_ANCHOR = "FILE1_Z2_XY0"
_OWN = ("subject", "source", "score")
_TEXT, _SELECT, _VIDEO, _LOCAL, _ADDRESS = 1, 4, 4, 1, 3
"""Kinds of attributes and files, and the place of a file, as VIA numbers them."""


def read_via3(path: Path, reading: LabelReading) -> Labelling:
    """Read a project.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if it is no such project; the message names the entry.
    """
    project = checked(read_json(path), dict, str(path))
    notes = Notes()
    attributes = dict(_attributes(path, project))
    label_key = next((key for key, (name, _) in attributes.items() if name not in _OWN), None)
    if label_key is None:
        raise InputError(f"{path}: expected an attribute of temporal segments (anchor {_ANCHOR}), found none")
    others = [name for key, (name, _) in attributes.items() if key != label_key and name not in _OWN]
    if others:
        notes.remark(
            f"{path}: the label is attribute '{attributes[label_key][0]}'; left out: {', '.join(others)}"
        )
    files = dict(_files(path, project))
    bouts: dict[str, list[Bout]] = {view: [] for view in files}
    for key, content in member(project, "metadata", dict, str(path)).items():
        where = f"{path}: segment '{key}'"
        segment = checked(content, dict, where)
        view = member(segment, "vid", str, where)
        if view not in files:
            raise InputError(f"{where}: expected a view of a file, found '{view}'")
        bout = _bout(segment, attributes, label_key, where, reading, notes)
        bouts[view] += [] if bout is None else [bout]
    videos = [replace(video, bouts=tuple(bouts[view])) for view, video in files.items()]
    return collect(path, videos, notes, attributes[label_key][1].values())


def _attributes(path: Path, project: dict[str, Any]) -> Iterator[tuple[str, tuple[str, dict[str, str]]]]:
    """Name and options of each attribute of temporal segments."""
    for key, content in member(project, "attribute", dict, str(path)).items():
        where = f"{path}: attribute {key}"
        attribute = checked(content, dict, where)
        if _SEGMENT_ANCHOR.fullmatch(member(attribute, "anchor_id", str, where)):
            options = member(attribute, "options", dict, where, {})
            texts = {
                option: checked(text, str, f"{where}, option {option}") for option, text in options.items()
            }
            yield key, (member(attribute, "aname", str, where), {k: v for k, v in texts.items() if v.strip()})


def _files(path: Path, project: dict[str, Any]) -> Iterator[tuple[str, AnnotatedVideo]]:
    """The video of each view, without bouts; pictures and sound are views, too, and have no
    segments of ours."""
    files = member(project, "file", dict, str(path))
    for view, content in member(project, "view", dict, str(path)).items():
        where = f"{path}: view {view}"
        fids = member(checked(content, dict, where), "fid_list", list, where)
        if not fids or str(fids[0]) not in files:
            raise InputError(f"{where}: expected the number of a file, found {fids[:3]}")
        where = f"{path}: file {fids[0]}"
        file = checked(files[str(fids[0])], dict, where)
        name = member(file, "src", str, where, "") or member(file, "fname", str, where)
        if name.startswith("data:"):  # the file itself, packed into the text
            name = member(file, "fname", str, where)
        yield view, AnnotatedVideo(media_id(name, where), file=name)


def _bout(
    segment: dict[str, Any],
    attributes: dict[str, tuple[str, dict[str, str]]],
    label_key: str,
    where: str,
    reading: LabelReading,
    notes: Notes,
) -> Bout | None:
    times_s = [checked(value, float, f"{where}, 'z'") for value in member(segment, "z", list, where)]
    values = {
        key: checked(value, str, f"{where}, attribute {key}")
        for key, value in member(segment, "av", dict, where).items()
    }
    if member(segment, "xy", list, where, []):
        notes.lose(f"{where}: a region in a picture, left out")
        return None
    texts = {
        attributes[key][0]: attributes[key][1].get(v, v) for key, v in values.items() if key in attributes
    }
    label = attributes[label_key][1].get(values.get(label_key, ""), values.get(label_key, "")).strip()
    if not label or not times_s:
        notes.lose(f"{where}: no {'label' if times_s else 'time'}, left out")
        return None
    if len(times_s) == 1:
        bout = point_bout(times_s[0], label, where, reading, notes)
    else:
        bout = Bout(times_s[0], times_s[-1], label)
    score = checked(texts["score"], float, f"{where}, score") if texts.get("score") else None
    subject, source = texts.get("subject", ""), texts.get("source", "")
    return None if bout is None else replace(bout, score=score, subject=subject, source=source)


def write_via3(path: Path, labelling: Labelling, media: Media, notes: Notes) -> None:
    """Write a project; VIA asks for files that are not found beside it."""
    remark_subsets(path, labelling, notes)
    option_of = {label: str(index) for index, label in enumerate(labelling.labels)}
    metadata = {}
    for view, video in enumerate(labelling.videos, start=1):
        for number, bout in enumerate(video.bouts):
            own = {
                "2": bout.subject,
                "3": bout.source,
                "4": "" if bout.score is None else repr(bout.score),
            }
            values = {"1": option_of[bout.label], **{key: text for key, text in own.items() if text}}
            metadata[f"{view}_{number:08d}"] = {
                "vid": str(view),
                "flg": 0,
                "z": [bout.start_s, bout.end_s],
                "xy": [],
                "av": values,
            }
    views = [str(number) for number in range(1, len(labelling.videos) + 1)]
    options = {option: label for label, option in option_of.items()}
    project = {
        "project": _project(path.stem, views),
        "config": _CONFIG,
        "attribute": {
            "1": _attribute("action", _SELECT, options),
            **{str(n): _attribute(name, _TEXT, {}) for n, name in enumerate(_OWN, start=2)},
        },
        "file": {
            view: _file(view, video, media, path.parent)
            for view, video in zip(views, labelling.videos, strict=True)
        },
        "view": {view: {"fid_list": [view]} for view in views},
        "metadata": metadata,
    }
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(project, ensure_ascii=False, allow_nan=False), encoding="utf-8")


def _project(name: str, views: list[str]) -> dict[str, Any]:
    return {
        "pid": "__VIA_PROJECT_ID__",
        "rev": "__VIA_PROJECT_REV_ID__",
        "rev_timestamp": "__VIA_PROJECT_REV_TIMESTAMP__",
        "pname": name,
        "creator": "TAdaLoc",
        "created": int(time.time() * 1000),
        "vid_list": views,
    }


def _attribute(name: str, kind: int, options: dict[str, str]) -> dict[str, Any]:
    return {
        "aname": name,
        "anchor_id": _ANCHOR,
        "type": kind,
        "desc": "",
        "options": options,
        "default_option_id": "",
    }


def _file(number: str, video: AnnotatedVideo, media: Media, folder: Path) -> dict[str, Any]:
    """A file by its address; VIA asks for one that is not there by its name."""
    is_there = video.video_id in media.paths
    place = {
        "loc": _ADDRESS if is_there else _LOCAL,
        "src": media.address(video, folder) if is_there else "",
    }
    return {"fid": number, "fname": media.name(video), "type": _VIDEO, **place}


_CONFIG = {
    "file": {"loc_prefix": {"1": "", "2": "", "3": "", "4": ""}},
    "ui": {
        "file_content_align": "center",
        "file_metadata_editor_visible": True,
        "spatial_metadata_editor_visible": False,
        "temporal_segment_metadata_editor_visible": True,
        "spatial_region_label_attribute_id": "",
        "gtimeline_visible_row_count": "4",
    },
}
