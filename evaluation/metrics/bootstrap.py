"""Confidence intervals of mAP over videos: the paired bootstrap.

A resample draws as many videos as there are, with replacement; intervals are percentiles over
resamples. All files see the same resamples, so the interval of a difference is free of what easy
and hard videos do to both.

Nothing is matched again. Matching happens within a video and a class, so a video that is drawn m
times contributes m copies of its annotations, its true positives and its false positives, each at
the same score. Sorting the copies of a prediction next to each other, AP of a class is

    sum over true positives i of  w_i / W * max over j >= i of  (sum_{k<=j} w_k [k true]) /
    (sum_{k<=j} w_k)

with w the multiplicity of the video of each prediction, in the order of the full ranking, and W the
weighted number of annotations. That is exactly the mAP of the enlarged files
(`tests/evaluation/test_bootstrap.py` enlarges them). As there, the mean is over the classes that
have annotations in the resample. Predictions in unknown videos stay in every resample once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from evaluation.metrics.columns import Segments
from evaluation.metrics.matches import Matches
from evaluation.metrics.matching import UNMATCHED


@dataclass(frozen=True, eq=False)
class WeightedRanking:
    """What of a ranking a resample needs; only true positives can end a step of the sum above.

    Attributes:
        video: (P,) video of each prediction, V for unknown ones; sorted by class and rank.
        row: per threshold, (H,) positions of the true positives in the ranking.
        label: per threshold, (H,) their classes.
        first_row: (C,) where each class starts in the ranking.
        annotation_video: (N,).
        annotation_label: (N,).
    """

    video: np.ndarray
    row: tuple[np.ndarray, ...]
    label: tuple[np.ndarray, ...]
    first_row: np.ndarray
    annotation_video: np.ndarray
    annotation_label: np.ndarray


def weighted_ranking(matches: Matches, num_videos: int) -> WeightedRanking:
    """Reduce a matching to what resampling needs."""
    predictions, annotations = matches.predictions, matches.annotations
    rows = tuple(np.flatnonzero(matched != UNMATCHED) for matched in matches.matched)
    return WeightedRanking(
        video=_known_or_last(predictions, num_videos),
        row=rows,
        label=tuple(predictions.label[row] for row in rows),
        first_row=np.searchsorted(predictions.label, np.arange(len(matches.labels))),
        annotation_video=annotations.video,
        annotation_label=annotations.label,
    )


def _known_or_last(predictions: Segments, num_videos: int) -> np.ndarray:
    return np.where(predictions.video >= 0, predictions.video, num_videos)


def weighted_map(ranking: WeightedRanking, multiplicity: np.ndarray) -> np.ndarray:
    """Compute mAP at each threshold when each video counts several times.

    Args:
        ranking: of one file and task.
        multiplicity: (V,) whole numbers, how often each video was drawn.

    Returns:
        (T,) float64; NaN if no drawn video has annotations.
    """
    weight = np.append(multiplicity, 1)[ranking.video]
    upto = np.concatenate([[0], np.cumsum(weight)])  # predictions before each row, over all classes
    counts = np.bincount(
        ranking.annotation_label,
        weights=multiplicity[ranking.annotation_video],
        minlength=len(ranking.first_row),
    )
    with np.errstate(invalid="ignore"):
        total = np.array(
            [
                _weighted_ap(row, label, weight, upto, upto[ranking.first_row], counts).sum()
                for row, label in zip(ranking.row, ranking.label, strict=True)
            ]
        )
        return total / np.count_nonzero(counts)


def _weighted_ap(
    row: np.ndarray,
    label: np.ndarray,
    weight: np.ndarray,
    upto: np.ndarray,
    before_class: np.ndarray,
    counts: np.ndarray,
) -> np.ndarray:
    """AP of each class at one threshold; classes rise along the true positives."""
    drawn = weight[row] > 0
    row, label = row[drawn], label[drawn]
    step = weight[row]
    found = np.cumsum(step)
    found -= np.concatenate([[0], found])[np.searchsorted(label, label)]  # within the class
    precision = found / (upto[row + 1] - before_class[label])
    # A running maximum from the right within each class: later classes are put on lower floors, 2
    # apart.
    floor = 2.0 * label
    highest = np.maximum.accumulate((precision - floor)[::-1])[::-1] + floor
    return np.bincount(label, weights=step / counts[label] * highest, minlength=len(counts))


def draw_multiplicities(num_videos: int, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """Yield how often each video is drawn, for each resample.

    Yields:
        (V,) int64 that adds up to V.
    """
    generator = np.random.default_rng(seed)
    for _ in range(resamples):
        yield np.bincount(generator.integers(0, num_videos, num_videos), minlength=num_videos)


def bootstrap_map(
    rankings: Sequence[WeightedRanking], num_videos: int, resamples: int, seed: int
) -> np.ndarray:
    """Compute mAP of each file in each resample.

    Args:
        rankings: of F files, the same task and ground truth.
        num_videos: V, those of the ground truth.
        resamples: B.
        seed: of the draws.

    Returns:
        (B, F, T) float64.
    """
    drawn = draw_multiplicities(num_videos, resamples, seed)
    return np.stack([[weighted_map(ranking, counts) for ranking in rankings] for counts in drawn])
