"""Section of time-lines: annotations against detections of chosen videos, drawn by the page's
script.

Anything with segments can be shown: `TimelineVideo` holds one video, with or without annotations. A
click on a segment selects it and raises the event `segment-selected` on the document, whose
`detail` is {video, start_s, end_s}, and a video that is shown raises `video-shown` with its first
segment; a page with a player listens for both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evaluation.report.fragments import for_tasks
from evaluation.report.page import Section, render_fragment
from runtime.text import encodable

TIME_DIGITS, TIOU_DIGITS = 2, 3
SCORE_FORMAT = ".4g"


@dataclass(frozen=True)
class TimelineDetection:
    """One detection.

    Attributes:
        start_s: start.
        end_s: end.
        label: "" for proposals.
        score: higher is better.
        tiou: highest tIoU with an annotation of its label; None where there are no annotations to
            compare with.
        any_tiou: the same with an annotation of any label.
    """

    start_s: float
    end_s: float
    label: str
    score: float
    tiou: float | None = None
    any_tiou: float | None = None


@dataclass(frozen=True)
class TimelineVideo:
    """One video.

    Attributes:
        video_id: shown and searched.
        duration_s: length of the time axis.
        annotations: start s, end s, label.
        detections: by score, descending.
        left_out: further detections of the video that the page does not hold.
        figure: a figure of the video as a fraction, by which the list is sorted; None: none.
        group: why it was chosen, e.g. "worst"; "" if all videos were.
    """

    video_id: str
    duration_s: float
    annotations: Sequence[tuple[float, float, str]]
    detections: Sequence[TimelineDetection]
    left_out: int = 0
    figure: float | None = None
    group: str = ""


def timeline_section(
    videos: Mapping[str, Sequence[TimelineVideo]],
    explanation: str,
    *,
    id: str = "timeline",
    title: str = "Time-lines",
    figure_name: str = "",
    open_at: Mapping[str, float] | None = None,
) -> Section:
    """Time-lines with search, threshold slider and values on hover.

    Args:
        videos: per task; one task without a name of its own may be called "".
        explanation: which videos and detections these are.
        id: anchor.
        title: heading.
        figure_name: what `TimelineVideo.figure` is.
        open_at: per task, the lowest score that is shown at first; None: all scores.
    """
    bodies = {
        task: render_fragment(
            "timeline.html.jinja",
            section=id,
            task=task,
            groups=list(dict.fromkeys(video.group for video in found if video.group)),
            explanation=explanation,
            figure_name=figure_name,
            annotated=any(video.annotations for video in found),
        )
        for task, found in videos.items()
    }
    least = open_at or {}
    data = {task: timeline_data(found) | {"least": least.get(task)} for task, found in videos.items()}
    return Section(id, title, for_tasks(bodies), data)


def timeline_data(videos: Sequence[TimelineVideo]) -> dict[str, Any]:
    """What the script draws: a table of labels, and for each video short rows.

    Returns:
        {"labels": [..], "videos": [{"id", "duration", "figure", "group", "more", "truth": [[start,
        end, label]], "found": [[start, end, label, score, tiou, any tiou]]}]}.
    """
    labels: dict[str, int] = {}
    return {
        "videos": [_video(video, labels) for video in videos],
        "labels": [encodable(label) for label in labels],
    }


def _video(video: TimelineVideo, labels: dict[str, int]) -> dict[str, Any]:
    return {
        "id": encodable(video.video_id),
        "duration": round(video.duration_s, TIME_DIGITS),
        "figure": None if video.figure is None else round(video.figure, TIOU_DIGITS),
        "group": video.group,
        "more": video.left_out,
        "truth": [
            [round(start_s, TIME_DIGITS), round(end_s, TIME_DIGITS), labels.setdefault(label, len(labels))]
            for start_s, end_s, label in video.annotations
        ],
        "found": [
            [
                round(found.start_s, TIME_DIGITS),
                round(found.end_s, TIME_DIGITS),
                labels.setdefault(found.label, len(labels)),
                float(format(found.score, SCORE_FORMAT)),
                _rounded_tiou(found.tiou),
                _rounded_tiou(found.any_tiou),
            ]
            for found in video.detections
        ],
    }


def _rounded_tiou(tiou: float | None) -> float | None:
    return None if tiou is None else min(round(tiou, TIOU_DIGITS), 1.0)  # two points have an infinite one
