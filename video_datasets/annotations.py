"""The one raw reader of each annotation format: rows exactly as they stand in the file.

Nothing is cleaned, clipped or dropped here, because the official metrics count every row: duplicates,
zero-length and inverted segments included. Training cleans what it reads; evaluation never does.
"""

from __future__ import annotations

import csv
import gzip
import json
import reprlib
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from runtime.errors import InputError

GZIP_MAGIC = b"\x1f\x8b"
EK100_COLUMNS = ("video_id", "start_timestamp", "stop_timestamp", "verb_class", "noun_class")
# Subsets whose annotations are kept by the organisers of a challenge.
UNLABELLED_SUBSETS = ("testing", "test")

# Values in messages: cut in length and depth, since a broken file may hold anything.
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 80
_SHORT.maxlist = 12
_SHORT.maxlevel = 3


@dataclass(frozen=True, eq=False)
class AnnotationTable:
    """The annotations of one file, as columns.

    Attributes:
        video_ids: every video of the file, in file order, also those without annotations (V of them).
        subsets: per video "training", "validation", "testing"; "" where the format has no subsets (EK100).
        durations_s: (V,) float64, NaN where the file gives none.
        video_index: (N,) int32, row -> position in `video_ids`. Rows stand in file order.
        start_s: (N,) float64.
        end_s: (N,) float64.
        labels: N labels; for EK100 "verb,noun", e.g. "3,12".
        verb_ids: (N,) int64 for EK100, otherwise None.
        noun_ids: (N,) int64 for EK100, otherwise None.
    """

    video_ids: tuple[str, ...]
    subsets: tuple[str, ...]
    durations_s: np.ndarray
    video_index: np.ndarray
    start_s: np.ndarray
    end_s: np.ndarray
    labels: tuple[str, ...]
    verb_ids: np.ndarray | None = None
    noun_ids: np.ndarray | None = None


def read_activitynet_json(path: str | Path) -> AnnotationTable:
    """Read a HACS Segments or ActivityNet annotation file.

    Only `database` is required: HACS_segments_v1.1.1.json has no `version` and no `taxonomy`. Segment ends
    and durations may be numbers or numbers in quotes (HACS durations are). Testing videos may lack
    `annotations`.

    Args:
        path: JSON file, plain or gzip.

    Returns:
        The table; labels are class names.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if it is not such a JSON file; the message names the key and the video.
    """
    path = Path(path)
    database = read_json_object(path, refuse_duplicates=True).get("database")
    if not isinstance(database, dict):
        raise InputError(
            f"{path}: expected an object with key 'database' (HACS/ActivityNet annotations), found none;"
            f" is this a prediction file, or another format?"
        )
    video_index: list[int] = []
    segments: list[tuple[float, float]] = []
    labels: list[str] = []
    subsets: list[str] = []
    durations: list[float] = []
    for index, (video_id, entry) in enumerate(database.items()):
        where = f"{path}: video {short_repr(video_id)}"
        subset, duration, annotations = _activitynet_video(entry, where)
        subsets.append(subset)
        durations.append(duration)
        for number, annotation in enumerate(annotations):
            label, segment = _activitynet_annotation(annotation, f"{where}, annotation {number}")
            video_index.append(index)
            labels.append(label)
            segments.append(segment)
    ends = np.array(segments, dtype=np.float64).reshape(-1, 2)
    return AnnotationTable(
        video_ids=tuple(database),
        subsets=tuple(subsets),
        durations_s=np.array(durations, dtype=np.float64),
        video_index=np.array(video_index, dtype=np.int32),
        start_s=ends[:, 0].copy(),
        end_s=ends[:, 1].copy(),
        labels=tuple(labels),
    )


def _activitynet_video(entry: Any, where: str) -> tuple[str, float, list[Any]]:
    """Subset, duration and annotations of one entry of `database`."""
    if not isinstance(entry, dict):
        raise InputError(
            f"{where}: expected an object with 'subset' and 'annotations', found {short_repr(entry)}"
        )
    subset = entry.get("subset")
    if not isinstance(subset, str):
        raise InputError(
            f"{where}: key 'subset' is missing or not text; found keys {short_repr(sorted(entry))}"
        )
    try:
        duration = float(entry.get("duration", "nan"))
    except (TypeError, ValueError, OverflowError):
        raise InputError(
            f"{where}: 'duration' must be a number of seconds, found {short_repr(entry['duration'])}"
        ) from None
    annotations = entry.get("annotations", [] if subset in UNLABELLED_SUBSETS else None)
    if not isinstance(annotations, list):
        raise InputError(
            f"{where}: key 'annotations' is missing or not a list; found keys {short_repr(sorted(entry))}"
        )
    return subset, duration, annotations


def _activitynet_annotation(annotation: Any, where: str) -> tuple[str, tuple[float, float]]:
    """Label and segment of one annotation."""
    if not isinstance(annotation, dict):
        raise InputError(
            f"{where}: expected an object with 'label' and 'segment', found {short_repr(annotation)}"
        )
    label = annotation.get("label")
    if not isinstance(label, str):
        raise InputError(
            f"{where}: key 'label' is missing or not text; found keys {short_repr(sorted(annotation))}"
        )
    if "segment" not in annotation:
        raise InputError(f"{where}: key 'segment' is missing; found keys {short_repr(sorted(annotation))}")
    try:
        return label, segment_ends(annotation["segment"])
    except ValueError as error:
        raise InputError(f"{where}: {error}") from None


def short_repr(value: Any) -> str:
    """Show any JSON value in a message: like `repr`, but cut in length and depth.

    >>> short_repr([[[[1, 2]]], "text"])
    "[[[[...]]], 'text']"
    """
    return _SHORT.repr(value)


def segment_ends(segment: Any) -> tuple[float, float]:
    """Turn a JSON segment into (start, end) in seconds; numbers in quotes are accepted.

    Raises:
        ValueError: if it is not a list of two numbers.

    >>> segment_ends(["0", 10])
    (0.0, 10.0)
    """
    try:
        start, end = map(float, segment if isinstance(segment, list) else ())
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"'segment' must be [start, end] in seconds, found {short_repr(segment)}") from None
    return start, end


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
        verb_ids=np.array(verbs, dtype=np.int64),
        noun_ids=np.array(nouns, dtype=np.int64),
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


def read_text(path: Path) -> str:
    """Read a UTF-8 text file, plain or gzip (told by its first bytes, not by its name).

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if it is empty, cut off, HTML, or not text.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    content = path.read_bytes()
    try:
        if content.startswith(GZIP_MAGIC):
            content = gzip.decompress(content)
        text = content.decode("utf-8-sig")
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: damaged gzip file ({error}); download or copy it again") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: expected UTF-8 text, found other bytes ({error})") from None
    if not text.strip():
        raise InputError(f"{path}: the file is empty")
    if text.lstrip().startswith("<"):
        raise InputError(f"{path}: this is an HTML or XML page, not data; the download has failed, repeat it")
    return text


class DuplicateKeyError(Exception):
    """A JSON object has the same key twice."""


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise DuplicateKeyError(f"'{twice}' is there twice")
    return content


def read_json_object(path: Path, *, refuse_duplicates: bool = False) -> dict[str, Any]:
    """Read a JSON file, plain or gzip, whose top level is an object.

    NaN and Infinity literals are let through, so that the caller can name the entry that holds them.

    Args:
        path: the file.
        refuse_duplicates: stop at an object with the same key twice, of which JSON readers keep the last one
            without a word (slower).

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if it is not JSON, is cut off, holds something else than an object, or a key twice.
    """
    text = read_text(path)
    try:
        content = json.loads(text, object_pairs_hook=_unique_keys if refuse_duplicates else None)
    except DuplicateKeyError as error:
        raise InputError(f"{path}: {error}; remove one of them") from None
    except json.JSONDecodeError as error:
        state = "the file seems cut off" if error.pos >= len(text.rstrip()) - 1 else "not valid JSON"
        raise InputError(
            f"{path}: {state}: {error.msg} at line {error.lineno} column {error.colno}"
        ) from None
    except RecursionError:
        raise InputError(f"{path}: not valid data: nested too deeply") from None
    except ValueError as error:  # a whole number of more than 4300 digits, which Python refuses to read
        raise InputError(f"{path}: not valid data: {error}") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected a JSON object at the top, found {type(content).__name__}")
    return content
