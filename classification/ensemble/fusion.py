"""Score fusion of detections: what several runs found in one video becomes one list.

    run A     [----- 0.8 -----]            [-- 0.3 --]
    run B       [---- 0.6 -----]
    fused      [---- 0.7 -----]            [-- 0.15 -]       equal weights

Segments of one class that overlap enough are the same finding, of which each run has at most one:
its score is the weighted mean over all runs, 0 where a run has none, and its ends are the mean by
weight times score. After weighted boxes fusion (Solovyev et al. 2021, arXiv 1910.13302), which
merges several boxes of one detector, too; here they stay apart, since a run's own overlapping
segments were left by its suppression on purpose.

Scores stay as the runs give them, the chance of being right by themselves: levelled by rank or by
the largest, or calibrated to precision on the other half of the videos, they fused no better, by
rank mostly worse (docs/classes.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from runtime.errors import InputError
from video_datasets.predictions import Predictions, by_video, concatenate

Floats = NDArray[np.float64]


class Fused(NamedTuple):
    """Fused segments, by score, descending."""

    segments: Floats
    """(K, 2)."""
    scores: Floats
    """(K,)."""


def fuse_segments(
    segments_N2: Floats, scores_N: Floats, members_N: NDArray[np.int64], shares: Floats, *, min_tiou: float
) -> Fused:
    """Fuse the segments of one class in one video.

    The best segment by weighted score comes first; each joins the finding that it overlaps most,
    as far as its run has no part in it, or begins a new one.

    Args:
        segments_N2: start and end in any unit.
        scores_N: >= 0.
        members_N: run of each segment.
        shares: weight of each run, sum 1.
        min_tiou: overlap from which two segments are the same, 0 to 1.

    >>> found = fuse_segments(np.array([[0.0, 8.0], [0.0, 6.0], [20.0, 22.0]]), np.array([0.6, 0.2, 0.4]),
    ...                       np.array([0, 1, 0]), np.array([0.5, 0.5]), min_tiou=0.6)
    >>> found.segments.tolist(), found.scores.round(3).tolist()
    ([[0.0, 7.5], [20.0, 22.0]], [0.4, 0.2])
    """
    weighted_N = scores_N * shares[members_N]
    sums_K3, taken_KM = np.zeros((len(scores_N), 3)), np.zeros((len(scores_N), len(shares)), dtype=bool)
    found_K2 = np.zeros((len(scores_N), 2))
    count = 0
    for row in np.argsort(-weighted_N, kind="stable").tolist():
        overlap_K = tious(segments_N2[row], found_K2[:count])
        overlap_K[taken_KM[:count, members_N[row]]] = -1.0
        place = int(np.argmax(overlap_K)) if count else 0
        if not count or overlap_K[place] < min_tiou:
            place, count = count, count + 1
        weight = weighted_N[row]
        sums_K3[place] += (weight, weight * segments_N2[row, 0], weight * segments_N2[row, 1])
        taken_KM[place, members_N[row]] = True
        found_K2[place] = sums_K3[place, 1:] / sums_K3[place, 0] if sums_K3[place, 0] else segments_N2[row]
    order = np.argsort(-sums_K3[:count, 0], kind="stable")
    return Fused(found_K2[order], sums_K3[order, 0])


def same_finding_tiou(thresholds: Sequence[float]) -> float:
    """Return the overlap from which two segments count as one finding: the mean of the thresholds
    that are scored.

    Ends that differ too little to matter to the score must not halve a finding, and where
    precise ends are asked for, rough ones must not blur them.

    >>> same_finding_tiou((0.3, 0.4, 0.5, 0.6, 0.7))
    0.5
    """
    return float(np.mean(thresholds))


def tious(segment: Floats, others_K2: Floats) -> Floats:
    """Return the temporal IoU (K,) of one segment with others; of two points 0."""
    start, end = segment
    shared = np.minimum(end, others_K2[:, 1]) - np.maximum(start, others_K2[:, 0])
    shared = np.maximum(shared, 0.0)
    union = (end - start) + (others_K2[:, 1] - others_K2[:, 0]) - shared
    found: Floats = np.divide(shared, union, out=np.zeros_like(union), where=union > 0)
    return found


def fuse_detections(members: Sequence[Predictions], shares: Floats, *, min_tiou: float) -> Predictions:
    """Fuse the detections of several runs, video by video and class by class.

    Args:
        members: detections of each run; a video may be missing in some.
        shares: weight of each, sum 1.
        min_tiou: see `fuse_segments`.

    Returns:
        By video, then by score, descending.

    Raises:
        InputError: if a score is negative, or a detection has no label.
    """
    for place, member in enumerate(members):
        if len(member) and (member.score.min() < 0 or member.label.min() < 0):
            raise InputError(
                f"member {place + 1}: expected detections with labels and scores of at least 0; fuse "
                "probabilities or products of them"
            )
    members = [member for member, share in zip(members, shares, strict=True) if share > 0]
    shares = shares[shares > 0]
    parts = [by_video(member) for member in members]
    videos = dict.fromkeys(video_id for part in parts for video_id in part)
    labels = tuple(dict.fromkeys(label for member in members for label in member.labels))
    empty = Predictions.of_video("none")
    fused = [
        _fuse_video(video_id, [part.get(video_id, empty) for part in parts], labels, shares, min_tiou)
        for video_id in videos
    ]
    return concatenate(fused, order=labels)


def _fuse_video(
    video_id: str, parts: Sequence[Predictions], labels: Sequence[str], shares: Floats, min_tiou: float
) -> Predictions:
    number = {label: place for place, label in enumerate(labels)}
    label_N = np.array([number[name] for part in parts for name in part.label_names], dtype=np.int64)
    member_N = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    segments_N2 = np.concatenate([part.segments_s for part in parts])
    scores_N = np.concatenate([part.score for part in parts])
    segments, scores, classes = [np.zeros((0, 2))], [np.zeros(0)], [np.zeros(0, dtype=np.int64)]
    for label in np.unique(label_N):
        rows = label_N == label
        found = fuse_segments(segments_N2[rows], scores_N[rows], member_N[rows], shares, min_tiou=min_tiou)
        segments.append(found.segments)
        scores.append(found.scores)
        classes.append(np.full(len(found.scores), label))
    order = np.argsort(-np.concatenate(scores), kind="stable")
    return Predictions.of_video(
        video_id,
        np.concatenate(segments)[order],
        np.concatenate(scores)[order],
        np.concatenate(classes)[order],
        labels,
    )
