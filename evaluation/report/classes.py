"""Section of classes: a table to sort and to search."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from markupsafe import Markup

from evaluation.metrics.detection import DetectionMetrics
from evaluation.report.fragments import for_tasks
from evaluation.report.page import Section, render_fragment
from runtime.text import encodable

PRINTED_ROWS = 40


def classes_section(detection: Mapping[str, DetectionMetrics]) -> Section:
    """AP, recall and counts of every class."""
    bodies = {task: _table(metrics) for task, metrics in detection.items()}
    return Section("classes", "Classes", for_tasks(bodies))


def _table(metrics: DetectionMetrics) -> Markup:
    thresholds = metrics.tiou_thresholds
    shown = sorted({0, len(thresholds) // 2, len(thresholds) - 1})
    recall = metrics.true_positive_counts / metrics.annotation_counts[:, None]
    columns = [100 * metrics.ap.mean(axis=1), *(100 * metrics.ap[:, at] for at in shown), 100 * recall[:, 0]]
    names = ["average AP", *(f"AP@{thresholds[at]:.2f}" for at in shown), f"recall@{thresholds[0]:.2f}"]
    rows = zip(
        map(encodable, map(str, metrics.labels)),
        metrics.annotation_counts.tolist(),
        metrics.prediction_counts.tolist(),
        np.stack(columns, axis=1).tolist(),
        strict=True,
    )
    return render_fragment(
        "classes.html.jinja", names=names, rows=sorted(rows, key=lambda row: -row[3][0]), printed=PRINTED_ROWS
    )
