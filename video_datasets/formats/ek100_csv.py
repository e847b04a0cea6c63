"""Labelled segments of EPIC-KITCHENS-100: EPIC_100_train.csv and EPIC_100_validation.csv."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from video_datasets.annotations import AnnotationTable, short_repr
from video_datasets.formats.csv_table import Column, CsvTable, clock_seconds, read_csv
from video_datasets.formats.ek100_labels import NUM_NOUNS, NUM_VERBS

EK100_COLUMNS = ("video_id", "start_timestamp", "stop_timestamp", "verb_class", "noun_class")
_OTHER_FILE = "EPIC_100_test_timestamps.csv has no classes, use the training or validation file"


def read_ek100_csv(path: str | Path) -> AnnotationTable:
    """Read EPIC_100_train.csv or EPIC_100_validation.csv (or a cut of their columns).

    Times come from the timestamps, since the frame numbers count at 60 or 50 fps depending on the
    video.

    Args:
        path: CSV file with a header, plain or gzip; needs video_id, start_timestamp, stop_timestamp
            (hh:mm:ss.xx), verb_class and noun_class.

    Returns:
        The table; videos in order of first appearance, no subsets, no durations.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if a column is missing, a value cannot be read, or a class is out of range; the
            message lists all of them by line.
    """
    table = read_csv(Path(path), [Column((name,)) for name in EK100_COLUMNS], hint=_OTHER_FILE)
    positions: dict[str, int] = {}
    rows = [row for line, cells in table.rows if (row := _row(table, line, cells, positions))]
    table.refuse_errors()
    video_index, start_s, end_s, labels = zip(*rows, strict=True) if rows else ((),) * 4
    return AnnotationTable(
        video_ids=tuple(positions),
        subsets=("",) * len(positions),
        durations_s=np.full(len(positions), np.nan),
        video_index=np.array(video_index, dtype=np.int32),
        start_s=np.array(start_s, dtype=np.float64),
        end_s=np.array(end_s, dtype=np.float64),
        labels=tuple(labels),
    )


def _row(
    table: CsvTable, line: int, cells: tuple[str, ...], positions: dict[str, int]
) -> tuple[int, float, float, str] | None:
    """Video index, start, end and label of one line, None if it has an error; a new video joins
    `positions`."""
    video_id, start, end, verb, noun = cells
    if not video_id:
        table.error(line, "the line has no video_id; is the file truncated?")
        return None
    try:
        start_s, end_s = timestamp_seconds(start), timestamp_seconds(end)
        label = f"{_class(verb, 'verb_class', NUM_VERBS)},{_class(noun, 'noun_class', NUM_NOUNS)}"
    except ValueError as error:
        table.error(line, f"video '{video_id}': {error}; expected times hh:mm:ss.xx and whole class numbers")
        return None
    return positions.setdefault(video_id, len(positions)), start_s, end_s, label


def _class(text: str, column: str, count: int) -> int:
    if not (text.isdecimal() and len(text) <= len(str(count)) and int(text) < count):
        raise ValueError(f"'{column}' must be a whole number from 0 to {count - 1}, found {short_repr(text)}")
    return int(text)


def timestamp_seconds(timestamp: str) -> float:
    """Convert "hh:mm:ss.xx" into seconds.

    Raises:
        ValueError: if it has another form, or more than 59 minutes or seconds.

    >>> timestamp_seconds("01:02:03.50")
    3723.5
    """
    if timestamp.count(":") != 2:
        raise ValueError(f"bad timestamp {short_repr(timestamp)}")
    return clock_seconds(timestamp)
