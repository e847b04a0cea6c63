"""The last stage of a run: scores detections and proposals, leaves metrics.json, report.html and
time-line pictures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from evaluation.files.evaluate import Evaluation
from evaluation.files.metrics_json import evaluation_to_json
from evaluation.report.tables import align, precision_rows, render_evaluation, render_summary, separate_title
from evaluation.results import Scored
from evaluation.run import DETECTIONS, PROPOSALS, evaluate_run, run_protocol
from runtime.atomic import write_json, write_text
from runtime.fingerprint import content_state
from runtime.sections import RunConfig
from runtime.stage_spec import StageRun, StageSpec
from video_datasets.annotations import AnnotationTable
from video_datasets.dataset import Segment, annotation_file
from video_datasets.predictions import Predictions

METRICS_NAME = "metrics.json"
SUMMARY_NAME = "summary.txt"
"""What the screen shows; the tables and what was found in the data are in full in TABLES_NAME."""
TABLES_NAME = "tables.txt"
REPORT_NAME = "report.html"


def work(run: StageRun) -> None:
    """Score the run against the raw annotations, which the official metrics want uncleaned."""
    from evaluation.report.evaluation_page import write_report  # jinja2 is slow to load

    config = run.config
    run_protocol(config)  # refuse wrong words before any file is read
    results = evaluate_run(config, run.upstream)
    detections = _there(results.detections, run.upstream(DETECTIONS[0]) / DETECTIONS[1])
    proposals = _there(results.proposals, run.upstream(PROPOSALS[0]) / PROPOSALS[1])
    scored, recalled = detections.evaluation, proposals.evaluation
    separate = results.separate.evaluation if results.separate else None
    write_json(run.folder.parent / METRICS_NAME, _metrics(scored, recalled, separate))
    _write_tables(run.folder, scored, recalled, separate)
    write_report(run.folder / REPORT_NAME, results)
    found = detections.table
    drawn = draw_timelines(
        run.folder,
        replace(results.truth, labels=results.named(results.truth.labels)),
        replace(found, labels=results.named(found.labels)),
        config.evaluation.timelines,
    )
    run.counts.update({"timelines": drawn})
    run.summary = f"average mAP {_in_words(scored)}, {drawn} time-line pictures"


def named_protocol(config: RunConfig) -> RunConfig:
    """Return a configuration with the name of its protocol, which may follow from its data."""
    return config.changed(evaluation=replace(config.evaluation, protocol=run_protocol(config).name))


def _there(found: Scored | None, path: Path) -> Scored:
    if found is None:
        raise FileNotFoundError(f"{path}: no such file; run the stage before with --force")
    return found


def _in_words(scored: Evaluation) -> str:
    figures = {task: f"{100 * found.average_mAP:.2f} %" for task, found in scored.detection.items()}
    return ", ".join(f"{task} {figure}" if len(figures) > 1 else figure for task, figure in figures.items())


def _metrics(scored: Evaluation, recalled: Evaluation, separate: Evaluation | None) -> dict[str, Any]:
    content = evaluation_to_json(scored)
    recall = evaluation_to_json(recalled)
    content |= {"AR": recall["AR"], "AR_version": recalled.version, "top_k_recall": recall["top_k_recall"]}
    content["sanity"] |= recall["sanity"]
    if separate is not None:
        content["separate"] = evaluation_to_json(separate)
    return content


def _write_tables(
    folder: Path, scored: Evaluation, recalled: Evaluation, separate: Evaluation | None
) -> None:
    """Write what the screen shows, and everything in full."""
    notes = [f"note: {note}" for note in dict.fromkeys(scored.notes + recalled.notes)]
    shown, full = [render_summary(scored, recalled)], [render_evaluation(scored), render_evaluation(recalled)]
    if separate is not None:
        title = separate_title(separate)
        shown.append(f"{title}\n{align(precision_rows(separate.detection))}")
        full.append(f"{title}\n\n{render_evaluation(separate)}")
    write_text(folder / SUMMARY_NAME, "\n".join(["\n\n".join(shown), "", *notes]) + "\n" * bool(notes))
    write_text(folder / TABLES_NAME, "\n\n".join([*full, *notes]) + "\n")


def draw_timelines(folder: Path, annotations: AnnotationTable, detections: Predictions, count: int) -> int:
    """Draw the first `count` annotated videos that have detections; return how many there were."""
    if count < 1:
        return 0
    from evaluation.report.timeline_picture import draw_timeline  # matplotlib is slow to load

    drawn = 0
    for index, video_id in enumerate(annotations.video_ids):
        if drawn == count:
            break
        rows = np.flatnonzero(annotations.video_index == index)
        if not len(rows):
            continue
        truth = [
            Segment(float(annotations.start_s[row]), float(annotations.end_s[row]), annotations.labels[row])
            for row in rows
        ]
        found = _detections_of(detections, video_id)
        if not found:
            continue
        ends_s = [segment.end_s for segment in truth] + [segment.end_s for segment, _ in found]
        duration_s = float(annotations.durations_s[index])
        path = folder / f"timeline_{video_id}.png"
        draw_timeline(path, video_id, duration_s if duration_s > 0 else max(ends_s), truth, found)
        drawn += 1
    return drawn


def _detections_of(detections: Predictions, video_id: str) -> list[tuple[Segment, float]]:
    """Detections of one video by score, descending."""
    if video_id not in detections.videos:
        return []
    rows = np.flatnonzero(detections.video_index == detections.videos.index(video_id))
    rows = rows[np.argsort(-detections.score[rows], kind="stable")]
    return [
        (
            Segment(
                float(detections.start_s[row]),
                float(detections.end_s[row]),
                detections.labels[detections.label[row]],
            ),
            float(detections.score[row]),
        )
        for row in rows
    ]


SPEC = StageSpec(
    name="evaluation",
    command="evaluation",
    work=work,
    description=__doc__ or "",
    sections=("data", "evaluation"),
    settled=named_protocol,
    reads=("proposals", "classification"),
    inputs=lambda config: {"annotations": content_state(annotation_file(config.data))},
    results=("summary.txt", "tables.txt", "report.html", f"../{METRICS_NAME}"),
    shows=SUMMARY_NAME,
    wanted=lambda config: True,
)
