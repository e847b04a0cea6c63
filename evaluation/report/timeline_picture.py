"""Pictures of ground truth against detections on a common time axis, one PNG a video."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")  # no screen is needed

from matplotlib import pyplot as plt

from evaluation.report.letters import any_letters
from runtime.atomic import atomic_path
from video_datasets.dataset import Segment

SHOWN_CLASSES = 4
"""Rows of detections: the classes of the ground truth first, then those with the best scores."""
SHOWN_DETECTIONS = 20
"""The best of a video; all two hundred would only blur the picture."""

Detection = tuple[Segment, float]


def draw_timeline(
    path: Path, video_id: str, duration_s: float, truth: Sequence[Segment], detections: Sequence[Detection]
) -> None:
    """Draw one video: a row of ground truth, if there is any, and a row of detections for each of a
    few classes.

    Args:
        path: PNG to write.
        video_id: for the title.
        duration_s: length of the time axis.
        truth: annotated segments; none where the video is not annotated.
        detections: (segment, score), by score, descending; darker means a higher score.
    """
    # A "$" in a label is a "$".
    with matplotlib.rc_context({"text.parse_math": False}), any_letters():
        figure = _figure(video_id, duration_s, truth, detections)
        with atomic_path(path) as temporary:
            figure.savefig(temporary, format="png", dpi=110)
    plt.close(figure)


def _figure(
    video_id: str, duration_s: float, truth: Sequence[Segment], detections: Sequence[Detection]
) -> Any:
    labels = _shown_labels(truth, detections)
    colours = {label: f"C{index}" for index, label in enumerate(labels)}
    rows = [*(["ground truth"] if truth else []), *labels]
    figure, axes = plt.subplots(figsize=(10, 0.9 + 0.42 * len(rows)), layout="constrained")
    for segment in truth:
        _bar(axes, 0, segment, colours[segment.label], 1.0)
    best = max((score for _, score in detections), default=1.0)
    for segment, score in reversed(detections[:SHOWN_DETECTIONS]):  # the best ones on top
        if segment.label in colours:
            _bar(axes, rows.index(segment.label), segment, colours[segment.label], score / best)
    axes.set_yticks(range(len(rows)), rows)
    axes.set_ylim(max(len(rows), 1) - 0.5, -0.5)
    axes.set_xlim(0, duration_s)
    axes.set_xlabel("time (s)")
    what = "ground truth and the best" if truth else "the best"
    axes.set_title(
        f"{video_id}: {what} {SHOWN_DETECTIONS} detections (opacity = score / {best:.2f})", fontsize=10
    )
    axes.grid(axis="x", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def _shown_labels(truth: Sequence[Segment], detections: Sequence[Detection]) -> list[str]:
    annotated = dict.fromkeys(segment.label for segment in truth)
    detected = dict.fromkeys(segment.label for segment, _ in detections[:SHOWN_DETECTIONS])
    others = [label for label in detected if label not in annotated]
    return [*annotated, *others[: max(SHOWN_CLASSES - len(annotated), 0)]]


def _bar(axes: Any, row: int, segment: Segment, colour: str, opacity: float) -> None:
    length_s = segment.end_s - segment.start_s
    axes.barh(
        row,
        length_s,
        left=segment.start_s,
        height=0.6,
        color=colour,
        alpha=0.15 + 0.85 * opacity,
        linewidth=0,
    )
    axes.barh(row, length_s, left=segment.start_s, height=0.6, fill=False, edgecolor=colour, alpha=opacity)
