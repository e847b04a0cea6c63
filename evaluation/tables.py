"""Figures as text: the tables on the screen (percent) and the CSV of classes (fractions)."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence

import numpy as np

from evaluation.average_recall import ProposalMetrics
from evaluation.detection import DetectionMetrics
from evaluation.file_evaluation import Evaluation

SHOWN_AN = (1, 5, 10, 50, 100)


def render_evaluation(evaluation: Evaluation) -> str:
    """Render the tables of the screen, in percent: mAP at each tIoU and their average, or AR@AN and AUC."""
    if evaluation.proposals is not None:
        return _proposal_table(evaluation.protocol, evaluation.proposals)
    head = f"{evaluation.protocol}: mAP (%) at tIoU"
    tables = [_detection_table(head, evaluation.detection)]
    tables += [_detection_table(f"{head}, {name}", part) for name, part in evaluation.splits.items()]
    return "\n\n".join(tables)


def _detection_table(title: str, detection: Mapping[str, DetectionMetrics]) -> str:
    thresholds = next(iter(detection.values())).tiou_thresholds
    header = ["task", *(f"{threshold:.2f}" for threshold in thresholds), "average", "classes"]
    rows = [
        [task, *map(_percent, metrics.mAP), _percent(metrics.average_mAP), str(len(metrics.labels))]
        for task, metrics in detection.items()
    ]
    return f"{title}\n{_align([header, *rows])}"


def _proposal_table(protocol: str, metrics: ProposalMetrics) -> str:
    points = [int(np.argmin(np.abs(metrics.an - an))) for an in SHOWN_AN]
    header = [*(f"AR@{an}" for an in SHOWN_AN), "AUC"]
    row = [*(_percent(metrics.average_recall[point]) for point in points), _percent(metrics.auc)]
    return f"{protocol}: average recall (%) over tIoU 0.50 to 0.95\n{_align([header, row])}"


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.2f}"


def _align(rows: Sequence[Sequence[str]]) -> str:
    """Pad the cells to columns: the first to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for first, *others in rows:
        cells = [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        lines.append("  ".join([first.ljust(widths[0]), *cells]))
    return "\n".join(lines)


def per_class_csv(detection: Mapping[str, DetectionMetrics]) -> str:
    """Render AP of each class as CSV, fractions in full precision.

    Columns: task, label, annotations, predictions, ap@0.50, ..., average.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    thresholds = next(iter(detection.values())).tiou_thresholds
    names = [f"ap@{threshold:.2f}" for threshold in thresholds]
    writer.writerow(["task", "label", "annotations", "predictions", *names, "average"])
    for task, metrics in detection.items():
        counts = (metrics.annotation_counts.tolist(), metrics.prediction_counts.tolist())
        for label, annotated, predicted, ap in zip(metrics.labels, *counts, metrics.ap, strict=True):
            writer.writerow([task, label, annotated, predicted, *ap.tolist(), float(ap.mean())])
    return out.getvalue()
