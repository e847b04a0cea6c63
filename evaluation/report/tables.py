"""Figures as text: the tables on the screen (percent) and the CSV of classes (fractions)."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence

import numpy as np

from evaluation.files.evaluate import Evaluation
from evaluation.files.sanity import ClassReport, FileReport
from evaluation.metrics.average_recall import ProposalMetrics
from evaluation.metrics.detection import DetectionMetrics
from runtime.text import encodable, spreadsheet_text

SHOWN_AN = (1, 5, 10, 50, 100)
MANY_TICKS = 8
"""More tIoUs than these stand closer together."""


def render_evaluation(evaluation: Evaluation) -> str:
    """Render the tables of the screen, in percent, and what was found in the data.

    Detections: mAP and recall at each tIoU. Proposals: AR@AN at each tIoU and AUC, and beside it
    the plain recall of the k best proposals of each video. Every output names the protocol and its
    version.
    """
    blocks = [f"{evaluation.protocol} ({evaluation.version})"]
    if evaluation.proposals is not None:
        metrics = evaluation.proposals
        blocks += [align(official_recall_rows(metrics)), align(top_k_rows(metrics))]
    else:
        blocks.append(_detection_table(evaluation.detection))
        blocks += [_detection_table(part, f", {name}") for name, part in evaluation.splits.items()]
    return "\n\n".join([*blocks, data_table(evaluation)])


def render_summary(detections: Evaluation, proposals: Evaluation) -> str:
    """Render what a run ends with, in percent: mAP at each tIoU, and AR@AN averaged over tIoU."""
    metrics = proposals.proposals
    if metrics is None:
        raise ValueError("expected the evaluation of proposals, got one of detections")
    ticks = [f"{threshold:.2f}" for threshold in next(iter(detections.detection.values())).tiou_thresholds]
    precision = [[f"{detections.protocol}: mAP (%) at tIoU", *ticks, "average"]]
    precision += [
        [task, *map(_percent, found.mAP), _percent(found.average_mAP)]
        for task, found in detections.detection.items()
    ]
    points = [int(np.argmin(np.abs(metrics.an - an))) for an in SHOWN_AN]
    recall = [
        [f"{proposals.protocol}: recall (%) of proposals", *(f"AR@{an}" for an in SHOWN_AN), "AUC"],
        ["average over tIoU", *(_percent(metrics.average_recall[p]) for p in points), _percent(metrics.auc)],
    ]
    gap = " " if len(ticks) > MANY_TICKS else "  "  # 80 columns hold it
    return "\n".join([align(precision, gap), align(recall)])


def separate_title(separate: Evaluation) -> str:
    """Head the figures of tasks that were scored from a file each."""
    tasks = " and ".join(separate.detection)
    return f"{separate.protocol}: {tasks}, each by itself; not to be compared with the joint figures"


def _detection_table(detection: Mapping[str, DetectionMetrics], part: str = "") -> str:
    return align([*precision_rows(detection, part), *recall_rows(detection, part)])


def precision_rows(detection: Mapping[str, DetectionMetrics], part: str = "") -> list[list[str]]:
    """Cells of the table of mAP, a row for each task, with their header; `part` is added to its
    title."""
    head = [f"mAP (%) at tIoU{part}", *_ticks(detection), "average", "classes"]
    return [
        head,
        *(
            [task, *map(_percent, metrics.mAP), _percent(metrics.average_mAP), str(len(metrics.labels))]
            for task, metrics in detection.items()
        ),
    ]


def recall_rows(detection: Mapping[str, DetectionMetrics], part: str = "") -> list[list[str]]:
    """Cells of the table of recall, a row for each task, with their header; `part` is added to
    its title."""
    rows = [[f"recall (%) at tIoU{part}", *_ticks(detection), "average", "annotations"]]
    for task, metrics in detection.items():
        average, count = _percent(metrics.recall.mean()), str(metrics.annotation_counts.sum())
        rows.append([task, *map(_percent, metrics.recall), average, count])
    return rows


def _ticks(detection: Mapping[str, DetectionMetrics]) -> list[str]:
    return [f"{threshold:.2f}" for threshold in next(iter(detection.values())).tiou_thresholds]


def official_recall_rows(metrics: ProposalMetrics) -> list[list[str]]:
    """Cells of the table of AR@AN, a row for each tIoU and their average, with their header."""
    points = [int(np.argmin(np.abs(metrics.an - an))) for an in SHOWN_AN]
    header = ["recall (%), official AR@AN", *(f"AR@{an}" for an in SHOWN_AN), "AUC"]
    rows = [
        [f"tIoU {threshold:.2f}", *(_percent(recall[point]) for point in points), ""]
        for threshold, recall in zip(metrics.tiou_thresholds, metrics.recall, strict=True)
    ]
    average = [_percent(metrics.average_recall[point]) for point in points]
    return [header, *rows, ["average", *average, _percent(metrics.auc)]]


def top_k_rows(metrics: ProposalMetrics) -> list[list[str]]:
    """Cells of the table of plain recall of the k best proposals, with their header."""
    header = ["recall (%), best k of each video", *(f"k={k}" for k in metrics.top_k)]
    return [header, ["average", *map(_percent, metrics.top_k_recall.mean(axis=0))]]


def data_table(evaluation: Evaluation) -> str:
    """Render the counts of what was found in the predictions, a column for each scored task."""
    return align(data_rows(evaluation))


def data_rows(evaluation: Evaluation) -> list[list[str]]:
    """Cells of the table of what was found in the predictions, with their header."""
    columns = [
        _data_column(report, evaluation.classes.get(task), evaluation.proposals)
        for task, report in evaluation.files.items()
    ]
    rows = [["data", *evaluation.files]]
    return rows + [[name, *(column[name] for column in columns)] for name in columns[0]]


def _data_column(
    report: FileReport, classes: ClassReport | None, proposals: ProposalMetrics | None
) -> dict[str, str]:
    counts: dict[str, int | str] = {
        "predictions": report.predictions,
        "annotated videos": report.annotated_videos,
        "... with predictions": report.annotated_videos - len(report.missing_videos),
        "... without predictions": len(report.missing_videos),
        "unknown videos": len(report.unknown_videos),
        "predictions in unknown videos": report.in_unknown_videos,
        "inverted segments": report.inverted,
        "zero-length segments": report.zero_length,
        "outside the duration": report.outside_duration if report.known_durations else "unknown",
        "duplicate segments": report.duplicates,
    }
    if classes is not None:
        counts["classes never predicted"] = len(classes.never_predicted)
        counts["predictions of unknown classes"] = classes.ignored_predictions
        counts["tied scores"] = classes.tied_scores
    if proposals is not None:
        counts["tied scores"] = proposals.tied_scores
    counts["times are seconds"] = "doubtful" if report.suspicion else "plausible"
    return {name: str(count) for name, count in counts.items()}


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.2f}"


def align(rows: Sequence[Sequence[str]], gap: str = "  ") -> str:
    """Pad the cells to columns: the first to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for first, *others in rows:
        cells = [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        lines.append(gap.join([first.ljust(widths[0]), *cells]).rstrip())
    return "\n".join(lines)


def per_class_csv(evaluation: Evaluation) -> str:
    """Render AP and recall of each class as CSV, fractions in full precision.

    Columns: task, label, annotations, predictions, ap@0.50, ..., average, recall@0.50, ...,
    protocol, protocol_version.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    detection = evaluation.detection
    ticks = [f"{threshold:.2f}" for threshold in next(iter(detection.values())).tiou_thresholds]
    ap_names, recall_names = ([f"{name}@{tick}" for tick in ticks] for name in ("ap", "recall"))
    head = ["task", "label", "annotations", "predictions", *ap_names, "average", *recall_names]
    writer.writerow([*head, "protocol", "protocol_version"])
    for task, metrics in detection.items():
        recall = metrics.true_positive_counts / metrics.annotation_counts[:, None]
        counts = zip(
            metrics.labels,
            metrics.annotation_counts.tolist(),
            metrics.prediction_counts.tolist(),
            strict=True,
        )
        for key, ap, found in zip(counts, metrics.ap, recall, strict=True):
            figures = [*ap.tolist(), float(ap.mean()), *found.tolist()]
            label, *numbers = key
            writer.writerow(
                [
                    task,
                    spreadsheet_text(encodable(str(label))),
                    *numbers,
                    *figures,
                    evaluation.protocol,
                    evaluation.version,
                ]
            )
    return out.getvalue()
