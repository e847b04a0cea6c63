"""Choice of the videos and detections that the page shows where it cannot hold all."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from evaluation.diagnosis.false_positives import BestOverlap
from evaluation.metrics.matches import Matches
from evaluation.metrics.matching import UNMATCHED
from evaluation.report.timeline import TimelineDetection, TimelineVideo
from video_datasets.annotations import AnnotationTable

VIDEOS_PER_GROUP = 100
FEWEST_DETECTIONS = 100
DETECTIONS_PER_ANNOTATION = 2
SEED = 0
FIGURE_NAME = "precision at the best n detections, n being the annotations of the video; mean over tIoU"


def rows_by_video(matches: Matches) -> tuple[np.ndarray, np.ndarray]:
    """Sort the predictions by video, then score falling.

    Returns:
        (P,) rows of the ranking, unknown videos first, and (V + 1,) where each video starts, V
        being the highest annotated video + 1.
    """
    predictions = matches.predictions
    order = np.lexsort((-predictions.score, predictions.video))
    num_videos = int(matches.annotations.video.max(initial=-1)) + 1
    return order, np.searchsorted(predictions.video[order], np.arange(num_videos + 1))


def precision_at_annotations(matches: Matches, order: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Share of true positives among the n best detections of a video, n being the number of its
    annotations.

    Missing detections count as wrong, so the figure is at most the recall of the video; it falls
    with every error near the top, which makes it good for finding videos to look at.

    Args:
        matches: T thresholds.
        order: from `by_video`.
        first: likewise.

    Returns:
        (V,) mean over the thresholds; NaN without annotations.
    """
    count = np.bincount(matches.annotations.video, minlength=len(first) - 1)
    video = matches.predictions.video[order]
    known = (video >= 0) & (video < len(count))
    place = np.arange(len(order)) - first[np.where(known, video, 0)]
    best = order[known & (place < count[np.where(known, video, 0)])]
    correct = (matches.matched[:, best] != UNMATCHED).mean(axis=0)
    found = np.bincount(matches.predictions.video[best], weights=correct, minlength=len(count))
    with np.errstate(invalid="ignore"):
        return np.asarray(found / count)


def best_f1_score(matches: Matches) -> float | None:
    """Score at which the detections from there on have the best F1, at the threshold nearest to
    tIoU 0.5.

    Of all classes together, so that one slider serves them; None without detections.
    """
    score = matches.predictions.score
    if not len(score):
        return None
    nearest = int(np.argmin(np.abs(matches.tiou_thresholds - 0.5)))
    falling = np.argsort(-score, kind="stable")
    correct = np.cumsum(matches.matched[nearest][falling] != UNMATCHED)
    f1 = 2 * correct / (np.arange(1, len(score) + 1) + len(matches.annotations))
    return float(score[falling[int(np.argmax(f1))]])


def choose_videos(figure: np.ndarray, per_group: int = VIDEOS_PER_GROUP) -> dict[int, str]:
    """Choose the worst, the best and random videos; all of them where there are few.

    Args:
        figure: (V,) of each video, NaN: not to be chosen.
        per_group: how many of each kind.

    Returns:
        video -> "worst", "best" or "random", or "" where all are chosen; by rising figure.
    """
    ranked = np.argsort(figure, kind="stable")  # NaN last
    ranked = ranked[: np.count_nonzero(~np.isnan(figure))].tolist()
    if len(ranked) <= 3 * per_group:
        return dict.fromkeys(ranked, "")
    middle = ranked[per_group:-per_group]
    random = np.random.default_rng(SEED).choice(len(middle), per_group, replace=False)
    groups = dict.fromkeys(ranked[:per_group], "worst")
    groups |= {middle[at]: "random" for at in sorted(random.tolist())}
    return groups | dict.fromkeys(ranked[-per_group:], "best")


def timeline_videos(matches: Matches, best: BestOverlap, truth: AnnotationTable) -> list[TimelineVideo]:
    """Collect the chosen videos with their best detections.

    Args:
        matches: of one task; videos count into `truth`.
        best: overlaps of its predictions.
        truth: videos of the subset.
    """
    order, first = rows_by_video(matches)
    figure = precision_at_annotations(matches, order, first)
    annotations = np.argsort(matches.annotations.video, kind="stable")
    start = np.searchsorted(matches.annotations.video[annotations], np.arange(len(first)))
    videos = []
    for video, group in choose_videos(figure).items():
        rows = annotations[start[video] : start[video + 1]]
        found = order[first[video] : first[video + 1]]
        shown = found[: max(FEWEST_DETECTIONS, DETECTIONS_PER_ANNOTATION * len(rows))]
        segments = _annotations(matches, rows)
        detections = _detections(matches, best, shown)
        videos.append(
            TimelineVideo(
                truth.video_ids[video],
                _axis_length(float(truth.durations_s[video]), segments, detections),
                segments,
                detections,
                left_out=len(found) - len(shown),
                figure=float(figure[video]),
                group=group,
            )
        )
    return videos


def _axis_length(
    duration_s: float, segments: Sequence[tuple[float, float, str]], detections: Sequence[TimelineDetection]
) -> float:
    """The duration, or where it is unknown the last end of all."""
    if duration_s > 0:
        return duration_s
    return max([end_s for _, end_s, _ in segments] + [found.end_s for found in detections] + [0.01])


def _annotations(matches: Matches, rows: np.ndarray) -> list[tuple[float, float, str]]:
    chosen = matches.annotations.take(rows)
    return [
        (start_s, end_s, matches.labels[label])
        for start_s, end_s, label in zip(
            chosen.start_s.tolist(), chosen.end_s.tolist(), chosen.label.tolist(), strict=True
        )
    ]


def _detections(matches: Matches, best: BestOverlap, rows: np.ndarray) -> list[TimelineDetection]:
    chosen = matches.predictions.take(rows)
    columns = zip(
        *(chosen.start_s.tolist(), chosen.end_s.tolist(), chosen.label.tolist(), chosen.score.tolist()),
        *(best.same_class_tiou[rows].tolist(), best.tiou[rows].tolist()),
        strict=True,
    )
    return [
        TimelineDetection(start_s, end_s, matches.labels[label], score, tiou, any_tiou)
        for start_s, end_s, label, score, tiou, any_tiou in columns
    ]
