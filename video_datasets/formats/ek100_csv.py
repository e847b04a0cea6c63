"""Labelled segments of EPIC-KITCHENS-100: EPIC_100_train.csv and EPIC_100_validation.csv."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from runtime.errors import InputError
from video_datasets.annotations import AnnotationTable, read_text

EK100_COLUMNS = ("video_id", "start_timestamp", "stop_timestamp", "verb_class", "noun_class")


def read_ek100_csv(path: str | Path) -> AnnotationTable:
    """Read EPIC_100_train.csv or EPIC_100_validation.csv (or a cut of their columns).

    Times come from the timestamps, since the frame numbers count at 60 or 50 fps depending on the video.

    Args:
        path: CSV file with a header, plain or gzip; needs video_id, start_timestamp, stop_timestamp
            (hh:mm:ss.xx), verb_class and noun_class.

    Returns:
        The table; videos in order of first appearance, no subsets, no durations.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if a column is missing or a value cannot be read; the message names the line.
    """
    path = Path(path)
    reader = csv.reader(read_text(path).splitlines())  # a DictReader takes twice the time
    header = next(reader)
    missing = [name for name in EK100_COLUMNS if name not in header]
    if missing:
        raise InputError(
            f"{path}: expected the columns {', '.join(EK100_COLUMNS)}; missing: {', '.join(missing)};"
            f" found: {', '.join(header)}"
            f" (EPIC_100_test_timestamps.csv has no classes, use the training or validation file)"
        )
    fields = [header.index(name) for name in EK100_COLUMNS]
    positions: dict[str, int] = {}
    rows = [_ek100_row(row, fields, path, reader.line_num, positions) for row in reader if row]
    video_index, start_s, end_s, verbs, nouns = zip(*rows, strict=True) if rows else ((),) * 5
    return AnnotationTable(
        video_ids=tuple(positions),
        subsets=("",) * len(positions),
        durations_s=np.full(len(positions), np.nan),
        video_index=np.array(video_index, dtype=np.int32),
        start_s=np.array(start_s, dtype=np.float64),
        end_s=np.array(end_s, dtype=np.float64),
        labels=tuple(f"{verb},{noun}" for verb, noun in zip(verbs, nouns, strict=True)),
    )


def _ek100_row(
    row: Sequence[str], fields: Sequence[int], path: Path, line: int, positions: dict[str, int]
) -> tuple[int, float, float, int, int]:
    """Video index, start, end, verb and noun of one line; a new video is added to `positions`."""
    try:
        video_id, start, end, verb, noun = (row[field] for field in fields)
    except IndexError:
        video_id = ""
    if not video_id:
        raise InputError(
            f"{path}: line {line}: the line is too short or has no video_id; is the file truncated?"
        )
    try:
        times_and_classes = timestamp_seconds(start), timestamp_seconds(end), int(verb), int(noun)
    except ValueError as error:
        raise InputError(
            f"{path}: line {line}, video '{video_id}': {error};"
            f" expected times hh:mm:ss.xx and whole class numbers"
        ) from None
    return positions.setdefault(video_id, len(positions)), *times_and_classes


def timestamp_seconds(timestamp: str) -> float:
    """Convert "hh:mm:ss.xx" into seconds.

    Raises:
        ValueError: if it has another form.

    >>> timestamp_seconds("01:02:03.50")
    3723.5
    """
    parts = timestamp.split(":")
    if len(parts) != 3:
        raise ValueError(f"bad timestamp {timestamp!r}")
    return int(parts[0]) * 3600 + int(parts[1]) * 60 + float(parts[2])
