"""The evaluation of whole files as they were read: what the command and the pipeline's stage
call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from evaluation.files.protocols import Protocol
from evaluation.files.refusals import refuse_bad_annotations, refuse_bad_predictions
from evaluation.files.sanity import (
    ClassReport,
    FileReport,
    class_notes,
    file_notes,
    report_classes,
    report_file,
    tie_notes,
)
from evaluation.metrics.average_recall import ProposalMetrics, proposal_metrics
from evaluation.metrics.columns import Segments, TaskColumns, look_up, number_values
from evaluation.metrics.detection import DetectionMetrics, detection_metrics
from runtime.errors import InputError
from video_datasets.annotations import AnnotationTable
from video_datasets.predictions import Predictions, select_videos

TASKS = ("detection", "proposals")


@dataclass(frozen=True, eq=False)
class Evaluation:
    """All figures of one evaluation.

    Attributes:
        protocol: its name.
        version: the official evaluator that the figures equal, with its commit.
        task: "detection" or "proposals".
        detection: metrics per scored task ("action", or "verb", "noun", "action"); empty for
            proposals.
        proposals: metrics of proposals; None for detection.
        files: what was found in the predictions, per scored task, or under "proposals".
        classes: what was found about classes and ties, per scored task.
        notes: whatever of that is odd, in words.
        splits: further detection metrics on a part of the data, by name of the part.
    """

    protocol: str
    version: str
    task: str
    detection: Mapping[str, DetectionMetrics]
    proposals: ProposalMetrics | None
    files: Mapping[str, FileReport]
    classes: Mapping[str, ClassReport]
    notes: tuple[str, ...]
    splits: Mapping[str, Mapping[str, DetectionMetrics]]


def evaluate_tables(
    annotations: AnnotationTable,
    predictions: Predictions | Mapping[str, Predictions],
    protocol: Protocol,
    *,
    subset: str = "validation",
    task: str = "detection",
) -> Evaluation:
    """Evaluate an annotation table and predictions under a protocol.

    Args:
        annotations: of all subsets.
        predictions: of any videos; a mapping of task ("verb", ...) to predictions where tasks have
            predictions of their own.
        protocol: one of `evaluation.files.protocols.PROTOCOLS`.
        subset: which videos count; without meaning for files that have no subsets
            (EPIC-KITCHENS-100).
        task: "detection" or "proposals".

    Returns:
        The figures, and notes on the data.

    Raises:
        InputError: if the subset or its annotations are missing, a number is NaN or infinite, no
            video of the predictions is in the subset, or detections have no labels.
    """
    truth = select_subset(annotations, subset)
    refuse_bad_annotations(truth)
    if task == "proposals":
        if not isinstance(predictions, Predictions):
            raise InputError("proposals are scored from one file, found one for each task")
        return _evaluate_proposals(
            truth, *drop_other_subsets(annotations, predictions, protocol, subset), protocol
        )
    if task != "detection":
        raise InputError(f"task '{task}' is unknown; expected one of {', '.join(TASKS)}")
    return _evaluate_detections(truth, predictions, protocol)


def _evaluate_detections(
    truth: AnnotationTable, predictions: Predictions | Mapping[str, Predictions], protocol: Protocol
) -> Evaluation:
    metrics: dict[str, DetectionMetrics] = {}
    classes: dict[str, ClassReport] = {}
    files: dict[str, FileReport] = {}
    reports: dict[int, FileReport] = {}  # tasks that share their predictions share the report
    for name, item in predictions_per_task(predictions, protocol).items():
        if id(item) not in reports:
            refuse_bad_predictions(truth, item, needs_labels=True)
            reports[id(item)] = report_file(truth, item)
        files[name] = reports[id(item)]
        metrics[name], unknown = _score(truth, item, protocol, name)
        classes[name] = report_classes(metrics[name], unknown)
    notes = dict.fromkeys(note for report in reports.values() for note in file_notes(report))
    notes |= dict.fromkeys(note for name, report in classes.items() for note in class_notes(name, report))
    version = protocol.version("detection")
    return Evaluation(protocol.name, version, "detection", metrics, None, files, classes, tuple(notes), {})


def _evaluate_proposals(
    truth: AnnotationTable, predictions: Predictions, other_subsets: list[str], protocol: Protocol
) -> Evaluation:
    refuse_bad_predictions(truth, predictions, needs_labels=False)
    figures = proposal_metrics(
        annotation_columns(truth), prediction_columns(truth, predictions), protocol.recall_thresholds
    )
    report = report_file(truth, predictions)
    notes = other_subsets + file_notes(report) + tie_notes("proposals", figures.tied_scores, len(predictions))
    version, files = protocol.version("proposals"), {"proposals": report}
    return Evaluation(protocol.name, version, "proposals", {}, figures, files, {}, tuple(notes), {})


def drop_other_subsets(
    annotations: AnnotationTable, proposals: Predictions, protocol: Protocol, subset: str
) -> tuple[Predictions, list[str]]:
    """Leave out the proposals of videos that belong to another subset; say so in a note.

    The official AR@AN divides by all proposals of the file, those of unannotated videos too, so it
    expects a file of one subset, whereas the proposal stage writes validation and testing videos
    into one file. Of another subset are videos

    a) that the annotations put there, or
    b) that they do not name, where the file holds one subset only: those of EPIC-KITCHENS-100, or
        without subsets.

    Elsewhere unnamed videos stay in, as in the official code.

    Returns:
        The proposals that are left, and no note or one.
    """
    has_subsets = any(annotations.subsets)
    subset = _in_file(annotations, subset)
    named = zip(annotations.video_ids, annotations.subsets, strict=True)
    other = {video for video, name in named if has_subsets and name != subset}  # a)
    other &= set(proposals.videos)
    if protocol.one_subset or not has_subsets:
        other |= set(proposals.videos) - set(annotations.video_ids)  # b)
    kept = select_videos(proposals, set(proposals.videos) - other) if other else proposals
    dropped = len(proposals) - len(kept)
    note = f"proposals: {dropped} of {len(proposals)} are in videos of other subsets and left out"
    return kept, [note] if dropped else []


def subset_of(annotations: AnnotationTable, protocol: Protocol) -> str:
    """Return the subset that is scored where none is named: the protocol's, or the only one of
    the file."""
    found = dict.fromkeys(annotations.subsets)
    return next(iter(found)) if len(found) == 1 else protocol.subset


def _in_file(annotations: AnnotationTable, subset: str) -> str:
    """The subset as the file spells it: THUMOS files say "Test" or "test"."""
    alike = [name for name in annotations.subsets if name.lower() == subset.lower()]
    return subset if subset in annotations.subsets or not alike else alike[0]


def select_subset(annotations: AnnotationTable, subset: str) -> AnnotationTable:
    """Keep the videos of one subset and their rows; a table without subsets stays whole.

    Raises:
        InputError: if there is no such subset, or it has no annotations.
    """
    if any(annotations.subsets):
        subset = _in_file(annotations, subset)
        if subset not in annotations.subsets:
            known = ", ".join(sorted(set(annotations.subsets)))
            raise InputError(f"ground truth: no video has subset '{subset}'; found: {known}")
        annotations = videos_of(annotations, np.array([name == subset for name in annotations.subsets]))
    if not len(annotations.labels):
        raise InputError(f"ground truth: no annotations in subset '{subset}', nothing can be scored")
    return annotations


def videos_of(annotations: AnnotationTable, keep: np.ndarray) -> AnnotationTable:
    """Keep the videos where the (V,) mask `keep` is true, and their rows."""
    rows = np.flatnonzero(keep[annotations.video_index])
    number = np.cumsum(keep) - 1
    return replace(
        annotations,
        video_ids=tuple(id for id, kept in zip(annotations.video_ids, keep, strict=True) if kept),
        subsets=tuple(name for name, kept in zip(annotations.subsets, keep, strict=True) if kept),
        durations_s=annotations.durations_s[keep],
        video_index=number[annotations.video_index[rows]].astype(np.int32),
        start_s=annotations.start_s[rows],
        end_s=annotations.end_s[rows],
        labels=tuple(annotations.labels[row] for row in rows),
    )


def predictions_per_task(
    predictions: Predictions | Mapping[str, Predictions], protocol: Protocol
) -> dict[str, Predictions]:
    """Give every scored task its predictions.

    Raises:
        InputError: if a task is not one of the protocol, or there is none.
    """
    if isinstance(predictions, Predictions):
        return dict.fromkeys(protocol.class_names, predictions)
    unknown = set(predictions) - set(protocol.class_names)
    if unknown or not predictions:
        raise InputError(
            f"protocol {protocol.name}: expected predictions for {', '.join(protocol.class_names)},"
            f" found them for {', '.join(predictions) or 'none'}"
        )
    return dict(predictions)


def _score(
    truth: AnnotationTable, predictions: Predictions, protocol: Protocol, task: str
) -> tuple[DetectionMetrics, list[str]]:
    """Metrics of one task, and the predicted classes that have no annotations."""
    columns = task_columns(truth, predictions, protocol, task)
    metrics = detection_metrics(
        columns.annotations, columns.predictions, columns.labels, protocol.tiou_thresholds
    )
    return metrics, columns.unknown_labels


def task_columns(
    truth: AnnotationTable, predictions: Predictions, protocol: Protocol, task: str
) -> TaskColumns:
    """Number videos and classes of one task; `truth` holds the videos of the subset only."""
    class_name = protocol.class_names[task]
    names = {label: class_name(label) for label in dict.fromkeys(truth.labels)}
    classes = {name: number for number, name in enumerate(dict.fromkeys(names.values()))}
    predicted = [class_name(label) for label in predictions.labels]
    return TaskColumns(
        annotation_columns(truth, look_up((names[label] for label in truth.labels), classes)),
        prediction_columns(truth, predictions, look_up(predicted, classes)[predictions.label]),
        tuple(classes),
        [name for name in dict.fromkeys(predicted) if name not in classes],
    )


def annotation_columns(truth: AnnotationTable, label: np.ndarray | None = None) -> Segments:
    """Columns of a table; labels are all 0 unless given."""
    size = len(truth.labels)
    zeros = np.zeros(size, np.int64)
    video = truth.video_index.astype(np.int64)
    return Segments(video, zeros if label is None else label, truth.start_s, truth.end_s, np.zeros(size))


def prediction_columns(
    truth: AnnotationTable, predictions: Predictions, label: np.ndarray | None = None
) -> Segments:
    """Columns whose videos are numbered as in `truth`, -1 for others; labels are all 0 unless
    given."""
    numbers = look_up(predictions.videos, number_values(truth.video_ids))
    return Segments(
        numbers[predictions.video_index],
        np.zeros(len(predictions), np.int64) if label is None else label,
        predictions.start_s,
        predictions.end_s,
        predictions.score,
    )
