"""Parts of EPIC-KITCHENS-100 that its challenges report too: tail classes and unseen
participants."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from evaluation.files.evaluate import Evaluation, evaluate_tables, videos_of
from evaluation.files.protocols import Protocol
from evaluation.metrics.detection import DetectionMetrics
from runtime.errors import InputError
from video_datasets.annotations import AnnotationTable, read_text
from video_datasets.predictions import COLUMN_TYPES, Predictions


@dataclass(frozen=True, kw_only=True)
class SplitLists:
    """The lists that define the parts; an empty one leaves its part out.

    Attributes:
        tail_verbs: class numbers as text (EPIC_100_tail_verbs.csv).
        tail_nouns: class numbers as text (EPIC_100_tail_nouns.csv).
        unseen_participants: e.g. "P18" (EPIC_100_unseen_participant_ids_validation.csv).
    """

    tail_verbs: frozenset[str] = frozenset()
    tail_nouns: frozenset[str] = frozenset()
    unseen_participants: frozenset[str] = frozenset()


def read_list(path: str | Path, column: str) -> frozenset[str]:
    """Read one of the official lists: a CSV with a header and one column that counts.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if the column is missing or empty.
    """
    reader = csv.DictReader(read_text(Path(path)).splitlines())
    values = frozenset(row.get(column) or "" for row in reader) - {""}
    if not values:
        found = ", ".join(reader.fieldnames or ())
        raise InputError(f"{path}: expected a CSV with values in column '{column}', found columns: {found}")
    return values


def add_splits(
    evaluation: Evaluation,
    annotations: AnnotationTable,
    predictions: Predictions | Mapping[str, Predictions],
    protocol: Protocol,
    lists: SplitLists,
) -> Evaluation:
    """Score the parts that `lists` defines and add them to an evaluation of detections.

    A tail action is one whose verb or noun is in the tail, so it needs both lists.

    Raises:
        InputError: if a part has no annotations.
    """
    splits: dict[str, Mapping[str, DetectionMetrics]] = {}
    if lists.tail_verbs or lists.tail_nouns:
        splits["tail classes"] = _tail_classes(evaluation.detection, lists)
    if lists.unseen_participants:
        unseen = _unseen_participants(annotations, predictions, protocol, lists.unseen_participants)
        splits["unseen participants"] = unseen
    return replace(evaluation, splits=splits)


def _tail_classes(
    detection: Mapping[str, DetectionMetrics], lists: SplitLists
) -> dict[str, DetectionMetrics]:
    members = {"verb": lists.tail_verbs, "noun": lists.tail_nouns}
    found = {
        task: _select_classes(detection[task], np.array([label in tail for label in detection[task].labels]))
        for task, tail in members.items()
        if tail and task in detection
    }
    if "action" in detection and lists.tail_verbs and lists.tail_nouns:
        pairs = [str(label).split(",") for label in detection["action"].labels]
        in_tail = [verb in lists.tail_verbs or noun in lists.tail_nouns for verb, noun in pairs]
        found["action"] = _select_classes(detection["action"], np.array(in_tail))
    return found


def _select_classes(metrics: DetectionMetrics, keep: np.ndarray) -> DetectionMetrics:
    if not keep.any():
        raise InputError(
            "none of the tail classes has annotations; do the lists belong to this ground truth?"
        )
    return replace(
        metrics,
        labels=tuple(label for label, kept in zip(metrics.labels, keep, strict=True) if kept),
        ap=metrics.ap[keep],
        annotation_counts=metrics.annotation_counts[keep],
        prediction_counts=metrics.prediction_counts[keep],
        true_positive_counts=metrics.true_positive_counts[keep],
    )


def _unseen_participants(
    annotations: AnnotationTable,
    predictions: Predictions | Mapping[str, Predictions],
    protocol: Protocol,
    participants: frozenset[str],
) -> Mapping[str, DetectionMetrics]:
    """Score only the videos of these participants; a video is called <participant>_<number>."""
    keep = _videos_of(annotations.video_ids, participants)
    if not keep.any():
        raise InputError(
            f"no annotated video is of the unseen participants {', '.join(sorted(participants))}"
        )
    if isinstance(predictions, Predictions):
        predictions = dict.fromkeys(protocol.class_names, predictions)
    parts = {task: _select_predictions(item, participants) for task, item in predictions.items()}
    return evaluate_tables(videos_of(annotations, keep), parts, protocol).detection


def _videos_of(videos: tuple[str, ...], participants: frozenset[str]) -> np.ndarray:
    return np.array([video.split("_")[0] in participants for video in videos], dtype=bool)


def _select_predictions(predictions: Predictions, participants: frozenset[str]) -> Predictions:
    rows = _videos_of(predictions.videos, participants)[predictions.video_index]
    columns = {name: getattr(predictions, name)[rows] for name in COLUMN_TYPES}
    return Predictions(predictions.videos, predictions.labels, **columns)
