"""The report of an evaluation: its sections, and the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from evaluation.diagnosis.false_positives import BestOverlap, best_overlap
from evaluation.files.evaluate import annotation_columns, prediction_columns
from evaluation.metrics.average_recall import ProposalMetrics
from evaluation.metrics.columns import TaskColumns
from evaluation.metrics.matches import Matches, match_columns
from evaluation.report.classes import classes_section
from evaluation.report.curves import average_recall_section, precision_recall_section
from evaluation.report.error_charts import diagnosis_section
from evaluation.report.overview import data_section, describe_file, summary_section
from evaluation.report.page import Section, render_page
from evaluation.report.timeline import TimelineVideo, timeline_section
from evaluation.report.video_choice import (
    DETECTIONS_PER_ANNOTATION,
    FEWEST_DETECTIONS,
    FIGURE_NAME,
    best_f1_score,
    timeline_videos,
)
from evaluation.results import Results
from runtime.atomic import write_text
from video_datasets.annotations import AnnotationTable
from video_datasets.predictions import Predictions

GROUND_TRUTH = "ground truth"


def evaluation_sections(results: Results) -> list[Section]:
    """Make the sections that follow from ground truth and predictions; the same input gives the
    same sections."""
    files = [describe_file(role, path) for role, path in results.files.items()]
    sections = [summary_section(results)]
    if results.analyses:
        sections.append(precision_recall_section(results.analyses))
    recalled = None if results.proposals is None else results.proposals.evaluation.proposals
    if recalled is not None:
        sections.append(average_recall_section(recalled))
    if results.detections is not None:
        sections.append(diagnosis_section(results.analyses))
        sections.append(classes_section(results.shown_detection))
    matches = {task: (found.matches, found.best) for task, found in results.analyses.items()}
    if results.detections is None and results.proposals is not None and recalled is not None:
        matches = {"": _proposal_matches(results.truth, results.proposals.table, recalled)}
    if matches:
        videos = {task: timeline_videos(*found, results.truth) for task, found in matches.items()}
        best = {task: best_f1_score(found) for task, (found, _) in matches.items()}
        open_at = {task: score for task, score in best.items() if score is not None}
        explanation = _explanation(videos)
        sections.append(timeline_section(videos, explanation, figure_name=FIGURE_NAME, open_at=open_at))
    return [*sections, data_section(results.evaluations, files)]


def write_report(path: Path, results: Results) -> None:
    """Write the report of detections, of proposals, or of both; the same input gives the same
    page."""
    evaluation = results.evaluations[0]
    names = ", ".join(file.name for role, file in results.files.items() if role != GROUND_TRUTH)
    page = render_page(
        f"Evaluation of {'proposals' if results.detections is None else 'detections'}",
        f"{names} · protocol {evaluation.protocol}",
        evaluation_sections(results),
        tasks=tuple(evaluation.detection),
        footer=f"Figures equal those of {evaluation.version}; percent unless something else is said.",
    )
    write_text(path, page)


def _proposal_matches(
    truth: AnnotationTable, proposals: Predictions, metrics: ProposalMetrics
) -> tuple[Matches, BestOverlap]:
    """Matching of proposals, all of one class without a name."""
    columns = TaskColumns(annotation_columns(truth), prediction_columns(truth, proposals), ("",), [])
    matches = match_columns(columns, metrics.tiou_thresholds)
    return matches, best_overlap(matches.annotations, matches.predictions)


def _explanation(videos: Mapping[str, Sequence[TimelineVideo]]) -> str:
    """Say what is shown and what was left out to keep the page small."""
    found = [video for of_task in videos.values() for video in of_task]
    parts = [
        "All annotated videos"
        if not any(video.group for video in found)
        else "The worst, the best and as many random videos"
    ]
    parts.append(f", sorted by {FIGURE_NAME}. They open at the score of the best F1, all classes together")
    if any(video.left_out for video in found):
        parts.append(
            f"; of each the best {FEWEST_DETECTIONS} detections, or {DETECTIONS_PER_ANNOTATION} for each annotation"
            f" if that is more"
        )
    return "".join(parts) + "."
