"""Output of detection: the official JSON, a CSV and a picture a video; files of labelling tools."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.detector import VideoDetections
from pipeline.trained_run import TrainedRun
from runtime.atomic import atomic_path
from runtime.text import spreadsheet_text
from video_datasets.dataset import Segment
from video_datasets.formats import format_of
from video_datasets.formats.ek100_labels import split_label
from video_datasets.formats.tools.labelling import AnnotatedVideo, Bout, Labelling, Notes, in_order, lines
from video_datasets.formats.tools.table import TOOLS, WRITERS, Tool
from video_datasets.formats.tools.tool_media import Media
from video_datasets.predictions import Predictions


def write_submission(path: Path, video_id: str, found: VideoDetections, run: TrainedRun) -> None:
    """Write the detections in the submission format of the run's data set, with all the digits.

    Args:
        path: JSON file.
        video_id: under which they stand in `results`.
        found: by score, descending.
        run: that found them; named in `external_data`, which the format of EPIC-KITCHENS-100 does
            not have.
    """
    labels = tuple(dict.fromkeys(found.codes))
    position = {label: index for index, label in enumerate(labels)}
    predictions = Predictions(
        videos=(video_id,),
        labels=labels,
        video_index=np.zeros(len(found), np.int32),
        start_s=found.segments_s[:, 0],
        end_s=found.segments_s[:, 1],
        score=found.scores,
        label=np.array([position[code] for code in found.codes], dtype=np.int32),
    )
    data_format, classification = format_of(run.config.data), run.config.classification
    notes: dict[str, Any] = {
        "made_by": "TAdaLoc pipeline.detect",
        "run": run.name,
        "model": run.backbone.name,
    }
    notes |= {"remark": run.remark} if run.remark else {}
    for key, usual in data_format.declares.items():
        level = getattr(classification, key)
        notes[key] = usual if level is None else level
    data_format.write_detections(path, predictions, notes)


def write_detections_csv(path: Path, video_id: str, found: VideoDetections) -> None:
    """Write one detection a line: video, start_s, end_s, label, score; verb and noun where the
    run tells them."""
    header = ["video", "start_s", "end_s", "label", "score"]
    of_pairs = found.codes != found.labels
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*header, "verb", "noun"] if of_pairs else header)
        video = spreadsheet_text(video_id)
        rows = zip(found.segments_s.tolist(), found.labels, found.scores.tolist(), found.codes, strict=True)
        for (start_s, end_s), label, score, code in rows:
            classes = split_label(code)[:2] if of_pairs else ()
            writer.writerow(
                [video, f"{start_s:.3f}", f"{end_s:.3f}", spreadsheet_text(label), f"{score:.6g}", *classes]
            )


def draw_picture(path: Path, video_id: str, found: VideoDetections) -> None:
    """Draw the detections on a time axis as a PNG."""
    from evaluation.report.timeline_picture import draw_timeline  # matplotlib is slow to load

    rows = zip(found.segments_s.tolist(), found.labels, found.scores.tolist(), strict=True)
    detections = [(Segment(start_s, end_s, label), score) for (start_s, end_s), label, score in rows]
    draw_timeline(path, video_id, found.duration_s, [], detections)


def write_tools(
    folder: Path, tools: Iterable[str], found: Mapping[str, VideoDetections], run: TrainedRun
) -> list[str]:
    """Write the detections of all videos for labelling tools: found<suffix> or the folder
    found_<tool> each.

    Args:
        folder: to write to.
        tools: names of `video_datasets.formats.tools.table.WRITERS`.
        found: video id -> detections.
        run: that found them: its name is their source, its classes are what a person may choose
            from.

    Returns:
        What the tools cannot hold, and what was done about it.
    """
    used = sorted({label for detections in found.values() for label in detections.labels})
    labelling = Labelling(
        tuple(_labelled(video_id, detections, run.name) for video_id, detections in found.items()),
        tuple(dict.fromkeys([*run.backbone.heads.get("action", ()), *used])),
    )
    media = Media({video_id: detections.path for video_id, detections in found.items()})
    notes = Notes()
    for name in tools:
        tool = TOOLS[name]
        WRITERS[name](folder / _tool_file(tool), labelling, media, notes)
    return [*lines(notes.remarks), *lines(notes.lost)]


def _tool_file(tool: Tool) -> str:
    """Name of a tool's file; several tools have .json, which their names then tell apart."""
    return f"found_{tool.name}{tool.suffix}"


def _labelled(video_id: str, found: VideoDetections, model: str) -> AnnotatedVideo:
    rows = zip(found.segments_s.tolist(), found.labels, found.scores.tolist(), strict=True)
    bouts = [Bout(start_s, end_s, label, "", model, score) for (start_s, end_s), label, score in rows]
    return AnnotatedVideo(video_id, in_order(bouts), found.path.name, duration_s=found.duration_s)
