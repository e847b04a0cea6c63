"""Detections or proposals as a CSV of one segment a line, as `python -m pipeline.detect` writes
them.

    video,start_s,end_s,label,score
    kitchen_01,3.1,8.7,pour water,0.83

Columns in any order, also as `video-id,t-start,t-end`; `label` may be missing (proposals).
Detections of verbs and nouns have the columns `verb` and `noun`, class numbers, which then count
instead of the label.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from runtime.errors import InputError
from runtime.text import text_of_spreadsheet
from video_datasets.formats.csv_table import Column, CsvTable, read_csv
from video_datasets.formats.ek100_labels import split_label
from video_datasets.formats.own_csv import id_and_file
from video_datasets.predictions import NO_LABEL, Predictions

_WANTED = (
    Column(("video", "path", "video_id", "video-id")),
    Column(("start_s", "start", "t-start")),
    Column(("end_s", "end", "t-end")),
    Column(("score", "confidence")),
    Column(("label",), optional=True),
    Column(("verb",), optional=True),
    Column(("noun",), optional=True),
)


def read_detections_csv(path: str | Path) -> Predictions:
    """Read such a file; rows keep their order, nothing is cleaned.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if a column is missing or a cell cannot be read; the message lists all of them
            by line.
    """
    table = read_csv(Path(path), _WANTED)
    of_pairs = bool(table.names[5] and table.names[6])
    videos: dict[str, int] = {}
    labels: dict[str, int] = {}
    rows: list[tuple[int, float, float, float, int]] = []
    for line, (video, start, end, score, label, verb, noun) in table.rows:
        video, label = text_of_spreadsheet(video), text_of_spreadsheet(label)
        if not video:
            table.error(line, f"'{table.names[0]}' must not be empty")
            continue
        start_s, end_s = (
            table.seconds(line, text, name) for text, name in zip((start, end), table.names[1:3], strict=True)
        )
        value = table.number(line, score, table.names[3])
        if of_pairs:
            label = _pair(table, line, verb, noun)
        number = labels.setdefault(label, len(labels)) if label else NO_LABEL
        rows.append((videos.setdefault(id_and_file(video)[0], len(videos)), start_s, end_s, value, number))
    table.refuse_errors()
    columns = zip(*rows, strict=True) if rows else ((),) * 5
    return Predictions(tuple(videos), tuple(labels), *map(np.array, columns))


def _pair(table: CsvTable, line: int, verb: str, noun: str) -> str:
    """The label of a verb and a noun; an error is kept if they are no classes."""
    label = f"{verb},{noun}"
    try:
        split_label(label)
    except InputError as error:
        table.error(line, f"'verb' and 'noun' must be class numbers: {error}")
    return label
