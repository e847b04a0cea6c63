"""Annotations of mmaction2 for localization (`anet_anno_train.json` and its like): one JSON a
subset.

    {"v_abc": {"duration_second": 82.1, "duration_frame": 1970, "feature_frame": 1968, "fps": 24.0,
               "annotations": [{"segment": [6.2, 13.9], "label": "Archery"}]}}

The subset follows from the file's name; ids lose their "v_". Read alone: the ActivityNet format
holds the same.
"""

from __future__ import annotations

import math
from pathlib import Path

from runtime.errors import InputError
from video_datasets.annotations import SUBSETS, segment_ends
from video_datasets.formats.tools.labelling import (
    DEFAULT_SUBSET,
    AnnotatedVideo,
    Bout,
    Labelling,
    LabelReading,
    Notes,
    collect,
)
from video_datasets.formats.tools.tool_files import checked, media_id, member, read_json


def read_mmaction(path: Path, reading: LabelReading) -> Labelling:
    """Read such a file.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if it is no such file; the message names the video.
    """
    words = path.name.lower().replace(".", "_").split("_")
    subset = next((SUBSETS[word] for word in words if word in SUBSETS), DEFAULT_SUBSET)
    videos = []
    for name, content in checked(read_json(path), dict, str(path)).items():
        where = f"{path}: video '{name}'"
        entry = checked(content, dict, where)
        bouts = [
            _bout(annotation, f"{where}, annotation {number}")
            for number, annotation in enumerate(member(entry, "annotations", list, where))
        ]
        duration_s = member(entry, "duration_second", float, where, math.nan)
        fps = member(entry, "fps", float, where, math.nan)
        video_id = media_id(f"{name}.mp4", where)
        videos.append(AnnotatedVideo(video_id, tuple(bouts), name, subset, duration_s, fps))
    return collect(path, videos, Notes())


def _bout(content: object, where: str) -> Bout:
    annotation = checked(content, dict, where)
    try:
        start_s, end_s = segment_ends(annotation.get("segment"))
    except ValueError as error:
        raise InputError(f"{where}: {error}") from None
    return Bout(start_s, end_s, member(annotation, "label", str, where))
