"""Annotations of data sets whose files are cut to one action each: the labelled segment is the
whole file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from runtime.errors import InputError
from video_datasets.annotations import AnnotationTable

WHOLE_VIDEO_S = 3600.0
"""End of a segment that is a whole file, whose length no annotation gives; readers stop where
the file ends."""


@dataclass(frozen=True)
class LabelledFile:
    """One annotated file; no label: it is kept back by the organisers.

    Attributes:
        where: file and line, for messages.
        path: as annotated; empty where the annotations name the id alone.
    """

    video_id: str
    subset: str
    label: str
    where: str
    path: str = ""


def whole_video_table(files: Iterable[LabelledFile]) -> AnnotationTable:
    """Return the table of files that are one segment each, in the order given; what comes twice
    counts once.

    Raises:
        InputError: if one file stands in two subsets, which would train on what is to be tested, or
            one id has two labels or paths; the message names both entries.
    """
    videos: dict[str, LabelledFile] = {}
    for file in files:
        _refuse_contradiction(file, videos.setdefault(file.video_id, file))
    labelled = [(index, file.label) for index, file in enumerate(videos.values()) if file.label]
    return AnnotationTable(
        video_ids=tuple(videos),
        subsets=tuple(file.subset for file in videos.values()),
        durations_s=np.full(len(videos), np.nan),
        video_index=np.array([index for index, _ in labelled], dtype=np.int32),
        start_s=np.zeros(len(labelled)),
        end_s=np.full(len(labelled), WHOLE_VIDEO_S),
        labels=tuple(label for _, label in labelled),
    )


def _refuse_contradiction(file: LabelledFile, earlier: LabelledFile) -> None:
    if file.subset != earlier.subset:
        raise InputError(
            f"{file.where}: video '{file.video_id}' is in subset '{file.subset}' here, '{earlier.subset}' before"
            f" ({earlier.where})"
        )
    if (file.label, file.path) != (earlier.label, earlier.path):
        raise InputError(
            f"{file.where}: video '{file.video_id}' {_described(file)}, but {earlier.where}: {_described(earlier)};"
            " keep one of the two, or rename a file: names without suffix must differ"
        )


def _described(file: LabelledFile) -> str:
    return f"is '{file.path}' with label '{file.label}'" if file.path else f"has label '{file.label}'"
