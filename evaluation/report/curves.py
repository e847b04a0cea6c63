"""Sections of curves: precision against recall, and average recall of proposals."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np
from markupsafe import Markup

from evaluation.diagnosis.tasks import TaskAnalysis
from evaluation.metrics.average_recall import ProposalMetrics
from evaluation.metrics.interpolation import interpolated_precision
from evaluation.metrics.matches import Matches
from evaluation.report.charts import Series, bar_chart, figure, line_chart
from evaluation.report.fragments import beside, for_tasks, table
from evaluation.report.page import Section, render_fragment
from evaluation.report.tables import official_recall_rows, top_k_rows
from runtime.text import encodable

RECALLS = np.linspace(0.0, 1.0, 51)
STEPS = 255
"""A precision of a class curve is stored as one byte: 0.4 % is less than the width of the line."""


def ordered_styles(count: int) -> list[str]:
    """Classes of the ordered colours for `count` series, spread over the ten that there are."""
    return [f"seq-{round(9 * index / max(count - 1, 1))}" for index in range(count)]


def precision_recall_section(analyses: Mapping[str, TaskAnalysis]) -> Section:
    """Precision-recall curves at each tIoU: mean over the classes, or one class chosen from a
    list."""
    data, bodies = {}, {}
    for task, analysis in analyses.items():
        curves = class_curves(analysis.matches)  # T x C x R
        bodies[task] = render_fragment(
            "curves.html.jinja",
            charts=[_mean_chart(curves, analysis.matches, task), _spread_chart(analysis.matches)],
            classes=sorted((encodable(label), index) for index, label in enumerate(analysis.matches.labels)),
        )
        data[task] = _class_data(curves)
    return Section("curves", "Precision and recall", for_tasks(bodies), data)


def class_curves(matches: Matches) -> np.ndarray:
    """(T, C, R) interpolated precision at `RECALLS`."""
    return np.stack(
        [interpolated_precision(hits, matches.annotation_counts, RECALLS) for hits in matches.hits]
    )


def _mean_chart(curves: np.ndarray, matches: Matches, task: str) -> Markup:
    mean = 100 * curves.mean(axis=1)
    area = 100 * matches.average_precision.mean(axis=0)
    styles = ordered_styles(len(mean))
    lines = [
        Series(f"tIoU {tiou:.2f} (mAP {ap:.1f})", row.tolist(), style)
        for tiou, ap, row, style in zip(matches.tiou_thresholds, area, mean, styles, strict=True)
    ]
    return figure(
        "Precision against recall",
        "Interpolated, one line a tIoU; the area below a line is its (m)AP.",
        line_chart((100 * RECALLS).tolist(), lines, "recall (%)", "precision (%)"),
        lines,
        pr=task,
    )


def _spread_chart(matches: Matches) -> Markup:
    """How many classes have an average AP of 0-10 %, 10-20 %, ..."""
    ap = matches.average_precision.mean(axis=1)
    counts = np.bincount(np.minimum((10 * ap).astype(int), 9), minlength=10).tolist()
    lows = range(0, 100, 10)
    hints = [f"{low} to {low + 10} %: {count} classes" for low, count in zip(lows, counts, strict=True)]
    return figure(
        "Classes by AP",
        f"How many of the {len(ap)} classes have an average AP in each tenth; median {100 * np.median(ap):.1f} %.",
        bar_chart([str(low) for low in lows], counts, "average AP from (%)", "classes", hints=hints),
    )


def _class_data(curves: np.ndarray) -> dict[str, Any]:
    """Curves of all classes, a byte a point: by class, then tIoU, then recall."""
    steps = np.round(STEPS * curves.transpose(1, 0, 2)).astype(np.uint8)
    return {
        "shape": list(steps.shape),
        "steps": STEPS,
        "bytes": base64.b64encode(steps.tobytes()).decode(),
    }


def average_recall_section(metrics: ProposalMetrics) -> Section:
    """AR@AN of proposals at each tIoU, and the plain recall of the k best."""
    styles = ordered_styles(len(metrics.tiou_thresholds))
    lines = [
        Series(f"tIoU {tiou:.2f}", (100 * recall).tolist(), style)
        for tiou, recall, style in zip(metrics.tiou_thresholds, metrics.recall, styles, strict=True)
    ]
    average = Series("average", (100 * metrics.average_recall).tolist(), "average")
    chart = figure(
        "Recall of proposals, AR@AN",
        f"Share of the annotations found by the best proposals; area below the average: {100 * metrics.auc:.2f} %.",
        line_chart(
            metrics.an.tolist(), [*lines, average], "average number of proposals a video", "recall (%)"
        ),
        [*lines, average],
    )
    rows = official_recall_rows(metrics)
    official = [
        ["tIoU", *rows[0][1:-1]],
        *([name.removeprefix("tIoU "), *row[:-1]] for name, *row in rows[1:]),
    ]
    best = [["", *top_k_rows(metrics)[0][1:]], *top_k_rows(metrics)[1:]]
    tables = Markup("<div>{}{}</div>").format(
        table(official, f"Official AR@AN (%); its area, AUC, is {100 * metrics.auc:.2f}"),
        table(best, "Plain recall (%) of the best k of each video"),
    )
    return Section("proposals", "Proposals", beside([chart, tables]))
