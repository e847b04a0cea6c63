"""Section of the report: how much of the ground truth the time grid and BMN's map can reach at all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from bmn.weights import window_grid
from bmn.windows import WindowGrid
from evaluation.files.protocols import PROTOCOLS
from evaluation.report.charts import Series, figure, line_chart
from evaluation.report.fragments import grid, table
from evaluation.report.page import Section
from feature_extraction import FeatureStore
from pipeline.reach import best_tiou, best_tiou_in_windows, recall_bound
from runtime.schema import BmnConfig, RunConfig
from video_datasets.annotations import AnnotationTable
from video_datasets.time_grid import TimeGrid, num_grid_frames

TIOUS = np.linspace(0.0, 1.0, 21)
STYLES = ("seq-1", "seq-5", "seq-9")


@dataclass(frozen=True)
class Reach:
    """The best fit of every annotation.

    Attributes:
        best: what may be said -> (n,) highest tIoU; 0 in videos without features.
        cells: (n,) length of the annotation in BMN's cells; NaN in videos without features.
    """

    best: dict[str, NDArray[np.float64]]
    cells: NDArray[np.float64]


def reach_section(config: RunConfig, truth: AnnotationTable, features: Path) -> Section:
    """Upper bound of recall at every tIoU.

    Args:
        config: of the run.
        truth: annotations of the subset that is evaluated.
        features: folder of the run's feature store; where there is none, annotated durations stand in.
    """
    store = FeatureStore(features) if features.is_dir() and any(features.glob("*.h5")) else None
    reach = measure_reach(config, truth, store)
    percent = {name: 100 * recall_bound(best, TIOUS) for name, best in reach.best.items()}
    lines = [
        Series(name, values.tolist(), style)
        for (name, values), style in zip(percent.items(), STYLES, strict=True)
    ]
    chart = figure(
        "Upper bound of recall",
        "Share of the annotations that the best possible choice of segments overlaps enough.",
        line_chart(TIOUS.tolist(), lines, "tIoU", "recall (%)"),
        lines,
    )
    tious = np.array(PROTOCOLS[config.evaluation.protocol].tiou_thresholds)
    rows = [["bound of recall (%) at tIoU", *(f"{tiou:.2f}" for tiou in tious), "average"]]
    for name, best in reach.best.items():
        bounds = 100 * recall_bound(best, tious)
        rows.append([name, *(f"{value:.2f}" for value in bounds), f"{bounds.mean():.2f}"])
    words = Markup("").join(
        Markup("<p>{}</p>").format(text) for text in _words(config, reach, measured=store is not None)
    )
    return Section("reach", "Reach", words + table(rows) + grid([chart]))


def measure_reach(config: RunConfig, truth: AnnotationTable, store: FeatureStore | None) -> Reach:
    """Fit every annotation, video by video."""
    time_grid = TimeGrid.from_config(config.grid)
    windows = window_grid(config.bmn, time_grid)
    names = _names(config.bmn, time_grid, windows)
    best = {name: np.zeros(len(truth.labels)) for name in names}
    cells = np.full(len(truth.labels), np.nan)
    order = np.argsort(truth.video_index, kind="stable")
    first = np.searchsorted(truth.video_index[order], np.arange(len(truth.video_ids) + 1))
    for video, video_id in enumerate(truth.video_ids):
        rows = order[first[video] : first[video + 1]]
        length = _length(video_id, float(truth.durations_s[video]), store, time_grid)
        if not len(rows) or length is None:
            continue
        duration_s, num_features = length
        segments_s = np.stack([truth.start_s[rows], truth.end_s[rows]], axis=1)
        cell_s = windows.cell_s if windows else duration_s / config.bmn.tscale
        cells[rows] = np.diff(segments_s)[:, 0] / cell_s
        strides = math.ceil(duration_s / time_grid.stride_s)
        fits = [best_tiou(segments_s / time_grid.stride_s, strides)]
        for spared in (0, 1):  # proposals never end on the last boundary (`proposals.candidates`)
            if windows:
                found = best_tiou_in_windows(
                    segments_s / cell_s,
                    windows.first_cells(duration_s, num_features),
                    windows.tscale,
                    config.bmn.dscale,
                    windows.num_cells(duration_s, num_features) - spared,
                )
            else:
                found = best_tiou(segments_s / cell_s, config.bmn.tscale - spared, config.bmn.dscale)
            fits.append(found)
        for name, values in zip(names, fits, strict=True):
            best[name][rows] = values
    return Reach(best, cells)


def _length(
    video_id: str, annotated_s: float, store: FeatureStore | None, time_grid: TimeGrid
) -> tuple[float, int] | None:
    """Duration and number of features; None where there are none."""
    if store is not None:
        return (store.duration_s(video_id), store.info(video_id).shape[0]) if video_id in store else None
    if not annotated_s > 0:
        return None
    return annotated_s, time_grid.num_features(num_grid_frames(annotated_s, time_grid.fps))


def _names(config: BmnConfig, time_grid: TimeGrid, windows: WindowGrid | None) -> tuple[str, str, str]:
    where = f"windows of {windows.window_s:.1f} s" if windows else "whole video"
    return (
        f"feature grid, {time_grid.stride_s:.3f} s",
        f"BMN's map, {config.tscale} x {config.dscale} cells, {where}",
        "its candidates, which end before the last boundary",
    )


def _words(config: RunConfig, reach: Reach, *, measured: bool) -> Sequence[str]:
    known = reach.cells[~np.isnan(reach.cells)]
    texts = [
        "A segment starts and ends on the boundaries of a grid, and BMN's map has a longest one. However good the "
        "network, no more annotations can be found than the best of these segments fit; the bound of mAP is no higher."
    ]
    if len(known):
        texts.append(
            f"Of {len(known)} annotations {np.count_nonzero(known < 1)} are shorter than a cell of BMN, and "
            f"{np.count_nonzero(known > config.bmn.dscale)} longer than its longest segment."
        )
    if len(known) < len(reach.cells):
        texts.append(
            f"{len(reach.cells) - len(known)} annotations are in videos of unknown length or without features."
        )
    if not measured:
        texts.append("There are no features yet: annotated durations stand in for those of the videos.")
    return texts
