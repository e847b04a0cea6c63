"""The last stage of a run: scores detections and proposals, leaves metrics.json, report.html and time-line pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from evaluation.analysis import analyse_tasks
from evaluation.file_evaluation import Evaluation, evaluate_tables, select_subset
from evaluation.metrics_json import evaluation_to_json
from evaluation.protocols import PROTOCOLS, read_predictions_file
from evaluation.tables import render_evaluation, render_summary
from runtime.atomic import write_json, write_text
from runtime.command import stage_command
from runtime.fingerprint import file_state
from runtime.stage import StageRun, StageSpec
from video_datasets.annotations import AnnotationTable
from video_datasets.dataset import Segment, annotation_file, read_annotations
from video_datasets.predictions import Predictions, read_predictions, select_videos

DETECTIONS_NAME = "detections.json"
PROPOSALS_NAME = "proposals.h5"
METRICS_NAME = "metrics.json"
SUMMARY_NAME = "summary.txt"
"""What the screen shows; the tables and what was found in the data are in full in TABLES_NAME."""
TABLES_NAME = "tables.txt"
REPORT_NAME = "report.html"

SPEC = StageSpec(
    name="evaluation",
    command="evaluation",
    sections=("data", "evaluation"),
    reads=("proposals", "classification"),
    inputs=lambda config: {"annotations": file_state(annotation_file(config.data))},
    shows=SUMMARY_NAME,
)


def work(run: StageRun) -> None:
    """Score the run against the raw annotations, which the official metrics want uncleaned."""
    config = run.config.evaluation
    annotations = read_annotations(run.config.data)
    protocol = PROTOCOLS[config.protocol]
    detections = read_predictions_file(run.upstream("classification") / DETECTIONS_NAME, protocol)
    subset = run.config.data.validation_subset
    annotated = zip(annotations.video_ids, annotations.subsets, strict=True)
    proposals = select_videos(
        read_predictions(run.upstream("proposals") / PROPOSALS_NAME),
        {v for v, name in annotated if name == subset},
    )
    scored = evaluate_tables(annotations, detections, protocol, subset=subset)
    recalled = evaluate_tables(annotations, proposals, protocol, subset=subset, task="proposals")
    content = evaluation_to_json(scored)
    recall = evaluation_to_json(recalled)
    content |= {"AR": recall["AR"], "AR_version": recalled.version, "top_k_recall": recall["top_k_recall"]}
    content["sanity"] |= recall["sanity"]
    write_json(run.folder.parent / METRICS_NAME, content)
    notes = [f"note: {note}" for note in dict.fromkeys(scored.notes + recalled.notes)]
    summary = "\n".join([render_summary(scored, recalled), "", *notes])
    write_text(run.folder / SUMMARY_NAME, summary + "\n" * bool(notes))
    tables = "\n\n".join([render_evaluation(scored), render_evaluation(recalled), *notes])
    write_text(run.folder / TABLES_NAME, tables + "\n")
    write_run_report(run, annotations, detections, proposals, scored, recalled)
    drawn = draw_timelines(run.folder, annotations, detections, subset, config.timelines)
    run.counts.update({"timelines": drawn})
    run.summary = f"average mAP {100 * content['average_mAP']['action']:.2f} %, {drawn} time-line pictures"


def write_run_report(
    run: StageRun,
    annotations: AnnotationTable,
    detections: Predictions,
    proposals: Predictions,
    scored: Evaluation,
    recalled: Evaluation,
) -> None:
    """Write the page of detections and proposals of a run into its folder."""
    from evaluation.report.evaluation_page import write_report  # jinja2 takes its time to load

    truth = select_subset(annotations, run.config.data.validation_subset)
    write_report(
        run.folder / REPORT_NAME,
        truth,
        detections=scored,
        analyses=analyse_tasks(truth, detections, PROTOCOLS[run.config.evaluation.protocol]),
        recalled=recalled,
        proposals=proposals,
        files={
            "ground truth": annotation_file(run.config.data),
            "detections": run.upstream("classification") / DETECTIONS_NAME,
            "proposals": run.upstream("proposals") / PROPOSALS_NAME,
        },
    )


def draw_timelines(
    folder: Path, annotations: AnnotationTable, detections: Predictions, subset: str, count: int
) -> int:
    """Draw the first `count` annotated videos of a subset that have detections; return how many there were."""
    if count < 1:
        return 0
    from evaluation.timeline import draw_timeline  # matplotlib takes its time to load

    drawn = 0
    for index, video_id in enumerate(annotations.video_ids):
        if drawn == count:
            break
        if annotations.subsets[index] != subset:
            continue
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


def main_stage(argv: Sequence[str]) -> int:
    """Run the stage and return its exit code; its tables go to standard output."""
    return stage_command(SPEC, work, __doc__, argv)
