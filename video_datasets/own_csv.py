"""Annotations of one's own data set: a CSV of one labelled segment a line.

    video,start_s,end_s,label,subset
    kitchen_01,3.2,8.5,pour water,training
    kitchen_01,12.0,13.1,stir,training
    kitchen_02,1.0,4.0,stir,validation
    kitchen_03,,,,validation                a video without any labelled segment

`video` is the file name without its suffix (and without a leading "v_").
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from runtime.errors import InputError
from video_datasets.annotations import AnnotationTable, read_text

COLUMNS = ("video", "start_s", "end_s", "label", "subset")


def read_own_csv(path: str | Path) -> AnnotationTable:
    """Read such a file; rows are kept as they are, durations are unknown (NaN).

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if a column is missing, a number cannot be read, a line is incomplete, or one video stands in
            two subsets; the message names the line.
    """
    path = Path(path)
    reader = csv.DictReader(read_text(path).splitlines())
    missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
    if missing:
        found = ", ".join(reader.fieldnames or ())
        raise InputError(
            f"{path}: expected the columns {', '.join(COLUMNS)}; missing: {', '.join(missing)}; found: {found}"
        )
    subsets: dict[str, str] = {}
    rows: list[tuple[str, float, float, str]] = []
    for line in reader:
        where = f"{path}: line {reader.line_num}"
        video, start, end, label, subset = ((line[name] or "").strip() for name in COLUMNS)
        if not video or not subset:
            raise InputError(f"{where}: 'video' and 'subset' must not be empty")
        if subsets.setdefault(video, subset) != subset:
            raise InputError(
                f"{where}: video '{video}' is in subset '{subset}' here, '{subsets[video]}' before"
            )
        if start or end or label:
            rows.append((video, _seconds(start, "start_s", where), _seconds(end, "end_s", where), label))
            if not label:
                raise InputError(f"{where}: a segment without a label; leave start_s and end_s empty too")
    position = {video: index for index, video in enumerate(subsets)}
    return AnnotationTable(
        video_ids=tuple(subsets),
        subsets=tuple(subsets.values()),
        durations_s=np.full(len(subsets), np.nan),
        video_index=np.array([position[video] for video, *_ in rows], dtype=np.int32),
        start_s=np.array([start for _, start, _, _ in rows], dtype=np.float64),
        end_s=np.array([end for _, _, end, _ in rows], dtype=np.float64),
        labels=tuple(label for *_, label in rows),
    )


def _seconds(text: str, column: str, where: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InputError(f"{where}: '{column}' must be a number of seconds, found '{text}'") from None
