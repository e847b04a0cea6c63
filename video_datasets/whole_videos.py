"""Annotations of data sets whose files are cut to one action each: the labelled segment is the whole file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from runtime.errors import InputError
from video_datasets.annotations import AnnotationTable

WHOLE_VIDEO_S = 3600.0
"""End of a segment that is a whole file, whose length no annotation gives; readers stop where the file ends."""

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


@dataclass(frozen=True)
class LabelledFile:
    """One annotated file; no label: it is kept back by the organisers.

    Attributes:
        where: file and line, for messages.
    """

    video_id: str
    subset: str
    label: str
    where: str


def whole_video_table(files: Iterable[LabelledFile]) -> AnnotationTable:
    """Return the table of files that are one segment each, in the order given.

    Raises:
        InputError: if one file stands in two subsets, which would train on what is to be tested.
    """
    subsets: dict[str, str] = {}
    rows: list[tuple[str, str]] = []
    for file in files:
        earlier = subsets.setdefault(file.video_id, file.subset)
        if earlier != file.subset:
            raise InputError(
                f"{file.where}: video '{file.video_id}' is in subset '{file.subset}' here, '{earlier}' before"
            )
        if file.label:
            rows.append((file.video_id, file.label))
    position = {video_id: index for index, video_id in enumerate(subsets)}
    return AnnotationTable(
        video_ids=tuple(subsets),
        subsets=tuple(subsets.values()),
        durations_s=np.full(len(subsets), np.nan),
        video_index=np.array([position[video_id] for video_id, _ in rows], dtype=np.int32),
        start_s=np.zeros(len(rows)),
        end_s=np.full(len(rows), WHOLE_VIDEO_S),
        labels=tuple(label for _, label in rows),
    )
