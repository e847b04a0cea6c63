"""Entries of a submission file <-> predictions: quickly where the file is in order, carefully where
it is not.

The quick way takes one field of all entries at a time and checks types by the set of those that
occur, which costs a fraction of the JSON parser's time. Whatever it does not understand (a number
in quotes, a missing key) goes the careful way, entry by entry, which accepts the same content and
names every entry that is wrong.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from runtime.atomic import atomic_path
from runtime.errors import InputError, error_list
from runtime.garbage import garbage_collection_paused
from video_datasets.annotations import segment_ends, short_repr
from video_datasets.predictions import COLUMN_TYPES, NO_LABEL, Predictions

NUMBERS = frozenset({int, float})
# Feature files of ActivityNet and HACS are called v_<YouTube id>, submissions name the id alone.
PREFIXED_YOUTUBE_ID = re.compile(r"v_[\w-]{11}")


@dataclass(frozen=True)
class EntryFormat:
    """What makes the label of an entry in one submission format; score and segment are in all of
    them.

    Attributes:
        parsers: key -> function that reads its value, or raises ValueError saying what is wrong
            with it.
        types: per key, the JSON types that its parser may accept.
        join: makes the label of what the parsers return.
        optional: whether entries without any of the keys are allowed (proposals).
    """

    parsers: Mapping[str, Callable[[Any], Any]]
    types: tuple[frozenset[type], ...]
    join: Callable[..., str]
    optional: bool


def read_entries(
    content: Mapping[str, Any], entry_format: EntryFormat
) -> tuple[Predictions | None, list[str]]:
    """Read `results` of a submission: {video id: [entry, ..]}.

    Args:
        content: the parsed file.
        entry_format: how its entries say their label.

    Returns:
        The columns and no errors, or None and all errors, each naming video, entry, field, what was
        found and what is expected. NaN and infinity alone are let through; beside other errors they
        are listed.
    """
    results = content.get("results")
    if not isinstance(results, dict):
        return None, [
            f"expected an object 'results' of video id -> list of detections,"
            f" found keys {short_repr(sorted(content))}; is this an annotation file?"
        ]
    columns = _read_quickly(results, entry_format)
    return (columns, []) if columns is not None else _read_carefully(results, entry_format)


def checked_predictions(path: Path, found: Predictions | None, errors: Sequence[str]) -> Predictions:
    """Return what `read_entries` found in a file.

    Raises:
        InputError: if there are errors; the message lists them.
    """
    if found is None or errors:
        raise InputError(error_list(str(path), errors))
    return found


@garbage_collection_paused()
def write_entries(
    path: str | Path, header: Mapping[str, Any], predictions: Predictions, fields: Sequence[Mapping[str, Any]]
) -> None:
    """Write a submission file, whole or not at all: rows grouped by video, in the order of the
    table of videos.

    Args:
        path: JSON file to write.
        header: the other keys of the file; an entry `results` says where among them the rows stand.
        predictions: their ids lose the "v_" of feature files.
        fields: per label of the table, what an entry says of it; the last one is for rows without a
            label.

    Raises:
        ValueError: if a number is NaN or infinite (JSON has neither).
    """
    ids = [id[2:] if PREFIXED_YOUTUBE_ID.fullmatch(id) else id for id in predictions.videos]
    results: dict[str, list[dict[str, Any]]] = {id: [] for id in ids}
    columns = (getattr(predictions, name).tolist() for name in COLUMN_TYPES)
    for video, start_s, end_s, score, label in zip(*columns, strict=True):
        results[ids[video]].append({**fields[label], "score": score, "segment": [start_s, end_s]})
    with atomic_path(Path(path)) as temporary, temporary.open("w", encoding="utf-8") as file:
        json.dump({**header, "results": results}, file, allow_nan=False, ensure_ascii=False)


def _read_quickly(results: Mapping[str, Any], entry_format: EntryFormat) -> Predictions | None:
    """Columns of a file that is in order; None if it needs the careful way."""
    if not _only(results.values(), {list}):
        return None
    entries = list(chain.from_iterable(results.values()))
    if not _only(entries, {dict}):
        return None
    try:
        scores = [entry["score"] for entry in entries]
        segments = [entry["segment"] for entry in entries]
        labels, label = _label_column(entries, entry_format)
    except (KeyError, ValueError):
        return None
    if not (_only(scores, NUMBERS) and _only(segments, {list}) and set(map(len, segments)) <= {2}):
        return None
    ends = list(chain.from_iterable(segments))
    if not _only(ends, NUMBERS):
        return None
    try:
        ends_s = np.array(ends, dtype=np.float64).reshape(-1, 2)
        score = np.array(scores, dtype=np.float64)
    except OverflowError:
        return None
    counts = [len(of_video) for of_video in results.values()]
    video_index = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    return Predictions(
        tuple(results), labels, video_index, ends_s[:, 0].copy(), ends_s[:, 1].copy(), score, label
    )


def _only(values: Iterable[Any], types: Iterable[type]) -> bool:
    return set(map(type, values)) <= set(types)


def _label_column(
    entries: Sequence[Mapping[str, Any]], entry_format: EntryFormat
) -> tuple[tuple[str, ...], np.ndarray]:
    """Table of labels, and the label of each entry; KeyError or ValueError if the careful way is
    needed."""
    keys = tuple(entry_format.parsers)
    if entry_format.optional and not any(key in entry for key in keys for entry in entries):
        return (), np.full(len(entries), NO_LABEL, dtype=np.int32)
    columns = []
    for key, parse, types in zip(keys, entry_format.parsers.values(), entry_format.types, strict=True):
        column = [entry[key] for entry in entries]
        if not _only(column, types):
            raise ValueError(f"'{key}' of another type")
        parsed = {value: parse(value) for value in set(column)}  # far fewer values than entries
        columns.append(map(parsed.__getitem__, column))
    names = list(map(entry_format.join, *columns))
    labels = {name: number for number, name in enumerate(dict.fromkeys(names))}
    return tuple(labels), np.fromiter(map(labels.__getitem__, names), dtype=np.int32, count=len(names))


def _read_carefully(
    results: Mapping[str, Any], entry_format: EntryFormat
) -> tuple[Predictions | None, list[str]]:
    """Columns, or every error of the entries."""
    errors: list[str] = []
    unreadable = False
    rows: list[tuple[int, float, float, float, int]] = []
    labels: dict[str, int] = {}
    for index, (video, entries) in enumerate(results.items()):
        if not isinstance(entries, list):
            errors.append(
                f"video {short_repr(video)}: expected a list of detections, found {short_repr(entries)}"
            )
            unreadable = True
            continue
        for number, entry in enumerate(entries):
            fields, problems = _read_entry(entry, entry_format)
            unreadable |= bool(problems)
            problems += _not_finite(fields)
            errors += [f"video {short_repr(video)}, entry {number}: {problem}" for problem in problems]
            if unreadable:
                continue
            label = NO_LABEL
            if entry_format.parsers.keys() <= fields.keys():
                name = entry_format.join(*(fields[key] for key in entry_format.parsers))
                label = labels.setdefault(name, len(labels))
            rows.append((index, *fields["segment"], fields["score"], label))
    if unreadable:
        return None, errors
    video_index, start_s, end_s, score, label_column = zip(*rows, strict=True) if rows else ((),) * 5
    columns = (np.array(column) for column in (video_index, start_s, end_s, score, label_column))
    return Predictions(tuple(results), tuple(labels), *columns), []


def _read_entry(entry: Any, entry_format: EntryFormat) -> tuple[dict[str, Any], list[str]]:
    """Readable fields of one entry, and what is wrong with the others."""
    if not isinstance(entry, dict):
        return {}, [f"expected an object with 'score' and 'segment', found {short_repr(entry)}"]
    parsers: dict[str, Callable[[Any], Any]] = {"segment": segment_ends, "score": _score}
    if not entry_format.optional or any(key in entry for key in entry_format.parsers):
        parsers |= entry_format.parsers
    fields: dict[str, Any] = {}
    problems: list[str] = []
    for key, parse in parsers.items():
        if key not in entry:
            problems.append(f"key '{key}' is missing; found keys {short_repr(sorted(entry))}")
            continue
        try:
            fields[key] = parse(entry[key])
        except ValueError as error:
            problems.append(str(error))
    return fields, problems


def _score(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"'score' must be a number, found {short_repr(value)}") from None


def _not_finite(fields: Mapping[str, Any]) -> list[str]:
    return [
        f"'{key}' must be finite, found {short_repr(fields[key])}"
        for key in ("segment", "score")
        if key in fields and not np.isfinite(fields[key]).all()
    ]
