"""A data set as training and extraction see it: videos on disk, their subsets, and cleaned labelled segments.

Evaluation never reads through this module: the official metrics count the rows that cleaning drops.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

from runtime.errors import InputError
from runtime.fingerprint import file_state, listing_state
from runtime.schema import DataConfig
from video_datasets.annotations import AnnotationTable, read_activitynet_json
from video_datasets.ids import refuse_unsafe_id
from video_datasets.own_csv import read_own_csv

_READERS = {"hacs": read_activitynet_json, "csv": read_own_csv}
ROUNDING_S = 0.1
"""Annotated times are rounded: an end so little behind the video's is clipped without a word."""
VIDEO_SUFFIXES = (".mp4", ".mkv", ".webm", ".avi", ".mov", ".m4v", ".ts")


@dataclass(frozen=True)
class Segment:
    """A labelled stretch of a video, in seconds, start_s < end_s."""

    start_s: float
    end_s: float
    label: str


@dataclass(frozen=True)
class Video:
    """A video of a data set.

    Attributes:
        path: file, or None where the video is annotated but not on disk.
        duration_s: as annotated; NaN where the annotations give none.
        segments: cleaned, in file order.
    """

    video_id: str
    subset: str
    path: Path | None
    duration_s: float
    segments: tuple[Segment, ...]


@dataclass(frozen=True)
class VideoDataset:
    """Videos by id, the class list, and what was wrong with the annotations.

    Attributes:
        labels: class names, sorted; a label's position is its class index.
        problems: "video id, segment start-end s" -> what was dropped or clipped.
    """

    videos: dict[str, Video]
    labels: tuple[str, ...]
    problems: dict[str, str] = field(default_factory=dict)

    def subset(self, name: str) -> Iterator[Video]:
        """Yield the videos of one subset, in file order."""
        return (video for video in self.videos.values() if video.subset == name)


def annotation_file(config: DataConfig) -> Path:
    """Return the path of the annotation file."""
    return Path(config.root) / config.annotations


def read_annotations(config: DataConfig) -> AnnotationTable:
    """Read the raw annotations of a run's data set, in whatever format they are."""
    path = annotation_file(config)
    if config.mini and not path.is_file():
        raise InputError(
            f"{path}: not rendered yet; first call `python -m video_datasets` with the same words"
        )
    return _READERS[config.format](path)


def load_dataset(config: DataConfig) -> VideoDataset:
    """Read and clean the data set of a run.

    Labelled segments outside their video, reversed, or of no length are dropped, those that reach over the
    end are clipped; each is listed in `problems`.

    Raises:
        FileNotFoundError: if there is no annotation file.
        InputError: if it cannot be read, an id is unsafe as a file name, no segment is left for training, or
            a label of the validation subset is not among those of the training subset.
    """
    path = annotation_file(config)
    table = read_annotations(config)
    files = index_video_files(Path(config.root) / config.videos)
    problems: dict[str, str] = {}
    segments = _clean_segments(table, problems)
    videos = {}
    for index, video_id in enumerate(table.video_ids):
        refuse_unsafe_id(video_id, str(path))
        videos[video_id] = Video(
            video_id=video_id,
            subset=table.subsets[index],
            path=files.get(video_id),
            duration_s=float(table.durations_s[index]),
            segments=tuple(segments[index]),
        )
    labels = sorted(
        {s.label for v in videos.values() if v.subset == config.training_subset for s in v.segments}
    )
    if not labels:
        raise InputError(
            f"{path}: no usable labelled segment in subset '{config.training_subset}';"
            f" subsets found: {sorted(set(table.subsets))}"
        )
    dataset = VideoDataset(videos, tuple(labels), problems)
    _refuse_unknown_labels(dataset, config.validation_subset, str(path))
    return dataset


def _refuse_unknown_labels(dataset: VideoDataset, subset: str, origin: str) -> None:
    """A class that no training segment shows cannot be told: most likely it is misspelt."""
    for video in dataset.subset(subset):
        for segment in video.segments:
            if segment.label not in dataset.labels:
                close = difflib.get_close_matches(segment.label, dataset.labels, n=2)
                raise InputError(
                    f"{origin}: video '{video.video_id}' of subset '{subset}' has label '{segment.label}', which no "
                    f"training segment has; closest known: {', '.join(close or dataset.labels[:2])}"
                )


def dataset_inputs(config: DataConfig) -> dict[str, str]:
    """Describe annotation file, video files and the decoder for a stage's fingerprint."""
    files = index_video_files(Path(config.root) / config.videos)
    return {
        "annotations": file_state(annotation_file(config)),
        "videos": listing_state(files.values()),
        "decoder": f"PyAV {metadata.version('av')}",
    }


def index_video_files(folder: Path) -> dict[str, Path]:
    """Map video ids to files: every video file below `folder`, its name without suffix and leading "v_".

    HACS's downloader writes `<class>/v_<id>.mp4`; the annotations name the id alone.
    """
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in VIDEO_SUFFIXES and path.is_file():
            found.setdefault(path.stem.removeprefix("v_"), path)
    return found


def _clean_segments(table: AnnotationTable, problems: dict[str, str]) -> list[list[Segment]]:
    segments: list[list[Segment]] = [[] for _ in table.video_ids]
    for row, index in enumerate(table.video_index):
        start_s, end_s = float(table.start_s[row]), float(table.end_s[row])
        duration_s = float(table.durations_s[index])
        problem = segment_problem(start_s, end_s, duration_s)
        if not table.labels[row].strip():
            problem = "has no label, dropped"
        if problem:
            problems[f"{table.video_ids[index]}, segment {start_s:g}-{end_s:g} s"] = problem
        finite = math.isfinite(start_s) and math.isfinite(end_s)
        start_s, end_s = max(start_s, 0.0), min(end_s, duration_s) if duration_s > 0 else end_s
        if finite and start_s < end_s and table.labels[row].strip():
            segments[index].append(Segment(start_s, end_s, table.labels[row]))
    return segments


def segment_problem(start_s: float, end_s: float, duration_s: float) -> str:
    """Say what is wrong with an annotated segment; empty when nothing is.

    >>> segment_problem(5.0, 12.0, 10.0)
    'reaches over the end of the video (10 s), clipped'
    """
    if not (math.isfinite(start_s) and math.isfinite(end_s)):
        return "not finite, dropped"
    if end_s < start_s:
        return "ends before it starts, dropped"
    if end_s == start_s:
        return "has no length, dropped"
    if end_s <= 0 or start_s >= duration_s > 0:
        return f"lies outside the video (0-{duration_s:g} s), dropped"
    if start_s < 0:
        return "starts before the video, clipped"
    if end_s > duration_s + ROUNDING_S > ROUNDING_S:
        return f"reaches over the end of the video ({duration_s:g} s), clipped"
    return ""
