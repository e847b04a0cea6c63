"""All numbers of two labellings of the same videos."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evaluation.metrics.behaviour import (
    Budget,
    FrameScore,
    active_cells,
    budget,
    cell_confusion,
    cohens_kappa,
    event_confusion,
    frame_score,
)
from evaluation.metrics.observed import Pairs, common, on_observed_time
from evaluation.point_events import PointAgreement, compare_points, moments, point_labels
from runtime.errors import InputError
from video_datasets.formats.tools.labelling import AnnotatedVideo, Labelling
from video_datasets.formats.tools.tool_media import Media
from video_datasets.watched import WATCHED


@dataclass(frozen=True)
class Agreement:
    """All numbers of two labellings.

    Attributes:
        labels: of bouts that either has, sorted.
        frames: per label.
        matrix: (K + 1, K + 1), see `confusion`.
        kappa: over cells.
        event_kappa: over starts of bouts, and point events.
        reference: budget per label.
        other: likewise.
        points: point events.
        seconds: observed time.
    """

    labels: tuple[str, ...]
    frames: tuple[FrameScore, ...]
    matrix: np.ndarray
    kappa: float
    event_kappa: float
    reference: tuple[Budget, ...]
    other: tuple[Budget, ...]
    points: PointAgreement
    seconds: float

    @property
    def mean_f1(self) -> float:
        """Mean F1 of the labels, each with the same weight."""
        return float(np.mean([score.f1 for score in self.frames])) if self.frames else math.nan


def compare(
    reference: Labelling,
    other: Labelling,
    *,
    cell_s: float,
    tolerance_s: float,
    media: Media | None = None,
    points: Sequence[str] = (),
) -> Agreement:
    """Compare a labelling with a reference, over the videos that both name.

    Args:
        reference: one observer's.
        other: another's, or a model's.
        cell_s: length of a cell.
        tolerance_s: half width of the window in which starts agree.
        media: the videos, for lengths that no labelling tells; without them a video ends with its
            last bout.
        points: labels that are point events although both give them a length.

    Raises:
        InputError: if there is none; or if one of `points` is in neither.
    """
    by_id = {video.video_id: video for video in other.videos}
    pairs = [(video, by_id[video.video_id]) for video in reference.videos if video.video_id in by_id]
    if not pairs:
        raise InputError(
            "expected two labellings with a video in common, found none; compare their videos' names"
        )
    firsts, seconds = ([pair[side] for pair in pairs] for side in (0, 1))
    points = point_labels(reference, other, points)
    used = {bout.label for video in (*firsts, *seconds) for bout in video.bouts}
    labels = tuple(sorted(used - {WATCHED, *points}))
    durations_s = [_duration_s(*pair, media) for pair in pairs]
    cells = [math.ceil(duration_s / cell_s - 1e-9) for duration_s in durations_s]
    known = np.concatenate(
        [
            _watched(video, n, cell_s) & _watched(by_id[video.video_id], n, cell_s)
            for video, n in zip(firsts, cells, strict=True)
        ]
    )
    first, second = (
        _all_active(videos, labels, cells, cell_s)[known] for videos in (firsts, seconds)
    )  # T x K
    stretches = [_observed(*pair, duration_s) for pair, duration_s in zip(pairs, durations_s, strict=True)]
    events, other_events = (
        _events(videos, points, stretches, durations_s, tolerance_s) for videos in (firsts, seconds)
    )
    matrix = cell_confusion(first, second)
    return Agreement(
        labels=labels,
        frames=tuple(frame_score(label, first[:, k], second[:, k]) for k, label in enumerate(labels)),
        matrix=matrix,
        kappa=cohens_kappa(matrix),
        event_kappa=cohens_kappa(event_confusion(events, other_events, tolerance_s)),
        reference=_budgets(firsts, labels, stretches),
        other=_budgets(seconds, labels, stretches),
        points=compare_points(sorted(used.intersection(points)), firsts, seconds, stretches, tolerance_s),
        seconds=len(first) * cell_s,
    )


def _duration_s(reference: AnnotatedVideo, other: AnnotatedVideo, media: Media | None) -> float:
    """Length of a video: its file's, else as told, and never less than its last bout."""
    last_s = max((bout.end_s for video in (reference, other) for bout in video.bouts), default=0.0)
    clock = None if media is None else media.clock_of(reference.video_id)
    if clock is not None and clock.edges_s is not None:
        return max(float(clock.edges_s[-1]), last_s)
    told_s = [video.duration_s for video in (reference, other) if video.duration_s > 0]
    return max([last_s, *told_s])


def _segments(video: AnnotatedVideo, label: str) -> np.ndarray:
    """Start and end of the bouts of a label, (n, 2)."""
    rows = [(bout.start_s, bout.end_s) for bout in video.bouts if bout.label == label]
    return np.array(rows, dtype=np.float64).reshape(-1, 2)


def _all_active(
    videos: Sequence[AnnotatedVideo], labels: Sequence[str], cells: Sequence[int], cell_s: float
) -> np.ndarray:
    """Which labels hold in each cell, one video behind the other: bool, (T, K)."""
    active = np.zeros((sum(cells), len(labels)), dtype=bool)
    first = 0
    for video, n_cells in zip(videos, cells, strict=True):
        for column, label in enumerate(labels):
            active[first : first + n_cells, column] = active_cells(_segments(video, label), n_cells, cell_s)
        first += n_cells
    return active


def _watched(video: AnnotatedVideo, n_cells: int, cell_s: float) -> np.ndarray:
    """Cells that somebody has looked at: all, unless the video is labelled in part. Bool, (T,)."""
    stretches = _segments(video, WATCHED)
    return active_cells(stretches, n_cells, cell_s) if len(stretches) else np.ones(n_cells, dtype=bool)


def _observed(reference: AnnotatedVideo, other: AnnotatedVideo, duration_s: float) -> Pairs:
    """Stretches of a video that both have watched."""
    whole = [(0.0, duration_s)]
    one, another = (
        [(bout.start_s, bout.end_s) for bout in video.bouts if bout.label == WATCHED] or whole
        for video in (reference, other)
    )
    return common(one, another)


def _events(
    videos: Sequence[AnnotatedVideo],
    points: Sequence[str],
    stretches: Sequence[Pairs],
    durations_s: Sequence[float],
    tolerance_s: float,
) -> list[tuple[float, str]]:
    """Starts of all bouts, and point events, where both have watched, the videos one behind the
    other with a gap that no window spans."""
    offset_s, events = 0.0, []
    for video, observed, duration_s in zip(videos, stretches, durations_s, strict=True):
        events += [
            (offset_s + bout.start_s, bout.label)
            for bout in video.bouts
            if bout.label not in (WATCHED, *points)
            and any(start <= bout.start_s < end for start, end in observed)
        ]
        events += [
            (offset_s + time_s, label)
            for label in points
            for time_s in moments(video, label).tolist()
            if any(start <= time_s <= end for start, end in observed)
        ]
        offset_s += duration_s + 2 * tolerance_s + 1
    return events


def _budgets(
    videos: Sequence[AnnotatedVideo], labels: Sequence[str], stretches: Sequence[Pairs]
) -> tuple[Budget, ...]:
    observed_s = [sum(end_s - start_s for start_s, end_s in one) for one in stretches]

    def segments(label: str) -> list[np.ndarray]:
        return [
            on_observed_time(_segments(video, label), one)
            for video, one in zip(videos, stretches, strict=True)
        ]

    return tuple(budget(label, segments(label), observed_s) for label in labels)
