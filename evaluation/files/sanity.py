"""Counts of what looks odd in the data, and notes in words for readers of the figures.

Nothing here changes a score. All of it is counted on columns, in a fraction of the time of the
metrics.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evaluation.files.units import unit_suspicion
from evaluation.metrics.columns import look_up, number_values
from evaluation.metrics.detection import DetectionMetrics
from runtime.text import encodable, examples
from video_datasets.annotations import AnnotationTable
from video_datasets.predictions import Predictions

# Durations are rounded in the annotation files, and detections clipped to the exact one must not be
# counted.
DURATION_TOLERANCE_S = 0.1


@dataclass(frozen=True, kw_only=True)
class FileReport:
    """Counts of one file of predictions against its ground truth.

    Attributes:
        predictions: rows of the file.
        annotated_videos: videos with annotations.
        missing_videos: those of them without predictions.
        unknown_videos: predicted videos that are not in the ground truth (or in another subset).
        in_unknown_videos: predictions there; all are false positives.
        inverted: predictions that end before they start.
        zero_length: predictions that end where they start.
        outside_duration: predictions that start before 0 or end after the video, by more than 0.1
            s.
        known_durations: videos of the ground truth whose duration is known; elsewhere ends are not
            checked.
        duplicates: predictions that repeat video, label, start and end of an earlier row.
        suspicion: "", or why the times do not look like seconds.
    """

    predictions: int
    annotated_videos: int
    missing_videos: tuple[str, ...]
    unknown_videos: tuple[str, ...]
    in_unknown_videos: int
    inverted: int
    zero_length: int
    outside_duration: int
    known_durations: int
    duplicates: int
    suspicion: str


@dataclass(frozen=True, kw_only=True)
class ClassReport:
    """Counts of one scored task.

    Attributes:
        never_predicted: annotated classes without predictions; their AP is 0.
        unknown: predicted classes without annotations.
        ignored_predictions: predictions of those; they do not count.
        tied_scores: predictions whose score another one of the class has.
        predictions: those that count.
    """

    never_predicted: tuple[str, ...]
    unknown: tuple[str, ...]
    ignored_predictions: int
    tied_scores: int
    predictions: int


def report_file(truth: AnnotationTable, predictions: Predictions) -> FileReport:
    """Count what looks odd in a file of predictions; `truth` holds the videos of the subset
    only."""
    counts = np.bincount(predictions.video_index, minlength=len(predictions.videos))
    rows = dict(zip(predictions.videos, counts.tolist(), strict=True))
    known = set(truth.video_ids)
    unknown = [video for video, count in rows.items() if count and video not in known]
    annotated = [truth.video_ids[video] for video in np.unique(truth.video_index)]
    number = look_up(predictions.videos, number_values(truth.video_ids))[predictions.video_index]
    durations_s = np.append(truth.durations_s, np.nan)[number]  # [-1] serves unknown videos
    return FileReport(
        predictions=len(predictions),
        annotated_videos=len(annotated),
        missing_videos=tuple(encodable(video) for video in annotated if not rows.get(video)),
        unknown_videos=tuple(map(encodable, unknown)),
        in_unknown_videos=sum(rows[video] for video in unknown),
        inverted=int(np.count_nonzero(predictions.end_s < predictions.start_s)),
        zero_length=int(np.count_nonzero(predictions.end_s == predictions.start_s)),
        outside_duration=count_outside(predictions, durations_s),
        known_durations=int(np.count_nonzero(np.isfinite(truth.durations_s))),
        duplicates=count_duplicates(predictions),
        suspicion=unit_suspicion(truth, predictions, number),
    )


def report_classes(metrics: DetectionMetrics, unknown: Sequence[str]) -> ClassReport:
    """Collect what the metrics of one task say about classes and ties."""
    never = [label for label, n in zip(metrics.labels, metrics.prediction_counts, strict=True) if n == 0]
    return ClassReport(
        never_predicted=tuple(encodable(str(label)) for label in never),
        unknown=tuple(map(encodable, unknown)),
        ignored_predictions=metrics.ignored_predictions,
        tied_scores=metrics.tied_scores,
        predictions=int(metrics.prediction_counts.sum()),
    )


def count_outside(predictions: Predictions, durations_s: np.ndarray) -> int:
    """Count predictions outside [0, duration], with a tolerance; NaN durations bound nothing.

    Args:
        predictions: N rows.
        durations_s: (N,) of the video of each row.
    """
    first = np.minimum(predictions.start_s, predictions.end_s)
    last = np.maximum(predictions.start_s, predictions.end_s)
    outside = (first < -DURATION_TOLERANCE_S) | (last > durations_s + DURATION_TOLERANCE_S)
    return int(np.count_nonzero(outside))


def count_duplicates(predictions: Predictions) -> int:
    """Count rows that repeat video, label and segment of an earlier row, whatever their score."""
    columns = (predictions.video_index, predictions.label, predictions.start_s, predictions.end_s)
    # Sorting all rows by four columns costs as much as the metrics. Equal rows have equal sums, so
    # only rows whose sum occurs again are sorted.
    with np.errstate(over="ignore", invalid="ignore"):
        weighted = predictions.start_s + predictions.end_s * 1.618 + predictions.label * 2.718
        weighted += predictions.video_index * 3.141
    order = np.argsort(weighted)
    repeats = np.flatnonzero(weighted[order[1:]] == weighted[order[:-1]])
    candidates = order[np.union1d(repeats, repeats + 1)]
    return len(candidates) - len(set(zip(*(column[candidates].tolist() for column in columns), strict=True)))


def file_notes(report: FileReport) -> list[str]:
    """Say in words what is odd about a file; nothing where all is well."""
    notes = []
    if report.unknown_videos:
        notes.append(
            f"{len(report.unknown_videos)} predicted videos are not in the ground truth"
            f" ({report.in_unknown_videos} predictions, all false positives): {examples(report.unknown_videos)}"
        )
    if report.missing_videos:
        notes.append(
            f"{len(report.missing_videos)} of {report.annotated_videos} annotated videos have no predictions:"
            f" {examples(report.missing_videos)}"
        )
    notes += oddity_notes(
        report.predictions,
        inverted=report.inverted,
        zero_length=report.zero_length,
        outside_duration=report.outside_duration,
        duplicates=report.duplicates,
    )
    return notes + ([report.suspicion] if report.suspicion else [])


def oddity_notes(
    total: int, *, inverted: int, zero_length: int, outside_duration: int, duplicates: int
) -> list[str]:
    """Say in words how many of `total` segments are odd."""
    counts = {
        "end before they start": inverted,
        "have zero length": zero_length,
        "lie outside their video": outside_duration,
        "repeat video, label and segment of an earlier one": duplicates,
    }
    return [f"{count} of {total} predictions {what}" for what, count in counts.items() if count]


def class_notes(task: str, report: ClassReport) -> list[str]:
    """Say in words what is odd about the classes and scores of a task."""
    notes = []
    if report.never_predicted:
        notes.append(
            f"{task}: {len(report.never_predicted)} annotated classes are never predicted, their AP is 0:"
            f" {examples(report.never_predicted)}"
        )
    if report.ignored_predictions:
        notes.append(
            f"{task}: {report.ignored_predictions} predictions of {len(report.unknown)} classes without"
            f" annotations are ignored: {examples(report.unknown)}"
        )
    return notes + tie_notes(task, report.tied_scores, report.predictions)


def tie_notes(task: str, tied_scores: int, total: int) -> list[str]:
    """Say how many scores are tied, since the official figures are arbitrary there."""
    if not tied_scores:
        return []
    group = "video" if task == "proposals" else "class"
    return [
        f"{task}: {tied_scores} of {total} scores are tied within their {group}; ties rank later in the file"
        f" first, the official code leaves them to an unstable sort"
    ]
