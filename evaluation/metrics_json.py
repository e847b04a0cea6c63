"""Figures as the JSON of `--json` and metrics.json: full precision, fractions, never rounded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evaluation.average_recall import ProposalMetrics
from evaluation.detection import DetectionMetrics
from evaluation.file_evaluation import Evaluation


def evaluation_to_json(evaluation: Evaluation) -> dict[str, Any]:
    """Turn an evaluation into the content of its JSON file.

    Returns:
        For detection {"protocol", "task", "tiou_thresholds", "mAP": {task: [T]}, "average_mAP": {task: x},
        "per_class": {task: {label: {"ap": [T], "count": n}}}} and, where parts were scored too,
        "splits": {part: {"mAP", "average_mAP"}}; for proposals {"protocol", "task", "tiou_thresholds",
        "AR": {"an": [100], "recall": [T][100], "average": [100], "auc": x}}.
    """
    content: dict[str, Any] = {"protocol": evaluation.protocol, "task": evaluation.task}
    if evaluation.proposals is not None:
        content["tiou_thresholds"] = evaluation.proposals.tiou_thresholds.tolist()
        return {**content, "AR": _proposals(evaluation.proposals)}
    content["tiou_thresholds"] = next(iter(evaluation.detection.values())).tiou_thresholds.tolist()
    content |= _means(evaluation.detection)
    content["per_class"] = {task: _per_class(metrics) for task, metrics in evaluation.detection.items()}
    if evaluation.splits:
        content["splits"] = {name: _means(part) for name, part in evaluation.splits.items()}
    return content


def _means(detection: Mapping[str, DetectionMetrics]) -> dict[str, Any]:
    return {
        "mAP": {task: metrics.mAP.tolist() for task, metrics in detection.items()},
        "average_mAP": {task: metrics.average_mAP for task, metrics in detection.items()},
    }


def _per_class(metrics: DetectionMetrics) -> dict[str, Any]:
    columns = zip(metrics.labels, metrics.ap.tolist(), metrics.annotation_counts.tolist(), strict=True)
    return {str(label): {"ap": ap, "count": count} for label, ap, count in columns}


def _proposals(metrics: ProposalMetrics) -> dict[str, Any]:
    return {
        "an": metrics.an.tolist(),
        "recall": metrics.recall.tolist(),
        "average": metrics.average_recall.tolist(),
        "auc": metrics.auc,
    }
