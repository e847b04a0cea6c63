"""The report of an evaluation: its sections, and the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from evaluation.analysis import TaskAnalysis
from evaluation.diagnosis.false_positives import best_overlap
from evaluation.files.evaluate import Evaluation, TaskColumns, annotation_columns, prediction_columns
from evaluation.metrics.detection import HACS_TIOU_THRESHOLDS
from evaluation.metrics.matches import match_columns
from evaluation.report.classes import classes_section
from evaluation.report.curves import average_recall_section, precision_recall_section
from evaluation.report.diagnosis import diagnosis_section
from evaluation.report.overview import InputFile, data_section, describe_file, summary_section
from evaluation.report.page import Section, render_page
from evaluation.report.timeline import TimelineVideo, timeline_section
from evaluation.report.video_choice import (
    DETECTIONS_PER_ANNOTATION,
    FEWEST_DETECTIONS,
    FIGURE_NAME,
    timeline_videos,
)
from runtime.atomic import write_text
from video_datasets.annotations import AnnotationTable
from video_datasets.predictions import Predictions

GROUND_TRUTH = "ground truth"


def evaluation_sections(
    truth: AnnotationTable,
    *,
    detections: Evaluation | None = None,
    analyses: Mapping[str, TaskAnalysis] | None = None,
    recalled: Evaluation | None = None,
    proposals: Predictions | None = None,
    files: Sequence[InputFile] = (),
) -> list[Section]:
    """Make the sections that follow from ground truth and predictions.

    Args:
        truth: videos of the subset only.
        detections: figures of detections, with `analyses` of the same tasks.
        analyses: from `evaluation.analysis.analyse_tasks`.
        recalled: figures of proposals.
        proposals: drawn as time-lines where there are no detections.
        files: what the figures follow from.
    """
    sections = [summary_section(detections, recalled)]
    if analyses:
        sections.append(precision_recall_section(analyses))
    if recalled is not None and recalled.proposals is not None:
        sections.append(average_recall_section(recalled.proposals))
    if analyses and detections is not None:
        sections += [diagnosis_section(analyses), classes_section(detections.detection)]
    videos: dict[str, list[TimelineVideo]] = {}
    if analyses:
        videos = {task: timeline_videos(found.matches, found.best, truth) for task, found in analyses.items()}
    elif proposals is not None:
        videos = {"": _proposal_videos(truth, proposals)}
    if videos:
        chosen = timeline_section(videos, _explanation(videos), figure_name=FIGURE_NAME)
        sections.append(chosen)
    return [*sections, data_section(detections, recalled, files)]


def write_report(
    path: Path,
    truth: AnnotationTable,
    *,
    detections: Evaluation | None = None,
    analyses: Mapping[str, TaskAnalysis] | None = None,
    recalled: Evaluation | None = None,
    proposals: Predictions | None = None,
    files: Mapping[str, Path],
) -> None:
    """Write the report of detections, of proposals, or of both; the same input gives the same page.

    Args:
        path: HTML file.
        truth: as in `evaluation_sections`, and so are the next four.
        detections: see there.
        analyses: see there.
        recalled: see there.
        proposals: see there.
        files: role -> file that the figures follow from.
    """
    described = [describe_file(role, file) for role, file in files.items()]
    sections = evaluation_sections(
        truth,
        detections=detections,
        analyses=analyses,
        recalled=recalled,
        proposals=proposals,
        files=described,
    )
    evaluation = detections or recalled
    if evaluation is None:
        raise ValueError("expected an evaluation of detections or of proposals, got none")
    names = ", ".join(file.name for file in described if file.role != GROUND_TRUTH)
    page = render_page(
        f"Evaluation of {'detections' if detections else 'proposals'}",
        f"{names} · protocol {evaluation.protocol}",
        sections,
        tasks=tuple(evaluation.detection),
        footer=f"Figures equal those of {evaluation.version}; percent unless something else is said.",
    )
    write_text(path, page)


def _proposal_videos(truth: AnnotationTable, proposals: Predictions) -> list[TimelineVideo]:
    """Time-lines of proposals, all of one class without a name."""
    columns = TaskColumns(annotation_columns(truth), prediction_columns(truth, proposals), ("",), [])
    matches = match_columns(columns, np.array(HACS_TIOU_THRESHOLDS))
    return timeline_videos(matches, best_overlap(matches.annotations, matches.predictions), truth)


def _explanation(videos: Mapping[str, Sequence[TimelineVideo]]) -> str:
    """Say what is shown and what was left out to keep the page small."""
    found = [video for of_task in videos.values() for video in of_task]
    parts = [
        "All annotated videos"
        if not any(video.group for video in found)
        else "The worst, the best and as many random videos"
    ]
    parts.append(f", sorted by {FIGURE_NAME}")
    if any(video.left_out for video in found):
        parts.append(
            f"; of each the best {FEWEST_DETECTIONS} detections, or {DETECTIONS_PER_ANNOTATION} for each annotation"
            f" if that is more"
        )
    return "".join(parts) + "."
