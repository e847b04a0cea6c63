"""Point events of two labellings: which behaviours they are, when they take place, and how far the
observers agree.

A behaviour is of points where one of the files has it without any length, or where the user says
so (ELAN and tools that count frames cannot hold a moment). Where the other file has it with a
length, as a model that was taught widened points finds it, the middle of each bout counts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from evaluation.metrics.observed import Pairs, moments_on_observed_time
from evaluation.metrics.pairing import pair_events
from evaluation.metrics.points import PointRate, PointScore, point_rate
from runtime.errors import InputError
from video_datasets.formats.tools.labelling import AnnotatedVideo, Labelling
from video_datasets.watched import WATCHED


@dataclass(frozen=True)
class PointAgreement:
    """The point events of two labellings.

    Attributes:
        scores: per label.
        reference: counts, rates and latencies per label.
        other: likewise.
    """

    scores: tuple[PointScore, ...]
    reference: tuple[PointRate, ...]
    other: tuple[PointRate, ...]

    @property
    def mean_f1(self) -> float:
        """Mean F1 of the labels, each with the same weight."""
        return float(np.mean([score.f1 for score in self.scores])) if self.scores else math.nan


def point_labels(reference: Labelling, other: Labelling, named: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the labels of point events, sorted.

    Args:
        reference: one observer's.
        other: another's, or a model's.
        named: labels that the user calls so.

    Raises:
        InputError: if one of those is in neither labelling.
    """
    lengths = [_has_length(labelling) for labelling in (reference, other)]
    known = sorted({*lengths[0], *lengths[1]})
    unknown = sorted(set(named) - set(known))
    if unknown:
        raise InputError(
            f"--points: expected behaviours of the two files ({', '.join(known)}), found '{unknown[0]}'"
        )
    without = {label for of_file in lengths for label, has_length in of_file.items() if not has_length}
    return tuple(sorted(without | set(named)))


def _has_length(labelling: Labelling) -> dict[str, bool]:
    """Of each label whether any of its bouts has a length."""
    found: dict[str, bool] = {}
    for bout in (bout for video in labelling.videos for bout in video.bouts if bout.label != WATCHED):
        found[bout.label] = found.get(bout.label, False) or bout.end_s > bout.start_s
    return found


def stray_points(path: Path, labelling: Labelling, points: Sequence[str]) -> list[str]:
    """A line on each label whose events without length stand among bouts with one."""
    strays: dict[str, int] = {}
    for bout in (bout for video in labelling.videos for bout in video.bouts):
        if bout.start_s == bout.end_s and bout.label not in points:
            strays[bout.label] = strays.get(bout.label, 0) + 1
    return [
        f"{path}: '{label}': {n} events without length among bouts with one, left out of all but starts;"
        f" --points '{label}' makes all of them point events"
        for label, n in strays.items()
    ]


def moments(video: AnnotatedVideo, label: str) -> np.ndarray:
    """Middles of the bouts of a label, (n,) in seconds."""
    return np.array([(bout.start_s + bout.end_s) / 2 for bout in video.bouts if bout.label == label])


def compare_points(
    labels: Sequence[str],
    firsts: Sequence[AnnotatedVideo],
    seconds: Sequence[AnnotatedVideo],
    stretches: Sequence[Pairs],
    tolerance_s: float,
) -> PointAgreement:
    """Compare the point events of the same videos.

    Args:
        labels: of point events.
        firsts: the reference's.
        seconds: the other's.
        stretches: that both have watched, per video.
        tolerance_s: half width of the window in which two events are one.
    """
    observed_s = [sum(end_s - start_s for start_s, end_s in one) for one in stretches]

    def times(videos: Sequence[AnnotatedVideo], label: str) -> list[np.ndarray]:
        of_videos = (moments(video, label) for video in videos)
        return [moments_on_observed_time(found, one) for found, one in zip(of_videos, stretches, strict=True)]

    def score(label: str) -> PointScore:
        both = list(zip(times(firsts, label), times(seconds, label), strict=True))
        paired = sum(len(pair_events(one.tolist(), other.tolist(), tolerance_s)) for one, other in both)
        first, second = (sum(len(pair[side]) for pair in both) for side in (0, 1))
        return PointScore(label, first, second, paired, tolerance_s, sum(observed_s))

    reference, other = (
        tuple(point_rate(label, times(videos, label), observed_s) for label in labels)
        for videos in (firsts, seconds)
    )
    return PointAgreement(tuple(map(score, labels)), reference, other)
