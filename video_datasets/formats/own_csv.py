"""Annotations of one's own data set: a CSV of one labelled segment a line.

    video,start_s,end_s,label,subset
    kitchen_01,3.2,8.5,pour water,training
    kitchen_01,12.0,13.1,stir,training
    kitchen_02,1.0,4.0,stir,validation
    kitchen_03,,,,validation                a video without any labelled segment

`video` is the file's name without its suffix (and without a leading "v_"), or the file:
`kitchen_01.mp4`, `monday/kitchen_01.mp4`; two files of one name are refused. The columns may also
be called `path`, `start` and `end`, in any order. Times are seconds, mm:ss or hh:mm:ss; or frames,
in columns `start_frame`, `end_frame` and `fps`: frame n begins at n / fps seconds, and a segment
ends where its end frame begins. Without the column `subset` all is for training. What else is read
as it is meant, and what is refused, says `video_datasets.formats.csv_table`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from video_datasets.annotations import AnnotationTable
from video_datasets.formats.csv_table import Column, CsvTable, read_csv
from video_datasets.formats.format import Format
from video_datasets.video.search import VIDEO_SUFFIXES, video_id_of

COLUMNS = ("video", "start_s", "end_s", "label", "subset")
START_FRAME, END_FRAME = "start_frame", "end_frame"
_WANTED = (
    Column(("video", "path")),
    Column(("start_s", "start", START_FRAME)),
    Column(("end_s", "end", END_FRAME)),
    Column(("label",)),
    Column(("subset",), optional=True),
    Column(("fps",), optional=True),
)
_DEFAULT_SUBSET = "training"


@dataclass(frozen=True)
class _Mention:
    """A video as one line names it; `file` is empty where the line names the id alone."""

    line: int
    file: str
    subset: str


def read_own_csv(path: str | Path) -> AnnotationTable:
    """Read such a file; rows are kept as they are, durations are unknown (NaN).

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if a column is missing, a number cannot be read, a line is incomplete, one video
            stands in two subsets, or two files have one id; the message lists all of them by line.
    """
    table = read_csv(Path(path), _WANTED)
    videos: dict[str, _Mention] = {}
    rows: list[tuple[str, float, float, str]] = []
    for line, (video, start, end, label, subset, fps) in table.rows:
        if not video or not (subset or not table.names[4]):
            table.error(line, f"'{table.names[0 if not video else 4]}' must not be empty")
            continue
        video_id, file = id_and_file(video)
        _add_mention(table, videos, video_id, _Mention(line, file, subset or _DEFAULT_SUBSET))
        if not (start or end or label):
            continue
        if not label:
            names = " and ".join(table.names[1:3])
            table.error(line, f"a segment without a label; leave {names} empty too")
        start_s, end_s = (
            _time_s(table, line, text, name, fps)
            for text, name in zip((start, end), table.names[1:3], strict=True)
        )
        rows.append((video_id, start_s, end_s, label))
    table.refuse_errors()
    return _columns(videos, rows)


def _time_s(table: CsvTable, line: int, text: str, name: str, fps: str) -> float:
    """Seconds of a cell, which holds a time, or a frame where its column says so; an error is
    kept if it is neither."""
    if name.lower() not in (START_FRAME, END_FRAME):
        return table.seconds(line, text, name)
    rate = table.number(line, fps, "fps", "the frames per second that the frames count")
    if rate <= 0:
        table.error(line, f"'fps' must be above 0, found '{fps}'")
        return float("nan")
    return table.number(line, text, name, "a frame") / rate


def _columns(videos: dict[str, _Mention], rows: Sequence[tuple[str, float, float, str]]) -> AnnotationTable:
    position = {video_id: index for index, video_id in enumerate(videos)}
    return AnnotationTable(
        video_ids=tuple(videos),
        subsets=tuple(mention.subset for mention in videos.values()),
        durations_s=np.full(len(videos), np.nan),
        video_index=np.array([position[video_id] for video_id, *_ in rows], dtype=np.int32),
        start_s=np.array([start_s for _, start_s, _, _ in rows], dtype=np.float64),
        end_s=np.array([end_s for _, _, end_s, _ in rows], dtype=np.float64),
        labels=tuple(label for *_, label in rows),
    )


def id_and_file(text: str) -> tuple[str, str]:
    """The id of a video as `video.search` makes it of a file; and the file, empty where the CSV
    names the id."""
    file = PurePosixPath(text.replace("\\", "/"))
    if file.suffix.lower() in VIDEO_SUFFIXES:
        return video_id_of(file), str(file)
    return text, ""


def _add_mention(table: CsvTable, videos: dict[str, _Mention], video_id: str, mention: _Mention) -> None:
    """Take a line's word on a video; an error is kept if it contradicts an earlier line's."""
    earlier = videos.setdefault(video_id, mention)
    if mention.file and earlier.file and mention.file != earlier.file:
        table.error(
            mention.line,
            f"video '{video_id}' is '{mention.file}' here, '{earlier.file}' in line {earlier.line};"
            " names without suffix must differ, rename one file",
        )
    if mention.subset != earlier.subset:
        table.error(
            mention.line,
            f"video '{video_id}' is in subset '{mention.subset}' here, '{earlier.subset}' in line {earlier.line}",
        )
    if mention.file and not earlier.file:
        videos[video_id] = mention


OWN_CSV = Format(name="csv", title="your own CSV", read=read_own_csv)
