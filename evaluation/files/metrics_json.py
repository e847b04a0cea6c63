"""Figures as the JSON of `--json` and metrics.json: full precision, fractions, never rounded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evaluation.files.evaluate import Evaluation
from evaluation.metrics.average_recall import ProposalMetrics
from evaluation.metrics.detection import DetectionMetrics
from runtime.text import encodable


def evaluation_to_json(evaluation: Evaluation) -> dict[str, Any]:
    """Turn an evaluation into the content of its JSON file.

    Returns:
        For detection {"protocol", "protocol_version", "task", "tiou_thresholds", "mAP": {task:
        [T]}, "average_mAP": {task: x}, "recall": {task: [T]}, "per_class": {task: {label: {"ap":
        [T], "recall": [T], "count": n}}}, "sanity": {task: {..}}} and, where parts were scored too,
        "splits": {part: {"mAP", "average_mAP", "recall"}}; for proposals {"protocol",
        "protocol_version", "task", "tiou_thresholds", "AR": {"an": [100], "recall": [T][100],
        "average": [100], "auc": x}, "top_k_recall": {"k": [K], "recall": [T][K], "average": [K]},
        "sanity": {"proposals": {..}}}. AR is the official AR@AN; top_k_recall is the plain recall
        of the k best proposals of each video.
    """
    content: dict[str, Any] = {
        "protocol": evaluation.protocol,
        "protocol_version": evaluation.version,
        "task": evaluation.task,
    }
    if evaluation.proposals is not None:
        content["tiou_thresholds"] = evaluation.proposals.tiou_thresholds.tolist()
        content["AR"] = _official_recall(evaluation.proposals)
        content["top_k_recall"] = _top_k_recall(evaluation.proposals)
    else:
        content["tiou_thresholds"] = next(iter(evaluation.detection.values())).tiou_thresholds.tolist()
        content |= _means(evaluation.detection)
        content["per_class"] = {task: _per_class(metrics) for task, metrics in evaluation.detection.items()}
    content["sanity"] = _sanity(evaluation)
    if evaluation.splits:
        content["splits"] = {name: _means(part) for name, part in evaluation.splits.items()}
    return content


def _means(detection: Mapping[str, DetectionMetrics]) -> dict[str, Any]:
    return {
        "mAP": {task: metrics.mAP.tolist() for task, metrics in detection.items()},
        "average_mAP": {task: metrics.average_mAP for task, metrics in detection.items()},
        "recall": {task: metrics.recall.tolist() for task, metrics in detection.items()},
    }


def _per_class(metrics: DetectionMetrics) -> dict[str, Any]:
    recall = metrics.true_positive_counts / metrics.annotation_counts[:, None]
    columns = (metrics.ap.tolist(), recall.tolist(), metrics.annotation_counts.tolist())
    return {
        encodable(str(label)): {"ap": ap, "recall": found, "count": count}
        for label, ap, found, count in zip(metrics.labels, *columns, strict=True)
    }


def _official_recall(metrics: ProposalMetrics) -> dict[str, Any]:
    return {
        "an": metrics.an.tolist(),
        "recall": metrics.recall.tolist(),
        "average": metrics.average_recall.tolist(),
        "auc": metrics.auc,
    }


def _top_k_recall(metrics: ProposalMetrics) -> dict[str, Any]:
    return {
        "k": metrics.top_k.tolist(),
        "recall": metrics.top_k_recall.tolist(),
        "average": metrics.top_k_recall.mean(axis=0).tolist(),
    }


def _sanity(evaluation: Evaluation) -> dict[str, Any]:
    content: dict[str, Any] = {task: dict(vars(report)) for task, report in evaluation.files.items()}
    for task, report in evaluation.classes.items():
        content[task]["classes"] = dict(vars(report))
    if evaluation.proposals is not None:
        content["proposals"]["tied_scores"] = evaluation.proposals.tied_scores
    return content
