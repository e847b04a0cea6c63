"""Matching, overlaps and diagnosis of each task, computed once for diagnosis and report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from evaluation.diagnosis.diagnose import Diagnosis, diagnose, diagnosis_to_json
from evaluation.diagnosis.false_positives import BestOverlap, best_overlap
from evaluation.files.evaluate import predictions_per_task, task_columns
from evaluation.files.protocols import Protocol
from evaluation.metrics.matches import Matches, match_columns
from video_datasets.annotations import AnnotationTable
from video_datasets.predictions import Predictions


@dataclass(frozen=True, eq=False)
class TaskAnalysis:
    """One scored task in depth.

    Attributes:
        matches: the ranking and what it has found; videos count into the table of annotations.
        best: overlap of each prediction of the ranking.
        diagnosis: after Alwassel et al.
    """

    matches: Matches
    best: BestOverlap
    diagnosis: Diagnosis


def analyse_tasks(
    truth: AnnotationTable, predictions: Predictions | Mapping[str, Predictions], protocol: Protocol
) -> dict[str, TaskAnalysis]:
    """Analyse every task that the protocol scores.

    Args:
        truth: videos of the subset only, see `evaluation.files.evaluate.select_subset`.
        predictions: that `evaluate_tables` has accepted.
        protocol: of both.
    """
    analyses = {}
    for task, item in predictions_per_task(predictions, protocol).items():
        columns = task_columns(truth, item, protocol, task)
        matches = match_columns(columns, np.array(protocol.tiou_thresholds))
        best = best_overlap(matches.annotations, matches.predictions)
        analyses[task] = TaskAnalysis(
            matches, best, diagnose(matches, truth.durations_s, protocol.edges, best)
        )
    return analyses


def analyses_to_json(analyses: Mapping[str, TaskAnalysis], protocol: Protocol) -> dict[str, Any]:
    """Turn the diagnoses into the content of the file of `--diagnosis`.

    Returns:
        {"protocol", "protocol_version", "tasks": {task: fields of
        `evaluation.diagnosis.Diagnosis`}}; fractions.
    """
    return {
        "protocol": protocol.name,
        "protocol_version": protocol.version("detection"),
        "tasks": {task: diagnosis_to_json(found.diagnosis) for task, found in analyses.items()},
    }
