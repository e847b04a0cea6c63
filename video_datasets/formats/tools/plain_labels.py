"""The two formats without a tool as labellings: own CSV, and the JSON of ActivityNet, labels or
detections.

A CSV may have the columns `subject`, `source` and `score` beside those of `own_csv`.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from runtime.atomic import atomic_path
from video_datasets.formats import csv_table
from video_datasets.formats.activitynet import read_activitynet_json
from video_datasets.formats.csv_table import Column
from video_datasets.formats.own_csv import COLUMNS, read_own_csv
from video_datasets.formats.submission_json import read_detections_json
from video_datasets.formats.tools.labelling import (
    AnnotatedVideo,
    Bout,
    Labelling,
    LabelReading,
    Notes,
    collect,
    labelling_of_predictions,
    labelling_of_table,
)
from video_datasets.formats.tools.tool_files import checked, read_json
from video_datasets.formats.tools.tool_media import Media
from video_datasets.predictions import is_hdf5, read_predictions

_EXTRA_COLUMNS = ("subject", "source", "score")


# ---- CSV


def read_label_csv(path: Path, reading: LabelReading) -> Labelling:
    """Read own CSV with the columns that labelling tools know besides.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: as `read_own_csv`; or if a score is no number.
    """
    table = read_own_csv(path)
    extras = _extras(path)
    bouts: list[list[Bout]] = [[] for _ in table.video_ids]
    columns = (table.video_index.tolist(), table.start_s.tolist(), table.end_s.tolist(), table.labels, extras)
    for index, start_s, end_s, label, extra in zip(*columns, strict=True):
        bouts[index].append(Bout(start_s, end_s, label, *extra))
    names = zip(table.video_ids, bouts, table.subsets, strict=True)
    videos = [AnnotatedVideo(video_id, tuple(own), subset=subset) for video_id, own, subset in names]
    return collect(path, videos, Notes())


def _extras(path: Path) -> list[tuple[str, str, float | None]]:
    """Subject, source and score of each segment; lines without a label are videos without one."""
    columns = [Column((name,), optional=True) for name in _EXTRA_COLUMNS]
    lines = csv_table.read_csv(path, (Column(("label",)), *columns))
    extras = [
        (subject, source, lines.number(line, score, "score") if score else None)
        for line, (label, subject, source, score) in lines.rows
        if label
    ]
    lines.refuse_errors()
    return extras


def write_label_csv(path: Path, labelling: Labelling, media: Media, notes: Notes) -> None:
    """Write own CSV with all digits; of the columns subject, source and score those that say
    something."""
    rows = [_cells(video, bout) for video in labelling.videos for bout in video.bouts or (None,)]
    extra = [name for name in _EXTRA_COLUMNS if any(row[name] for row in rows)]
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [*COLUMNS, *extra], extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)


def _cells(video: AnnotatedVideo, bout: Bout | None) -> dict[str, str]:
    empty = dict.fromkeys((*COLUMNS, *_EXTRA_COLUMNS), "")
    cells = {**empty, "video": video.video_id, "subset": video.subset}
    if bout is None:
        return cells
    times = {"start_s": repr(bout.start_s), "end_s": repr(bout.end_s), "label": bout.label}
    score = "" if bout.score is None else repr(bout.score)
    return {**cells, **times, "subject": bout.subject, "source": bout.source, "score": score}


# ---- ActivityNet


def read_activitynet(path: Path, reading: LabelReading) -> Labelling:
    """Read ActivityNet or HACS JSON: annotations (`database`) or detections (`results`), or
    detections in HDF5.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if it is none of them, or holds proposals without labels.
    """
    if is_hdf5(path):
        return labelling_of_predictions(read_predictions(path), path.stem)
    content = checked(read_json(path), dict, str(path))
    if "results" in content:
        origin = content.get("external_data")
        run = origin.get("run") if isinstance(origin, dict) else None
        return labelling_of_predictions(
            read_detections_json(path), run if isinstance(run, str) else path.stem
        )
    return labelling_of_table(read_activitynet_json(path))


def write_activitynet(path: Path, labelling: Labelling, media: Media, notes: Notes) -> None:
    """Write detections (`results`) where every bout has a score, else annotations (`database`)."""
    bouts = [bout for video in labelling.videos for bout in video.bouts]
    is_detections = bool(bouts) and not any(bout.score is None for bout in bouts)
    if any(bout.subject for bout in bouts):
        notes.remark(f"{path}: subjects have no place in this format, left out")
    content: dict[str, Any] = {"version": "VERSION 1.3"}
    if is_detections:
        sources = ", ".join(sorted({bout.source for bout in bouts} - {""}))
        content["results"] = {video.video_id: _entries(video, with_score=True) for video in labelling.videos}
        content["external_data"] = {"run": sources}
    else:
        content["database"] = {video.video_id: _video(video, media, notes) for video in labelling.videos}
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, ensure_ascii=False, allow_nan=False), encoding="utf-8")


def _entries(video: AnnotatedVideo, *, with_score: bool) -> list[dict[str, Any]]:
    return [
        {
            "label": bout.label,
            **({"score": bout.score} if with_score else {}),
            "segment": [bout.start_s, bout.end_s],
        }
        for bout in video.bouts
    ]


def _video(video: AnnotatedVideo, media: Media, notes: Notes) -> dict[str, Any]:
    length = {}
    if video.duration_s > 0 or video.video_id in media.paths:
        length["duration"] = media.facts(video, notes).duration_s
    return {"subset": video.subset, **length, "annotations": _entries(video, with_score=False)}
