"""Annotations of Kinetics-400 (600, 700): the official CSV files, or the plain lists that many labs
keep instead.

    label,youtube_id,time_start,time_end,split          train.csv, validate.csv (or val.csv), test.csv (there the
    testifying,---QUuC4vJs,84,94,validate               labels may be missing): ---QUuC4vJs_000084_000094.mp4

    abseiling/0347ZoDXyP0_000095_000105.mp4 0           train.txt, val.txt (or .csv, .list): path and label,
    abseiling/035LtPeUFTE_000085_000095.mp4,0           with a space, tab or comma between; no header

Every file is one ten-second piece with one label, at any depth of the video folder; its name
without the suffix is its id, which no other file may have. Classes are in order of their names,
which for the official ones is their official number. Numbers as labels are filled with zeros
("007"), so that order of names is order of numbers.
"""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path, PurePosixPath

from runtime.errors import InputError, error_list
from video_datasets.annotations import SUBSETS, AnnotationTable, read_text
from video_datasets.formats.csv_table import Column, read_csv
from video_datasets.formats.format import Format
from video_datasets.formats.whole_videos import LabelledFile, whole_video_table
from video_datasets.video.search import video_id_of

COLUMNS = ("youtube_id", "time_start", "time_end")
SUFFIXES = (".csv", ".txt", ".list")
_FILE_AND_LABEL = re.compile(r"(?P<path>.+?\.[A-Za-z]\w{1,3})[\s,]+(?P<label>[^/\\]+)$")
"""Behind the suffix of a file, all is its label, be it of several words."""
_PATH_AND_LABEL = re.compile(r"(?P<path>.+?)[\s,]+(?P<label>[^\s,]+)$")
_TWO_NUMBERS = re.compile(r"[\s,][\d.]+[\s,]+\d+$")
"""End of a line `path frames label`, as VideoMAE and lists of extracted frames have it."""
_FORM = "expected `path label` or `path,label`"


def read_kinetics(path: str | Path) -> AnnotationTable:
    """Read one such file, or all of a folder: train.*, val.* (validate.*, validation.*), test.*.

    Args:
        path: file, or folder of the files. The column `split`, or else the file's name, says which
            part it is.

    Returns:
        The table; each video is one segment from 0 s to behind its end.

    Raises:
        FileNotFoundError: if there is no such file or folder, or no such file in the folder.
        InputError: if a line cannot be read, a list has a header or more columns than two, or a
            video stands in two parts or has two labels or paths; the message names the line.
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


def _read_file(path: Path) -> list[LabelledFile]:
    lines = read_text(path).splitlines()
    official = "youtube_id" in lines[0].split(",")
    return _official_rows(path) if official else _listed_rows(path, lines)


def _official_rows(path: Path) -> list[LabelledFile]:
    testing = SUBSETS.get(path.stem.lower()) == "testing"
    wanted = [Column((name,)) for name in COLUMNS]
    table = read_csv(path, (Column(("label",), optional=testing), *wanted, Column(("split",), optional=True)))
    files = []
    for line, (label, youtube_id, start, end, split) in table.rows:
        times_s = [
            table.number(line, text, name, "seconds")
            for text, name in ((start, "time_start"), (end, "time_end"))
        ]
        subset = SUBSETS.get((split or path.stem).lower(), "")
        if not subset:
            table.error(line, _unknown_part(split or path.stem))
        if not any(map(math.isnan, times_s)):
            video_id = "_".join([youtube_id, *(f"{int(time_s):06d}" for time_s in times_s)])
            files.append(LabelledFile(video_id.removeprefix("v_"), subset, label, f"{path}: line {line}"))
    table.refuse_errors()
    return files


def _listed_rows(path: Path, lines: list[str]) -> list[LabelledFile]:
    subset = SUBSETS.get(path.stem.lower(), "")
    if not subset:
        raise InputError(f"{path}: {_unknown_part(path.stem)}")
    found, errors = [], []
    for number, line in enumerate(lines, start=1):
        where = f"line {number}"
        try:
            if line.strip():
                found.append((where, _path_and_label(line.strip())))
        except ValueError as error:
            errors.append(f"{where}: {error}")
    if errors:
        raise InputError(error_list(str(path), errors))
    _refuse_header(found, path)
    files = []
    for where, parts in found:
        file = PurePosixPath(parts["path"].replace("\\", "/"))
        files.append(LabelledFile(video_id_of(file), subset, parts["label"], f"{path}: {where}", str(file)))
    return files


def _unknown_part(name: str) -> str:
    return f"the part '{name}' is none of {', '.join(SUBSETS)}"


def _path_and_label(line: str) -> re.Match[str]:
    if _TWO_NUMBERS.search(line):
        raise ValueError(f"{_FORM}, one label and no number of frames, found '{line[:80]}'")
    found = _FILE_AND_LABEL.match(line) or _PATH_AND_LABEL.match(line)
    if not found:
        raise ValueError(f"{_FORM}, found '{line[:80]}'")
    return found


def _refuse_header(found: list[tuple[str, re.Match[str]]], path: Path) -> None:
    """A header is a first line without a video before lines with one, or with a word before
    numbers."""
    (where, first), *rest = found
    before_files = any(parts.re is _FILE_AND_LABEL for _, parts in rest)
    before_numbers = bool(rest) and all(parts["label"].isdecimal() for _, parts in rest)
    is_number = first["label"].isdecimal()
    if first.re is not _FILE_AND_LABEL and (before_files or (before_numbers and not is_number)):
        raise InputError(
            f"{path}: {where}: {_FORM} without a header, found '{first.string[:80]}'; remove this line"
        )


def _numbers_in_order(files: list[LabelledFile]) -> list[LabelledFile]:
    """Fill labels with zeros if all of them are numbers."""
    labels = {file.label for file in files if file.label}
    if not all(label.isdecimal() for label in labels):
        return files
    width = max(map(len, labels), default=0)
    return [replace(file, label=file.label.zfill(width) if file.label else "") for file in files]


KINETICS = Format(
    name="kinetics",
    title="Kinetics CSV files or lists",
    read=read_kinetics,
    localizes=False,
)
