"""Several files of detections on the same ground truth: figures with intervals, and paired
differences.

The interval of a figure is the figure itself plus the 2.5 and 97.5 % percentiles of how far
resamples lie from the mean of all resamples (`evaluation.metrics.bootstrap`). Plain percentiles
would not do: mAP of a resample is higher than that of the file, systematically and by more than the
width of the interval on real-size data (47.2 -> 48.7 % on a file in the shape of HACS), because
copies of a video add true positives right behind each other. Intervals of differences are made in
the same way from the differences within each resample.

Where an interval would pass what the figure can be, 0 to 100 % (a difference: -100 to 100), it ends
there. Below `FEW_VIDEOS` videos no verdict is given: resamples of so few repeat the same handful,
and the interval is too narrow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from evaluation.files.evaluate import predictions_per_task, select_subset, task_columns
from evaluation.files.protocols import Protocol
from evaluation.files.refusals import refuse_bad_annotations, refuse_bad_predictions
from evaluation.files.watched import only_watched
from evaluation.metrics.bootstrap import WeightedRanking, bootstrap_map, weighted_map, weighted_ranking
from evaluation.metrics.matches import match_columns
from video_datasets.annotations import AnnotationTable
from video_datasets.predictions import Predictions
from video_datasets.watched import take_stretches

LEVEL = 0.95
FEW_VIDEOS = 20


@dataclass(frozen=True, eq=False)
class Estimate:
    """Figures with intervals, as fractions; the last column is the average over tIoU.

    Attributes:
        value: (T + 1,) of the files as they are.
        low: (T + 1,) lower ends of the intervals.
        high: (T + 1,) upper ends.
    """

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray

    @property
    def excludes_zero(self) -> np.ndarray:
        """(T + 1,) bool, whether 0 lies outside the interval."""
        return (self.low > 0) | (self.high < 0)


@dataclass(frozen=True, eq=False)
class TaskComparison:
    """Files compared on one task.

    Attributes:
        files: mAP of each of the F files.
        differences: mAP of the second, third, .. file minus that of the first.
    """

    files: tuple[Estimate, ...]
    differences: tuple[Estimate, ...]


@dataclass(frozen=True, eq=False)
class Comparison:
    """What `compare_predictions` finds.

    Attributes:
        protocol: its name.
        version: the official evaluator that the figures equal.
        tiou_thresholds: (T,).
        num_videos: videos of the ground truth, as many as each resample draws.
        resamples: how many.
        seed: of the draws.
        tasks: per scored task.
    """

    protocol: str
    version: str
    tiou_thresholds: tuple[float, ...]
    num_videos: int
    resamples: int
    seed: int
    tasks: Mapping[str, TaskComparison]


def compare_predictions(
    annotations: AnnotationTable,
    files: Sequence[Predictions],
    protocol: Protocol,
    *,
    subset: str = "validation",
    resamples: int,
    seed: int = 0,
) -> Comparison:
    """Compare files of detections by the paired bootstrap over videos.

    Args:
        annotations: of all subsets.
        files: detections, the first one is what the others are compared with.
        protocol: one of `evaluation.files.protocols.PROTOCOLS`.
        subset: which videos count.
        resamples: how many; 1,000 settle the ends of an interval to about a fortieth of its width.
        seed: of the draws.

    Raises:
        InputError: as `evaluation.files.evaluate.evaluate_tables`.
    """
    files = [only_watched(annotations, file)[1] for file in files]
    truth = select_subset(take_stretches(annotations)[0], subset)
    refuse_bad_annotations(truth)
    for file in files:
        refuse_bad_predictions(truth, file, needs_labels=True)
    thresholds = np.array(protocol.tiou_thresholds)
    num_videos = len(truth.video_ids)
    tasks = {}
    for task in predictions_per_task(files[0], protocol):
        matches = [match_columns(task_columns(truth, file, protocol, task), thresholds) for file in files]
        rankings = [weighted_ranking(match, num_videos) for match in matches]
        tasks[task] = _compare(rankings, num_videos, resamples, seed)
    version = protocol.version("detection")
    return Comparison(protocol.name, version, protocol.tiou_thresholds, num_videos, resamples, seed, tasks)


def _compare(
    rankings: Sequence[WeightedRanking], num_videos: int, resamples: int, seed: int
) -> TaskComparison:
    once = np.ones(num_videos, dtype=np.int64)
    value = _with_average(np.stack([weighted_map(ranking, once) for ranking in rankings]))  # F x (T + 1)
    drawn = _with_average(bootstrap_map(rankings, num_videos, resamples, seed))  # B x F x (T + 1)
    return TaskComparison(
        files=tuple(interval(value[file], drawn[:, file]) for file in range(len(rankings))),
        differences=tuple(
            interval(value[file] - value[0], drawn[:, file] - drawn[:, 0], -1.0)
            for file in range(1, len(rankings))
        ),
    )


def _with_average(figures: np.ndarray) -> np.ndarray:
    return np.concatenate([figures, figures.mean(axis=-1, keepdims=True)], axis=-1)


def interval(value: np.ndarray, drawn: np.ndarray, lowest: float = 0.0) -> Estimate:
    """Interval around a figure from its resamples, as the head of this module says, cut at what is
    possible.

    Args:
        value: (K,) figures, `lowest` to 1.
        drawn: (B, K) the same figures in each resample; rows without annotations (NaN) are left
            out.
    """
    drawn = drawn[~np.isnan(drawn).any(axis=1)]
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(drawn - drawn.mean(axis=0), (tail, 1 - tail), axis=0)
    return Estimate(value, np.clip(value + low, lowest, 1.0), np.clip(value + high, lowest, 1.0))
