"""FERAL's JSON: a class for every frame of every video.

    {"is_multilabel": false, "class_names": {"0": "other", "1": "stir"},
     "labels": {"kitchen_01.mp4": [0, 0, 1, 1, ...]}, "splits": {"train": ["kitchen_01.mp4"], "val":
     [], ...}}

With `is_multilabel` each frame has a list of 0 and 1, one a class, so labels may overlap. Class 0
is no label. Frames are turned into seconds by the video's own frame times, or a stated rate.
Subjects, sources and scores have no place here, and overlapping bouts of one label become one; both
are noted.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from runtime.atomic import atomic_path
from runtime.errors import InputError
from video_datasets.annotations import short_repr
from video_datasets.formats.tools.frame_clock import unknown_rate
from video_datasets.formats.tools.labelling import (
    AnnotatedVideo,
    Bout,
    Labelling,
    LabelReading,
    Notes,
    collect,
)
from video_datasets.formats.tools.tool_files import checked, media_id, member, read_json
from video_datasets.formats.tools.tool_media import Media

OTHER = "other"
_SUBSETS = {"train": "training", "val": "validation", "test": "testing", "inference": "testing"}


def read_feral(path: Path, reading: LabelReading) -> Labelling:
    """Read such a file.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if it is no such file, or no rate is known; the message names the video.
    """
    content = checked(read_json(path), dict, str(path))
    names = {
        number: checked(name, str, f"{path}: class {number}")
        for number, name in member(content, "class_names", dict, str(path)).items()
    }
    subsets = dict(_subsets(path, member(content, "splits", dict, str(path), {})))
    videos = []
    for file, frames in member(content, "labels", dict, str(path)).items():
        where = f"{path}: video '{file}'"
        video_id = media_id(file, where)
        active = _active(checked(frames, list, where), names, where)  # T x K
        clock = reading.clock_of(video_id)
        if clock is None:
            raise unknown_rate(where)
        if clock.n_frames not in (None, len(active)):
            raise InputError(
                f"{where}: expected {clock.n_frames} frames as the video has, found {len(active)}"
            )
        bouts = [
            Bout(clock.time_s(start), clock.time_s(end), names[str(number)])
            for number in range(1, active.shape[1])
            for start, end in _runs(active[:, number])
        ]
        videos.append(AnnotatedVideo(video_id, tuple(bouts), file, subsets.get(file, "training")))
    return collect(path, videos, Notes(), [name for number, name in names.items() if number != "0"])


def _subsets(path: Path, splits: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for split, files in splits.items():
        if split not in _SUBSETS:
            raise InputError(f"{path}: expected splits {', '.join(_SUBSETS)}, found '{split}'")
        for file in checked(files, list, f"{path}: split '{split}'"):
            yield checked(file, str, f"{path}: split '{split}'"), _SUBSETS[split]


def _active(frames: list[Any], names: dict[str, str], where: str) -> np.ndarray:
    """Which classes each frame has: bool, shape (T, K)."""
    expected = f"a class 0 to {len(names) - 1} a frame, or a list of {len(names)} zeros and ones"
    if set(names) != {str(number) for number in range(len(names))} or not names:
        raise InputError(f"{where}: expected class_names '0', '1', ..., found {short_repr(sorted(names))}")
    try:
        values = np.array(frames)
    except (ValueError, OverflowError):
        raise InputError(f"{where}: expected {expected}, found lists of different lengths") from None
    if values.size == 0:
        return np.zeros((0, len(names)), dtype=bool)
    if values.dtype.kind not in "iub":
        raise InputError(f"{where}: expected {expected}, found {short_repr(frames[:3])}")
    if values.ndim == 1 and values.min() >= 0 and values.max() < len(names):
        return values[:, None] == np.arange(len(names))
    if values.ndim == 2 and values.shape[1] == len(names) and values.min() >= 0 and values.max() <= 1:
        return values.astype(bool)
    raise InputError(f"{where}: expected {expected}, found {short_repr(frames[:3])}")


def _runs(active: np.ndarray) -> Iterator[tuple[int, int]]:
    """First frame, and the one behind the last, of each stretch of True."""
    changes = np.flatnonzero(np.diff(np.concatenate(([0], active.astype(np.int8), [0]))))
    yield from zip(changes[::2].tolist(), changes[1::2].tolist(), strict=True)


def write_feral(path: Path, labelling: Labelling, media: Media, notes: Notes) -> None:
    """Write such a file; `is_multilabel` where different labels overlap."""
    names = [OTHER, *(label for label in labelling.labels if label != OTHER)]
    frames = {
        media.name(video): _frames(video, names, media, notes) for video in labelling.videos
    }  # T x K each
    multilabel = any((active[:, 1:].sum(axis=1) > 1).any() for active in frames.values())
    splits: dict[str, list[str]] = {split: [] for split in _SUBSETS}
    split_of = {subset: split for split, subset in reversed(_SUBSETS.items())}
    for video in labelling.videos:
        splits[split_of.get(video.subset, "train")].append(media.name(video))
    content = {
        "is_multilabel": bool(multilabel),
        "class_names": {str(number): name for number, name in enumerate(names)},
        "labels": {
            file: (active.astype(int) if multilabel else active.argmax(axis=1)).tolist()
            for file, active in frames.items()
        },
        "splits": splits,
    }
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


def _frames(video: AnnotatedVideo, names: list[str], media: Media, notes: Notes) -> np.ndarray:
    """Which classes each frame has: bool, shape (T, K); class 0 where none has."""
    where = f"video '{video.video_id}'"
    clock = media.clock(video, notes)
    end_s = max((bout.end_s for bout in video.bouts), default=0.0)
    if clock.n_frames is None and not video.duration_s > 0:
        notes.remark(f"{where}: length not known, frames end with the last label; name --videos to tell")
    length_s = video.duration_s if video.duration_s > 0 else end_s
    n_frames = clock.n_frames or max(math.ceil(length_s * clock.fps), clock.edge(end_s))
    active = np.zeros((n_frames, len(names)), dtype=bool)
    for bout in video.bouts:
        if bout.subject or bout.source or bout.score is not None:
            notes.remark("subjects, sources and scores have no place in this format, left out")
        start, end = clock.edges(bout.start_s, bout.end_s)
        number = names.index(bout.label)
        if number == 0:
            continue
        if active[max(start - 1, 0) : end + 1, number].any():
            notes.remark(f"{where}: '{bout.label}' at {bout.start_s:g} s touches another, they become one")
        active[start:end, number] = True
    active[:, 0] = ~active[:, 1:].any(axis=1)
    return active
