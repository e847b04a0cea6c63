"""The last stage of a run: scores detections and proposals, leaves metrics.json, report.html and time-line pictures.

A run on EPIC-KITCHENS-100 is scored twice: by the joint protocol of the challenge, verb, noun and action from the one
submission, and by the separate one that ActionFormer and OpenTAD report, verbs and nouns from a file each. The second
has a table and an entry "separate" of its own, since its figures must not be compared with those of the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from evaluation.analysis import analyse_tasks
from evaluation.files.evaluate import Evaluation, evaluate_tables, select_subset
from evaluation.files.metrics_json import evaluation_to_json
from evaluation.files.protocols import PROTOCOLS, read_predictions_file
from evaluation.tables import align, precision_rows, render_evaluation, render_summary
from runtime.atomic import write_json, write_text
from runtime.command import stage_command
from runtime.fingerprint import file_state
from runtime.stage import StageRun, StageSpec
from video_datasets.annotations import AnnotationTable
from video_datasets.dataset import Segment, annotation_file, read_annotations
from video_datasets.formats import format_of
from video_datasets.predictions import Predictions, read_predictions, select_videos

DETECTIONS_NAME = "detections.json"
PROPOSALS_NAME = "proposals.h5"
METRICS_NAME = "metrics.json"
SUMMARY_NAME = "summary.txt"
"""What the screen shows; the tables and what was found in the data are in full in TABLES_NAME."""
TABLES_NAME = "tables.txt"
REPORT_NAME = "report.html"
SEPARATE_NAMES = {"verb": "verbs.h5", "noun": "nouns.h5"}
"""Of EPIC-KITCHENS-100: detections of one task alone."""
SEPARATE_TITLE = (
    "ek100-separate: verbs and nouns each by themselves; not to be compared with the joint figures"
)

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
    proposals, left_out = _proposals_of_subset(run, annotations)
    scored = evaluate_tables(annotations, detections, protocol, subset=subset)
    recalled = evaluate_tables(annotations, proposals, protocol, subset=subset, task="proposals")
    separate = score_separately(run, annotations)
    write_json(run.folder.parent / METRICS_NAME, _metrics(scored, recalled, separate))
    _write_tables(run.folder, scored, recalled, separate, left_out)
    write_run_report(run, annotations, detections, proposals, scored, recalled)
    names = format_of(run.config.data).label_names(run.config.data, (*annotations.labels, *detections.labels))
    drawn = draw_timelines(
        run.folder,
        replace(annotations, labels=tuple(names[label] for label in annotations.labels)),
        replace(detections, labels=tuple(names[label] for label in detections.labels)),
        subset,
        config.timelines,
    )
    run.counts.update({"timelines": drawn})
    run.summary = f"average mAP {_in_words(scored)}, {drawn} time-line pictures"


def _proposals_of_subset(run: StageRun, annotations: AnnotationTable) -> tuple[Predictions, list[str]]:
    """Return the proposals of the scored videos, and a note on those of others, which would dilute the recall."""
    proposals = read_predictions(run.upstream("proposals") / PROPOSALS_NAME)
    annotated = zip(annotations.video_ids, annotations.subsets, strict=True)
    kept = select_videos(
        proposals, {video for video, name in annotated if name == run.config.data.validation_subset}
    )
    left_out = len(proposals) - len(kept)
    note = f"note: proposals: {left_out} of {len(proposals)} are in videos of other subsets and left out"
    return kept, [note] if left_out else []


def score_separately(run: StageRun, annotations: AnnotationTable) -> Evaluation | None:
    """Score verbs and nouns of EPIC-KITCHENS-100 from the files of one task each; None where there are none."""
    folder, protocol = run.upstream("classification"), PROTOCOLS["ek100-separate"]
    files = {task: folder / name for task, name in SEPARATE_NAMES.items()}
    if run.config.evaluation.protocol != "ek100" or not all(path.is_file() for path in files.values()):
        return None
    predictions = {task: read_predictions_file(path, protocol) for task, path in files.items()}
    return evaluate_tables(annotations, predictions, protocol, subset=run.config.data.validation_subset)


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
    folder: Path,
    scored: Evaluation,
    recalled: Evaluation,
    separate: Evaluation | None,
    left_out: list[str],
) -> None:
    """Write what the screen shows, and everything in full."""
    notes = [f"note: {note}" for note in dict.fromkeys(scored.notes + recalled.notes)]
    shown, full = [render_summary(scored, recalled)], [render_evaluation(scored), render_evaluation(recalled)]
    if separate is not None:
        shown.append(f"{SEPARATE_TITLE}\n{align(precision_rows(separate.detection))}")
        full.append(f"{SEPARATE_TITLE}\n\n{render_evaluation(separate)}")
    write_text(folder / SUMMARY_NAME, "\n".join(["\n\n".join(shown), "", *notes]) + "\n" * bool(notes))
    write_text(folder / TABLES_NAME, "\n\n".join([*full, *left_out, *notes]) + "\n")


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
