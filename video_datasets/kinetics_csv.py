"""Annotations of Kinetics-400 (600, 700): the official CSV files, or the plain lists that many labs keep instead.

    label,youtube_id,time_start,time_end,split          train.csv, validate.csv (or val.csv), test.csv (there the
    testifying,---QUuC4vJs,84,94,validate               labels may be missing): ---QUuC4vJs_000084_000094.mp4

    abseiling/0347ZoDXyP0_000095_000105.mp4 0           train.txt, val.txt (or .csv, .list): path and label,
    abseiling/035LtPeUFTE_000085_000095.mp4,0           with a space, tab or comma between

Every file is one ten-second piece with one label, at any depth of the video folder; its name without the suffix is
its id. Classes are in order of their names, which for the official ones is their official number. Numbers as labels are
filled with zeros ("007"), so that order of names is order of numbers.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath

from runtime.errors import InputError
from video_datasets.annotations import AnnotationTable, read_text
from video_datasets.whole_videos import SUBSETS, LabelledFile, whole_video_table

COLUMNS = ("youtube_id", "time_start", "time_end")
SUFFIXES = (".csv", ".txt", ".list")
_FILE_AND_LABEL = re.compile(r"(?P<path>.+?\.[A-Za-z]\w{1,3})[\s,]+(?P<label>[^/\\]+)$")
"""Behind the suffix of a file, all is its label, be it of several words."""
_PATH_AND_LABEL = re.compile(r"(?P<path>.+?)[\s,]+(?P<label>[^\s,]+)$")


def read_kinetics(path: str | Path) -> AnnotationTable:
    """Read one such file, or all of a folder: train.*, val.* (validate.*, validation.*), test.*.

    Args:
        path: file, or folder of the files. The column `split`, or else the file's name, says which part it is.

    Returns:
        The table; each video is one segment from 0 s to behind its end.

    Raises:
        FileNotFoundError: if there is no such file or folder, or no such file in the folder.
        InputError: if a line cannot be read, or a video stands in two parts; the message names the line.
    """
    path = Path(path)
    files = [entry for file in _list_files(path) for entry in _read_file(file)]
    return whole_video_table(_numbers_in_order(files))


def _list_files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    files = [file for file in sorted(path.iterdir()) if file.suffix in SUFFIXES and file.stem in SUBSETS]
    if not files:
        raise FileNotFoundError(
            f"{path}: expected train.csv and val.csv (or validate.csv; .txt or .list) in this folder, found none"
        )
    return files


def _read_file(path: Path) -> Iterator[LabelledFile]:
    lines = read_text(path).splitlines()
    official = "youtube_id" in lines[0].split(",")
    return _official_rows(path, lines) if official else _listed_rows(path, lines)


def _official_rows(path: Path, lines: list[str]) -> Iterator[LabelledFile]:
    reader = csv.DictReader(lines)
    columns = COLUMNS if SUBSETS.get(path.stem.lower()) == "testing" else ("label", *COLUMNS)
    missing = [name for name in columns if name not in (reader.fieldnames or ())]
    if missing:
        raise InputError(
            f"{path}: expected the columns {', '.join(columns)}; missing: {', '.join(missing)};"
            f" found: {lines[0]}"
        )
    for row in reader:
        where = f"{path}: line {reader.line_num}"
        label, youtube_id, start, end = ((row.get(name) or "").strip() for name in ("label", *COLUMNS))
        try:
            video_id = f"{youtube_id}_{int(float(start)):06d}_{int(float(end)):06d}"
        except (ValueError, OverflowError):
            raise InputError(
                f"{where}: 'time_start' and 'time_end' must be seconds, found '{start}' and '{end}'"
            ) from None
        subset = _subset((row.get("split") or path.stem).strip(), where)
        yield LabelledFile(video_id.removeprefix("v_"), subset, label, where)


def _listed_rows(path: Path, lines: list[str]) -> Iterator[LabelledFile]:
    subset = _subset(path.stem, str(path))
    for number, line in enumerate(lines, start=1):
        where = f"{path}: line {number}"
        if not line.strip():
            continue
        found = _FILE_AND_LABEL.match(line.strip()) or _PATH_AND_LABEL.match(line.strip())
        if not found:
            raise InputError(f"{where}: expected `path label` or `path,label`, found '{line.strip()[:80]}'")
        stem = PurePosixPath(found["path"].replace("\\", "/")).stem
        yield LabelledFile(stem.removeprefix("v_"), subset, found["label"], where)


def _subset(name: str, where: str) -> str:
    if name.lower() not in SUBSETS:
        raise InputError(f"{where}: the part '{name}' is none of {', '.join(SUBSETS)}")
    return SUBSETS[name.lower()]


def _numbers_in_order(files: list[LabelledFile]) -> list[LabelledFile]:
    """Fill labels with zeros if all of them are numbers."""
    labels = {file.label for file in files if file.label}
    if not all(label.isdecimal() for label in labels):
        return files
    width = max(map(len, labels), default=0)
    return [replace(file, label=file.label.zfill(width) if file.label else "") for file in files]
