"""A data set as training and extraction see it: videos on disk, their subsets, and cleaned labelled
segments.

Evaluation never reads through this module: the official metrics count the rows that cleaning drops.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from importlib import metadata
from pathlib import Path

from runtime.errors import InputError
from runtime.fingerprint import content_state, listing_state
from runtime.garbage import garbage_collection_paused
from video_datasets.annotations import AnnotationTable
from video_datasets.formats import Format, format_of
from video_datasets.formats.activitynet import HACS
from video_datasets.ids import refuse_unsafe_id
from video_datasets.settings import DataConfig
from video_datasets.video.search import files_of_ids, index_video_files, video_files_by_id
from video_datasets.watched import take_stretches

MAX_REASONS = 3
"""Problems of the annotations that a message names."""


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
        watched_s: (start, end) of the stretches that were labelled, see `video_datasets.watched`;
            (): all of it.
    """

    video_id: str
    subset: str
    path: Path | None
    duration_s: float
    segments: tuple[Segment, ...]
    watched_s: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class VideoDataset:
    """Videos by id, the classes, and what was wrong with the annotations.

    Attributes:
        labels: labels of the training segments, sorted; for EPIC-KITCHENS-100 actions "verb,noun".
        problems: "video id, segment start-end s" (or a file's name) -> what was dropped, clipped or
            missing.
        heads: what a network is to tell apart, as names in class order: {"action": `labels`}, or
            {"verb": all 97, "noun": all 300} for EPIC-KITCHENS-100.
        format: of the annotations.
    """

    videos: dict[str, Video]
    labels: tuple[str, ...]
    problems: dict[str, str] = field(default_factory=dict)
    heads: dict[str, tuple[str, ...]] = field(default_factory=dict)
    format: Format = HACS

    def __post_init__(self) -> None:
        if not self.heads:
            object.__setattr__(self, "heads", dict.fromkeys(self.format.heads, self.labels))

    @cached_property
    def _known_indices(self) -> dict[str, dict[str, int]]:
        return {}

    def class_indices(self, label: str) -> dict[str, int]:
        """Return the class index of a label for each head.

        Raises:
            InputError: if no head knows the label.

        >>> VideoDataset({}, ("run", "sit")).class_indices("sit")
        {'action': 1}
        """
        if label not in self._known_indices:  # the same few labels, segment after segment
            self._known_indices[label] = self.format.class_indices(label, self.heads)
        return self._known_indices[label]

    def subset(self, name: str) -> Iterator[Video]:
        """Yield the videos of one subset, in file order."""
        return (video for video in self.videos.values() if video.subset == name)


def annotation_file(config: DataConfig) -> Path:
    """Return the path of the annotation file that evaluation reads."""
    return format_of(config).ground_truth_file(config)


def annotations_state(config: DataConfig) -> str:
    """Describe all annotation files of a data set by name and content, for a stage's
    fingerprint."""
    return ", ".join(map(content_state, format_of(config).annotation_files(config)))


def read_annotations(config: DataConfig) -> AnnotationTable:
    """Read the raw annotations that a run is evaluated on, rows as they stand, in whatever
    format they are."""
    _refuse_unrendered(config)
    return format_of(config).read_ground_truth(config)


def _refuse_unrendered(config: DataConfig) -> None:
    path = annotation_file(config)
    if config.mini and not path.is_file():
        raise InputError(
            f"{path}: not rendered yet; first call `python -m video_datasets` with this configuration, "
            f"or start where '{config.root}' lies"
        )


@garbage_collection_paused()
def load_dataset(config: DataConfig, *, for_training: bool = True) -> VideoDataset:
    """Read and clean the data set of a run.

    Labelled segments outside their video, reversed, or of no length are dropped, those that reach
    over the end are clipped; each is listed in `problems`.

    Args:
        config: where everything is.
        for_training: whether segments to train on are a must.

    Raises:
        FileNotFoundError: if there is no annotation file.
        InputError: if it cannot be read, an id is unsafe as a file name, no segment is left for
            training, or a label of the validation subset is no class: not among those of the
            training subset, or for EPIC-KITCHENS-100 not among the 97 verbs and 300 nouns.
    """
    problems: dict[str, str] = {}
    _refuse_unrendered(config)
    data_format = format_of(config)
    table, stretches = take_stretches(data_format.read_all(config, problems))
    heads = data_format.class_names(config)
    found = video_files_by_id(Path(config.root) / config.videos)
    files = files_of_ids(found, table.video_ids)
    segments = _clean_segments(table, problems, data_format.rounding_s)
    videos = {}
    for index, video_id in enumerate(table.video_ids):
        refuse_unsafe_id(video_id, str(data_format.subset_file(config, table.subsets[index])))
        videos[video_id] = Video(
            video_id=video_id,
            subset=table.subsets[index],
            path=next(iter(files[video_id]), None),
            duration_s=float(table.durations_s[index]),
            segments=tuple(segments[index]),
            watched_s=tuple(map(tuple, stretches[video_id].tolist())) if video_id in stretches else (),
        )
        if len({path.stat().st_size for path in files[video_id]}) > 1:
            names = ", ".join(map(str, files[video_id]))
            problems[video_id] = f"files of one name that differ, the first is used: {names}"
    labels = sorted(
        {s.label for v in videos.values() if v.subset == config.training_subset for s in v.segments}
    )
    if for_training and not labels:
        reasons = "".join(f"; {where}: {problem}" for where, problem in list(problems.items())[:MAX_REASONS])
        raise InputError(
            f"{data_format.subset_file(config, config.training_subset)}: no usable labelled segment in subset"
            f" '{config.training_subset}'; subsets found: {sorted(set(table.subsets))}{reasons}"
        )
    dataset = VideoDataset(videos, tuple(labels), problems, heads, data_format)
    if labels or heads:
        _refuse_unknown_labels(dataset, config)
    return dataset


def _refuse_unknown_labels(dataset: VideoDataset, config: DataConfig) -> None:
    """A class that no training segment shows cannot be told: most likely it is misspelt."""
    for subset in (config.training_subset, config.validation_subset):
        for video in dataset.subset(subset):
            for segment in video.segments:
                try:
                    dataset.class_indices(segment.label)
                except InputError as error:
                    file = dataset.format.subset_file(config, subset)
                    raise InputError(
                        f"{file}: video '{video.video_id}' of subset '{subset}': {error}"
                    ) from None


@garbage_collection_paused()
def dataset_inputs(config: DataConfig) -> dict[str, str]:
    """Describe annotation files, video files and the decoder for a stage's fingerprint."""
    files = index_video_files(Path(config.root) / config.videos)
    return {
        "annotations": annotations_state(config),
        "videos": listing_state(files.values()),
        "decoder": f"PyAV {metadata.version('av')}",
    }


def _clean_segments(
    table: AnnotationTable, problems: dict[str, str], rounding_s: float
) -> list[list[Segment]]:
    segments: list[list[Segment]] = [[] for _ in table.video_ids]
    for row, index in enumerate(table.video_index):
        start_s, end_s = float(table.start_s[row]), float(table.end_s[row])
        duration_s = float(table.durations_s[index])
        problem = segment_problem(start_s, end_s, duration_s, rounding_s)
        if not table.labels[row].strip():
            problem = "has no label, dropped"
        if problem:
            problems[f"{table.video_ids[index]}, segment {start_s:g}-{end_s:g} s"] = problem
        finite = math.isfinite(start_s) and math.isfinite(end_s)
        start_s, end_s = max(start_s, 0.0), min(end_s, duration_s) if duration_s > 0 else end_s
        if finite and start_s < end_s and table.labels[row].strip():
            segments[index].append(Segment(start_s, end_s, table.labels[row]))
    return segments


def segment_problem(
    start_s: float, end_s: float, duration_s: float, rounding_s: float = HACS.rounding_s
) -> str:
    """Say what is wrong with an annotated segment; empty when nothing is.

    Args:
        start_s: as annotated.
        end_s: as annotated.
        duration_s: of the video; NaN or 0 where it is unknown.
        rounding_s: how far behind the video's end an end may lie without a word.

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
    if end_s > duration_s + rounding_s > rounding_s:
        return f"reaches over the end of the video ({duration_s:g} s), clipped"
    return ""
