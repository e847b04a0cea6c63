"""The annotation files that other programs want beside features, in the form that each of them
reads.

DIR/actionformer.json               ActionFormer and TriDet: ActivityNet's JSON with `label_id`, durations as numbers
DIR/bmn/video_info_new.csv          JJBOY's BMN: subset, duration and frames of every video,
DIR/bmn/anet_anno_action.json       the same beside its segments,
DIR/bmn/csv_mean_<cells>            and its features: a link to DIR/features, under the name that it has built in

JJBOY's code takes `duration_frame` and `feature_frame` for the frames of the whole video and of the
part that has features. Ours cover the whole of it, so both are the same; the reader uses their
ratio only. Its post-processing cuts two characters off every id, "v_" in its own files.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from feature_extraction.store import FeatureStore
from runtime.atomic import write_json, write_text
from video_datasets.annotations import AnnotationTable

ACTIONFORMER_NAME = "actionformer.json"
BMN_FOLDER = "bmn"
BMN_COLUMNS = ("video", "numFrame", "seconds", "fps", "rfps", "subset", "featureFrame")


def write_actionformer(out: Path, annotations: AnnotationTable, durations_s: Mapping[str, float]) -> Path:
    """Write the JSON of ActionFormer's and TriDet's ActivityNet reader; return its path.

    Classes are numbered by name. Durations are those decoded, else the annotated ones.
    """
    number = {label: i for i, label in enumerate(sorted(set(annotations.labels)))}
    database: dict[str, dict[str, Any]] = {
        name: {"subset": subset, "duration": duration_s, "annotations": []}
        for name, subset, duration_s in _videos(annotations, durations_s)
    }
    for name, segment, label in _segments(annotations):
        if name in database:
            entry = {"segment": segment, "label": label, "label_id": number[label]}
            database[name]["annotations"].append(entry)
    path = out / ACTIONFORMER_NAME
    write_json(path, {"database": database})
    return path


def write_bmn(out: Path, annotations: AnnotationTable, store: FeatureStore, cells: int) -> list[Path]:
    """Write what JJBOY's BMN reads beside rescaled CSV features; return the paths."""
    folder = out / BMN_FOLDER
    frames = {name: _frames(store, name) for name in annotations.video_ids if name in store}
    durations_s = {name: store.duration_s(name) for name in frames}
    entries: dict[str, dict[str, Any]] = {}
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(BMN_COLUMNS)
    for name, subset, duration_s in _videos(annotations, durations_s):
        if name not in frames:
            continue  # the reader opens the features of every video in the table
        count, fps = frames[name], frames[name] / duration_s
        writer.writerow((name, count, duration_s, fps, fps, subset, count))
        entries[name] = {
            "duration_second": duration_s,
            "duration_frame": count,
            "feature_frame": count,
            "annotations": [],
        }
    for name, segment, label in _segments(annotations):
        if name in entries:
            entries[name]["annotations"].append({"segment": segment, "label": label})
    write_text(folder / "video_info_new.csv", table.getvalue())
    write_json(folder / "anet_anno_action.json", entries)
    link = folder / f"csv_mean_{cells}"
    if not link.is_symlink():
        link.symlink_to(os.path.relpath(out / "features", folder), target_is_directory=True)
    return [folder / "video_info_new.csv", folder / "anet_anno_action.json", link]


def _frames(store: FeatureStore, video_id: str) -> int:
    """Frames of a video's grid; about so many where its features were made elsewhere."""
    info = store.info(video_id)
    recorded = info.attributes.get("num_grid_frames")
    return int(recorded or round(store.duration_s(video_id) * info.grid.fps))


def _videos(annotations: AnnotationTable, durations_s: Mapping[str, float]) -> list[tuple[str, str, float]]:
    """Id, subset and duration of every video whose duration is known."""
    rows = zip(annotations.video_ids, annotations.subsets, annotations.durations_s.tolist(), strict=True)
    known = [(name, subset, float(durations_s.get(name, annotated_s))) for name, subset, annotated_s in rows]
    return [row for row in known if row[2] > 0]


def _segments(annotations: AnnotationTable) -> list[tuple[str, list[float], str]]:
    """Video, start and end in seconds, and label of every segment."""
    columns = (annotations.video_index, annotations.start_s, annotations.end_s)
    rows = zip(*(column.tolist() for column in columns), annotations.labels, strict=True)
    return [(annotations.video_ids[video], [start_s, end_s], label) for video, start_s, end_s, label in rows]
