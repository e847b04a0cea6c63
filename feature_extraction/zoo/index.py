"""index.csv and SHA256SUMS of a packed store: what should be there, so that anything else is
noticed."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterable, Mapping
from pathlib import Path

import h5py
import numpy as np

from feature_extraction.store import TIMES_GROUP
from runtime.atomic import write_text
from runtime.errors import InputError
from runtime.fingerprint import file_sha256
from runtime.text import spreadsheet_text, text_of_spreadsheet
from video_datasets.annotations import read_text

INDEX_NAME = "index.csv"
SUMS_NAME = "SHA256SUMS"
COLUMNS = ("video_id", "features", "channels", "duration_s", "source", "sha256")
_NAMES = ("video_id", "source")
"""Columns whose text others have chosen: no spreadsheet may take it for a formula."""

IndexRow = dict[str, str]


def index_row(file: h5py.File, video_id: str) -> IndexRow:
    """Describe one video of an open store file.

    `sha256` is that of the features' bytes as stored, row by row, little-endian, followed by those
    of the times.
    """
    dataset = file[video_id]
    digest = hashlib.sha256()
    for values in (dataset[()], file[f"{TIMES_GROUP}/{video_id}"][()]):
        digest.update(np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<")).data)
    duration_s = dataset.attrs.get("duration_s")
    return {
        "video_id": video_id,
        "features": str(dataset.shape[0]),
        "channels": str(dataset.shape[1]),
        "duration_s": "" if duration_s is None else repr(float(duration_s)),
        "source": str(dataset.attrs.get("source", "")),
        "sha256": digest.hexdigest(),
    }


def write_index(path: Path, rows: Iterable[IndexRow]) -> None:
    """Write index.csv."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows({**row, **{name: spreadsheet_text(row[name]) for name in _NAMES}} for row in rows)
    write_text(path, text.getvalue())


def read_index(path: Path) -> dict[str, IndexRow]:
    """Read index.csv by video id.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if its columns are others, or a video stands in it twice.
    """
    reader = csv.DictReader(read_text(path).splitlines())
    if tuple(reader.fieldnames or ()) != COLUMNS:
        raise InputError(
            f"{path}: expected the columns {', '.join(COLUMNS)}; found {', '.join(reader.fieldnames or ())}"
        )
    rows: dict[str, IndexRow] = {}
    for row in reader:
        row.update({name: text_of_spreadsheet(row[name]) for name in _NAMES})
        if row["video_id"] in rows:
            raise InputError(f"{path}: line {reader.line_num}: video '{row['video_id']}' is there twice")
        rows[row["video_id"]] = row
    return rows


def write_sums(folder: Path, names: Iterable[str]) -> None:
    """Write SHA256SUMS for files of a folder, in the form of `sha256sum -c`."""
    write_text(
        folder / SUMS_NAME, "".join(f"{file_sha256(folder / name)}  {name}\n" for name in sorted(names))
    )


def read_sums(folder: Path) -> Mapping[str, str]:
    """Read SHA256SUMS: file name -> sum.

    Raises:
        FileNotFoundError: if there is none.
        InputError: if a line is not "<64 hexadecimal digits>  <name of a file in this folder>".
    """
    path = folder / SUMS_NAME
    sums = {}
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        digest, _, name = line.partition("  ")
        if len(digest) != 64 or not name or Path(name).name != name:
            raise InputError(
                f"{path}: line {number}: expected '<sha256>  <file in this folder>', found {line!r}"
            )
        sums[name] = digest.lower()
    return sums
