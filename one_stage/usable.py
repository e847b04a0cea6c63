"""Videos and classes of a data set that a one-stage head learns from."""

from __future__ import annotations

import numpy as np

from feature_extraction import FeatureStore
from feature_extraction.checks import features_problem
from one_stage.samples import LabelledVideo
from one_stage.settings import OneStageConfig
from runtime.errors import InputError
from runtime.stage import StageRun
from video_datasets.dataset import Segment, Video, VideoDataset, segment_problem
from video_datasets.time_grid import TimeGrid

Names = dict[str, tuple[str, ...]]
"""Name of each tower -> its classes; empty for segments of any action."""


def class_names(dataset: VideoDataset, config: OneStageConfig) -> Names:
    """Return the classes that the head tells: those of the data set, of one of its towers, or none.

    Raises:
        InputError: if the data set has no tower of the configured name.
    """
    if config.classes == "none":
        return {}
    if config.classes == "own":
        return dataset.heads
    if config.classes not in dataset.heads:
        raise InputError(
            f"one_stage.classes={config.classes}, but the data set tells {' and '.join(dataset.heads)}; use own"
        )
    return {config.classes: dataset.heads[config.classes]}


def class_towers(names: Names) -> tuple[int, ...]:
    """Return the classes of each tower; one tower of one class where there are none.

    >>> class_towers({"action": ("run", "sit")}), class_towers({})
    ((2,), (1,))
    """
    return tuple(map(len, names.values())) or (1,)


def usable_videos(
    dataset: VideoDataset, subset: str, store: FeatureStore, grid: TimeGrid, run: StageRun
) -> list[LabelledVideo]:
    """Keep labelled videos that have features; list the others."""
    towers = class_names(dataset, run.config.one_stage)
    usable = []
    for video in dataset.subset(subset):
        problem = features_problem(store, video.video_id, grid)
        if problem:
            run.skip(video.video_id, problem)
            continue
        segments = _segments_inside(video, store.duration_s(video.video_id), run)
        if segments:
            bounds = np.array([(segment.start_s, segment.end_s) for segment in segments])
            classes = [
                [dataset.class_indices(segment.label)[tower] for tower in towers] or [0]
                for segment in segments
            ]
            watched_s = np.reshape(video.watched_s, (-1, 2))
            usable.append(LabelledVideo(video.video_id, bounds, np.array(classes, dtype=np.int64), watched_s))
    return usable


def _segments_inside(video: Video, duration_s: float, run: StageRun) -> list[Segment]:
    """Drop and list segments after the video's real end, which annotations without durations
    cannot show."""
    inside = []
    for segment in video.segments:
        if segment.start_s < duration_s:
            inside.append(segment)
        else:
            where = f"{video.video_id}, segment {segment.start_s:g}-{segment.end_s:g} s"
            run.skip(where, segment_problem(segment.start_s, segment.end_s, duration_s))
    return inside
