"""Section of the report: how much of the ground truth the time grid and the head can reach at
all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from evaluation.report.charts import Series, figure, line_chart
from evaluation.report.fragments import grid, table
from evaluation.report.page import Section
from evaluation.run import run_protocol
from feature_extraction import FeatureStore
from proposals.heads import HeadReach, head_of
from runtime.sections import RunConfig
from video_datasets.annotations import AnnotationTable
from video_datasets.reach import best_tiou, recall_bound
from video_datasets.time_grid import TimeGrid, num_grid_frames

TIOUS = np.linspace(0.0, 1.0, 21)
STYLES = ("seq-1", "seq-5", "seq-9")


@dataclass(frozen=True)
class Reach:
    """The best fit of every annotation.

    Attributes:
        best: what may be said -> (n,) highest tIoU; 0 in videos without features.
        lengths: (n,) length of the annotation in the head's own units; NaN in videos without
            features.
        head: whose.
    """

    best: dict[str, NDArray[np.float64]]
    lengths: NDArray[np.float64]
    head: HeadReach


def reach_section(config: RunConfig, truth: AnnotationTable, features: Path) -> Section:
    """Upper bound of recall at every tIoU.

    Args:
        config: of the run.
        truth: annotations of the subset that is evaluated.
        features: folder of the run's feature store; where there is none, annotated durations stand
            in.
    """
    store = FeatureStore(features) if features.is_dir() and any(features.glob("*.h5")) else None
    reach = measure_reach(config, truth, store)
    percent = {name: 100 * recall_bound(best, TIOUS) for name, best in reach.best.items()}
    lines = [
        Series(name, values.tolist(), style)
        for (name, values), style in zip(percent.items(), STYLES, strict=False)  # a head may say any segment
    ]
    chart = figure(
        "Upper bound of recall",
        "Share of the annotations that the best possible choice of segments overlaps enough.",
        line_chart(TIOUS.tolist(), lines, "tIoU", "recall (%)"),
        lines,
    )
    tious = np.array(run_protocol(config).tiou_thresholds)
    columns = [["bound of recall (%) at tIoU", *(f"{tiou:.2f}" for tiou in tious), "average"]]
    for name, best in reach.best.items():
        bounds = 100 * recall_bound(best, tious)
        columns.append([name, *(f"{value:.2f}" for value in bounds), f"{bounds.mean():.2f}"])
    words = Markup("").join(
        Markup("<p>{}</p>").format(text) for text in _words(reach, measured=store is not None)
    )
    rows = list(zip(*columns, strict=True))
    return Section("reach", "Reach", words + table(rows) + grid([chart]))


def measure_reach(config: RunConfig, truth: AnnotationTable, store: FeatureStore | None) -> Reach:
    """Fit every annotation, video by video."""
    time_grid, head = config.grid, head_of(config).reach(config)
    names = (f"feature grid, {time_grid.stride_s:.3f}\u00a0s", *head.names)
    best = {name: np.zeros(len(truth.labels)) for name in names}
    lengths = np.full(len(truth.labels), np.nan)
    order = np.argsort(truth.video_index, kind="stable")
    first = np.searchsorted(truth.video_index[order], np.arange(len(truth.video_ids) + 1))
    for video, video_id in enumerate(truth.video_ids):
        rows = order[first[video] : first[video + 1]]
        length = _length(video_id, float(truth.durations_s[video]), store, time_grid)
        if not len(rows) or length is None:
            continue
        duration_s, num_features = length
        segments_s = np.stack([truth.start_s[rows], truth.end_s[rows]], axis=1)
        strides = math.ceil(duration_s / time_grid.stride_s)
        fits = (
            best_tiou(segments_s / time_grid.stride_s, strides),
            *head.best(segments_s, duration_s, num_features),
        )
        lengths[rows] = head.lengths(segments_s, duration_s)
        for name, values in zip(names, fits, strict=True):
            best[name][rows] = values
    return Reach(best, lengths, head)


def _length(
    video_id: str, annotated_s: float, store: FeatureStore | None, time_grid: TimeGrid
) -> tuple[float, int] | None:
    """Duration and number of features; None where there are none."""
    if store is not None:
        return (store.duration_s(video_id), store.info(video_id).shape[0]) if video_id in store else None
    if not annotated_s > 0:
        return None
    return annotated_s, time_grid.num_features(num_grid_frames(annotated_s, time_grid.fps))


def _words(reach: Reach, *, measured: bool) -> Sequence[str]:
    known = reach.lengths[~np.isnan(reach.lengths)]
    texts = [
        "A segment starts and ends on the boundaries of a grid, and may have a longest one. However good the "
        "network, no more annotations can be found than the best of these segments fit; the bound of mAP is no higher."
    ]
    if len(known):
        texts.append(reach.head.remark(known))
    if len(known) < len(reach.lengths):
        texts.append(
            f"{len(reach.lengths) - len(known)} annotations are in videos of unknown length or without features."
        )
    if not measured:
        texts.append("There are no features yet: annotated durations stand in for those of the videos.")
    return texts
