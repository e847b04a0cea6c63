"""index.csv of a packed store: a line a video, which says what should be there and in which file.

video_id,features,channels,duration_s,source,sha256            a pack in one file, features.hdf5
video_id,features,channels,duration_s,source,sha256,shard      a pack in shards, features-0000.hdf5, ...
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterable, Iterator
from pathlib import Path

import h5py
import numpy as np

from feature_extraction.integrity import TIMES_GROUP
from runtime.atomic import write_text
from runtime.errors import InputError
from runtime.hdf5_texts import attributes
from runtime.text import spreadsheet_text, text_of_spreadsheet
from video_datasets.annotations import read_text

INDEX_NAME = "index.csv"
PACKED_NAME = "features.hdf5"
"""Of the only file of a pack without shards; so named, ActionFormer's anet.py opens it as it is."""
COLUMNS = ("video_id", "features", "channels", "duration_s", "source", "sha256")
SHARD = "shard"
"""Column behind these: the file that holds the video."""
_NAMES = ("video_id", "source")
"""Columns whose text others have chosen: no spreadsheet may take it for a formula."""

IndexRow = dict[str, str]


def index_row(file: h5py.File, video_id: str, shard: str) -> IndexRow:
    """Describe one video of an open store file.

    `sha256` is that of the features' bytes as stored, row by row, little-endian, followed by those
    of the times.
    """
    dataset = file[video_id]
    digest = hashlib.sha256()
    for values in (dataset[()], file[f"{TIMES_GROUP}/{video_id}"][()]):
        digest.update(np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<")).data)
    found = attributes(dataset)
    duration_s = found.get("duration_s")
    return {
        "video_id": video_id,
        "features": str(dataset.shape[0]),
        "channels": str(dataset.shape[1]),
        "duration_s": "" if duration_s is None else repr(float(duration_s)),
        "source": str(found.get("source", "")),
        "sha256": digest.hexdigest(),
        SHARD: shard,
    }


def write_index(path: Path, rows: Iterable[IndexRow]) -> None:
    """Write index.csv; without the column of shards where there are none."""
    rows = list(rows)
    in_shards = any(row[SHARD] != PACKED_NAME for row in rows)
    text = io.StringIO()
    columns = (*COLUMNS, SHARD) if in_shards else COLUMNS
    writer = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows({**row, **{name: spreadsheet_text(row[name]) for name in _NAMES}} for row in rows)
    write_text(path, text.getvalue())


def read_index(path: Path) -> dict[str, IndexRow]:
    """Read index.csv by video id.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if its columns are others, a video stands in it twice, or a shard is no file of
            its folder.
    """
    return {row["video_id"]: row for row in _rows(path)}


def read_shards(path: Path) -> dict[str, str]:
    """Read which file of the folder holds each video; the errors are those of `read_index`."""
    return {row["video_id"]: row[SHARD] for row in _rows(path)}


def _rows(path: Path) -> Iterator[IndexRow]:
    reader = csv.DictReader(read_text(path).splitlines())
    if tuple(reader.fieldnames or ()) not in (COLUMNS, (*COLUMNS, SHARD)):
        raise InputError(
            f"{path}: expected the columns {', '.join(COLUMNS)}; found {', '.join(reader.fieldnames or ())}"
        )
    seen: set[str] = set()
    for row in reader:
        row.update({name: text_of_spreadsheet(row[name]) for name in _NAMES})
        if row["video_id"] in seen:
            raise InputError(f"{path}: line {reader.line_num}: video '{row['video_id']}' is there twice")
        seen.add(row["video_id"])
        shard = row.setdefault(SHARD, PACKED_NAME)
        if not shard or Path(shard).name != shard:
            raise InputError(
                f"{path}: line {reader.line_num}: expected a shard's name, the one of a file beside it; "
                f"found {shard!r}"
            )
        yield row
