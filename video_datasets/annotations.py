"""Annotations as one record of columns, and the reading of text and JSON files that all formats
share.

Readers keep rows exactly as they stand in the file, because the official metrics count every row:
duplicates, zero-length and inverted segments included. Training cleans what it reads; evaluation
never does.
"""

from __future__ import annotations

import codecs
import gzip
import json
import reprlib
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from runtime.errors import InputError, error_list

GZIP_MAGIC = b"\x1f\x8b"
ZIP_MAGIC = b"PK\x03\x04"

SUBSETS = {
    "train": "training",
    "training": "training",
    "val": "validation",
    "validate": "validation",
    "validation": "validation",
    "test": "testing",
    "testing": "testing",
}
"""How data sets name their parts -> how we do."""

# Values in messages: cut in length and depth, since a broken file may hold anything.
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 80
_SHORT.maxlist = 12
_SHORT.maxlevel = 3


@dataclass(frozen=True, eq=False)
class AnnotationTable:
    """The annotations of one file, as columns.

    Attributes:
        video_ids: every video of the file, in file order, also those without annotations (V of
            them).
        subsets: per video "training", "validation", "testing"; "" where the format has no subsets
            (EK100).
        durations_s: (V,) float64, NaN where the file gives none.
        video_index: (N,) int32, row -> position in `video_ids`. Rows stand in file order.
        start_s: (N,) float64.
        end_s: (N,) float64.
        labels: N labels; for EK100 "verb,noun", e.g. "3,12".
    """

    video_ids: tuple[str, ...]
    subsets: tuple[str, ...]
    durations_s: np.ndarray
    video_index: np.ndarray
    start_s: np.ndarray
    end_s: np.ndarray
    labels: tuple[str, ...]


def join_tables(tables: Sequence[AnnotationTable]) -> AnnotationTable:
    """Put tables of different videos one after another."""
    offsets = np.cumsum([0, *(len(table.video_ids) for table in tables)])
    indices = [table.video_index + offset for table, offset in zip(tables, offsets, strict=False)]
    return AnnotationTable(
        video_ids=tuple(video_id for table in tables for video_id in table.video_ids),
        subsets=tuple(subset for table in tables for subset in table.subsets),
        durations_s=np.concatenate([table.durations_s for table in tables]),
        video_index=np.concatenate(indices).astype(np.int32),
        start_s=np.concatenate([table.start_s for table in tables]),
        end_s=np.concatenate([table.end_s for table in tables]),
        labels=tuple(label for table in tables for label in table.labels),
    )


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


def read_text(path: Path) -> str:
    """Read a text file, plain, gzip or alone in a zip (told by its first bytes), in UTF-8 or marked
    UTF-16.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if it is empty, cut off, HTML, or not such text; the message names the lines.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    content = path.read_bytes()
    try:
        if content.startswith(GZIP_MAGIC):
            content = gzip.decompress(content)
        elif content.startswith(ZIP_MAGIC):
            content = _only_member(path)
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile) as error:
        kind = "gzip" if content.startswith(GZIP_MAGIC) else "zip"
        raise InputError(f"{path}: damaged {kind} file ({error}); download or copy it again") from None
    text = _decoded(content, path)
    if not text.strip():
        raise InputError(f"{path}: the file is empty")
    if text.lstrip().startswith("<"):
        raise InputError(f"{path}: this is an HTML or XML page, not data; the download has failed, repeat it")
    return text


def _only_member(path: Path) -> bytes:
    """The one file in a zip, such as a packed submission."""
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        if len(names) != 1:
            raise InputError(
                f"{path}: expected a zip of one file, found {len(names)}; unpack it and name the file"
            )
        return archive.read(names[0])


def _decoded(content: bytes, path: Path) -> str:
    try:
        marked = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        return content.decode("utf-16" if marked else "utf-8-sig")
    except UnicodeDecodeError as error:
        if marked or b"\0" in content:  # another format, not a code page
            raise InputError(f"{path}: expected UTF-8 text, found other bytes ({error})") from None
    errors = [
        f"line {number}: expected UTF-8 text, found other bytes"
        f" (read as Windows-1252: {short_repr(line.decode('cp1252', 'replace').strip())})"
        for number, line in enumerate(content.split(b"\n"), start=1)
        if not _is_utf8(line)
    ]
    raise InputError(error_list(str(path), errors) + "; save the file as UTF-8")


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


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

    NaN and Infinity literals are let through, so that the caller can name the entry that holds
    them.

    Args:
        path: the file.
        refuse_duplicates: stop at an object with the same key twice, of which JSON readers keep the
            last one without a word (slower).

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if it is not JSON, is cut off, holds something else than an object, or a key
            twice.
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
