"""Annotations of one's own data set: a CSV of one labelled segment a line.

    video,start_s,end_s,label,subset
    kitchen_01,3.2,8.5,pour water,training
    kitchen_01,12.0,13.1,stir,training
    kitchen_02,1.0,4.0,stir,validation
    kitchen_03,,,,validation                a video without any labelled segment

`video` is the file's name without its suffix (and without a leading "v_"), or the file: `kitchen_01.mp4`,
`monday/kitchen_01.mp4`; two files of one name are refused. The columns may also be called `path`, `start` and `end`
(in seconds), in any order. Without the column `subset` all is for training.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from runtime.errors import InputError
from video_datasets.annotations import AnnotationTable, read_text
from video_datasets.formats.format import Format
from video_datasets.video.search import VIDEO_SUFFIXES, video_id_of

COLUMNS = ("video", "start_s", "end_s", "label", "subset")
_OTHER_NAMES = {"video": "path", "start_s": "start", "end_s": "end"}


def read_own_csv(path: str | Path) -> AnnotationTable:
    """Read such a file; rows are kept as they are, durations are unknown (NaN).

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if a column is missing, a number cannot be read, a line is incomplete, one video stands in
            two subsets, or two files have one id; the message names the line.
    """
    path = Path(path)
    reader = csv.DictReader(read_text(path).splitlines())
    columns = _columns(reader.fieldnames or (), path)
    videos: dict[str, tuple[str, str, int]] = {}
    rows: list[tuple[str, float, float, str]] = []
    for line in reader:
        where = f"{path}: line {reader.line_num}"
        cells = {name: (line[column] or "").strip() for name, column in columns.items()}
        for name in ("video", "subset"):
            if cells.get(name) == "":
                raise InputError(f"{where}: '{columns[name]}' must not be empty")
        video_id, file = _id_and_file(cells["video"])
        video = (file, cells.get("subset", "training"), reader.line_num)
        _refuse_contradiction(video_id, video, videos.setdefault(video_id, video), where)
        if cells["start_s"] or cells["end_s"] or cells["label"]:
            start_s, end_s = (_seconds(cells[name], columns[name], where) for name in ("start_s", "end_s"))
            rows.append((video_id, start_s, end_s, cells["label"]))
            if not cells["label"]:
                raise InputError(
                    f"{where}: a segment without a label; leave {columns['start_s']} and {columns['end_s']} empty too"
                )
    position = {video_id: index for index, video_id in enumerate(videos)}
    return AnnotationTable(
        video_ids=tuple(videos),
        subsets=tuple(subset for _, subset, _ in videos.values()),
        durations_s=np.full(len(videos), np.nan),
        video_index=np.array([position[video_id] for video_id, *_ in rows], dtype=np.int32),
        start_s=np.array([start_s for _, start_s, _, _ in rows], dtype=np.float64),
        end_s=np.array([end_s for _, _, end_s, _ in rows], dtype=np.float64),
        labels=tuple(label for *_, label in rows),
    )


def _columns(found: Sequence[str], path: Path) -> dict[str, str]:
    """Our name of each column -> its name in the file; without "subset" where the file has none."""
    columns, missing = {}, []
    for name in COLUMNS:
        other = _OTHER_NAMES.get(name, name)
        if name in found or other in found:
            columns[name] = name if name in found else other
        elif name != "subset":
            missing.append(f"{name} (or {other})" if other != name else name)
    if missing:
        raise InputError(
            f"{path}: expected the columns {', '.join(COLUMNS)}; missing: {', '.join(missing)};"
            f" found: {', '.join(found)}"
        )
    return columns


def _id_and_file(text: str) -> tuple[str, str]:
    """The id of a video as `video_search` makes it of a file; and how the CSV names the video."""
    file = PurePosixPath(text.replace("\\", "/"))
    if file.suffix.lower() in VIDEO_SUFFIXES:
        return video_id_of(file), str(file)
    return text, text


def _refuse_contradiction(
    video_id: str, video: tuple[str, str, int], earlier: tuple[str, str, int], where: str
) -> None:
    (file, subset, _), (earlier_file, earlier_subset, earlier_line) = video, earlier
    if file != earlier_file:
        raise InputError(
            f"{where}: video '{video_id}' is '{file}' here, '{earlier_file}' in line {earlier_line};"
            " names without suffix must differ, rename one file"
        )
    if subset != earlier_subset:
        raise InputError(
            f"{where}: video '{video_id}' is in subset '{subset}' here, '{earlier_subset}' in line {earlier_line}"
        )


def _seconds(text: str, column: str, where: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InputError(f"{where}: '{column}' must be a number of seconds, found '{text}'") from None


OWN_CSV = Format(name="csv", title="your own CSV", read=read_own_csv)
