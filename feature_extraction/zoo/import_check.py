"""Fit of imported features and their videos: lengths, missing ids, and reach of the grid."""

from __future__ import annotations

import math
from collections.abc import Collection
from pathlib import Path

import numpy as np

from feature_extraction.zoo.import_features import Imported, ImportPlan
from feature_extraction.zoo.reach import (
    best_grid_tiou,
    cell_borders_s,
    expected_features,
    length_fits,
    likely_stride,
)
from runtime.errors import InputError
from video_datasets.annotations import AnnotationTable
from video_datasets.formats.csv_table import Column, read_csv
from video_datasets.time_grid import TimeGrid

TIOUS = (0.5, 0.75, 0.95)
ID_COLUMNS, DURATION_COLUMNS = ("video_id", "video"), ("duration_s", "duration")


def check_import(
    result: Imported, plan: ImportPlan, annotations: AnnotationTable | None, wanted: Collection[str]
) -> list[str]:
    """Compare an import with its videos; adds to `result.skipped` what is missing or of another
    length.

    Args:
        result: of the import.
        plan: of the import.
        annotations: of the data set, None where there are none.
        wanted: ids of the annotated videos that should be there.

    Returns:
        Lines for the screen.
    """
    lines = [f"imported {len(result.lengths)} videos, {result.channels} channels, {plan.dtype}"]
    lines += _check_lengths(result, plan)
    if annotations is not None:
        missing = [video_id for video_id in wanted if video_id not in result.lengths]
        for video_id in missing:
            result.skipped.setdefault(video_id, "annotated, but no features of it were found")
        extra = [video_id for video_id in result.lengths if video_id not in wanted]
        lines.append(f"annotated videos: {len(wanted)}, missing {len(missing)}, extra {len(extra)}")
        if extra:
            lines.append(f"  extra, kept: {', '.join(extra[:5])}{', ...' if len(extra) > 5 else ''}")
        lines += _check_reach(result, plan.grid, annotations, wanted)
    return lines


def wanted_ids(annotations: AnnotationTable | None, subset: str) -> dict[str, None]:
    """Return the ids of a subset's videos ("": of all), in file order, as the keys of a dict.

    Raises:
        InputError: if there is no such subset.
    """
    if annotations is None:
        return {}
    ids = zip(annotations.video_ids, annotations.subsets, strict=True)
    wanted = {video_id: None for video_id, own in ids if not subset or own == subset}
    if not wanted:
        raise InputError(
            f"--subset {subset}: no annotated video is in it; found {sorted(set(annotations.subsets))}"
        )
    return wanted


def _check_lengths(result: Imported, plan: ImportPlan) -> list[str]:
    known = [video_id for video_id in result.lengths if plan.durations_s.get(video_id, math.nan) > 0]
    if not known:
        return [
            "lengths: not checked, no durations are known; give --durations or annotations that have them"
        ]
    found = np.array([result.lengths[video_id] for video_id in known])
    expected = np.array([expected_features(plan.grid, plan.durations_s[video_id]) for video_id in known])
    off = [
        video_id for video_id in known
        if not length_fits(plan.grid, result.lengths[video_id], plan.durations_s[video_id])
    ]  # fmt: skip
    for video_id in off:
        result.skipped[video_id] = (
            f"kept, but has {result.lengths[video_id]} features where"
            f" {expected_features(plan.grid, plan.durations_s[video_id])} fit its {plan.durations_s[video_id]:.1f} s"
        )
    lines = [
        f"lengths of {len(known)} videos: {found.sum():,} features, expected {expected.sum():,};"
        f" equal {np.sum(found == expected)}, one off {np.sum(abs(found - expected) == 1)},"
        f" beyond 1 s and 2 % {len(off)}"
    ]
    stride = likely_stride(plan.grid, found, expected)
    if len(known) > 1 and len(set(found)) == 1 and len(set(expected)) > 1:
        lines.append(
            f"WARNING: every video has {found[0]} features: they look rescaled to a fixed number, which no time grid"
            f" describes"
        )
    elif stride is not None:
        lines.append(
            f"WARNING: the lengths speak for a stride of {stride} frames, not {plan.grid.stride_frames}"
        )
    else:
        lines.append(f"the lengths fit a stride of {plan.grid.stride_frames} frames")
    return lines


def _check_reach(
    result: Imported, grid: TimeGrid, annotations: AnnotationTable, wanted: Collection[str]
) -> list[str]:
    """Share of the annotated segments that some stretch of whole cells overlaps well enough."""
    order = np.argsort(annotations.video_index, kind="stable")
    segments_s = np.stack([annotations.start_s, annotations.end_s], axis=1)[order]
    bounds = np.searchsorted(annotations.video_index[order], np.arange(len(annotations.video_ids) + 1))
    best = []
    for video_id, first, stop in zip(annotations.video_ids, bounds, bounds[1:], strict=False):
        if video_id in wanted and video_id in result.lengths and first < stop:
            own_s = segments_s[first:stop]
            own_s = own_s[np.isfinite(own_s).all(axis=1) & (own_s[:, 0] < own_s[:, 1])]
            best.append(best_grid_tiou(own_s, cell_borders_s(grid, result.lengths[video_id])))
    if not best:
        return ["reach: no labelled segments in these videos"]
    reached = np.concatenate(best)
    shares = ", ".join(f"{np.mean(reached >= tiou):.1%} at tIoU {tiou:g}" for tiou in TIOUS)
    return [
        f"reach: of {len(reached):,} annotated segments, stretches of whole cells"
        f" ({grid.stride_frames / grid.fps:.4f} s) can match {shares}"
    ]


def read_durations(path: Path) -> dict[str, float]:
    """Read durations in seconds from a CSV with a header, e.g. EPIC_100_video_info.csv or export's
    durations.csv.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if a column is missing or values are no numbers; the message lists them by line.
    """
    table = read_csv(path, (Column(ID_COLUMNS), Column(DURATION_COLUMNS)))
    found = {
        video_id: table.seconds(line, duration, table.names[1]) if duration else math.nan
        for line, (video_id, duration) in table.rows
    }
    table.refuse_errors()
    return found


def durations_of(annotations: AnnotationTable | None, path: Path | None) -> dict[str, float]:
    """Collect durations of videos, those of a CSV before those of the annotations."""
    found = {}
    if annotations is not None:
        pairs = zip(annotations.video_ids, annotations.durations_s.tolist(), strict=True)
        found = {video_id: duration_s for video_id, duration_s in pairs if duration_s > 0}
    return found | (read_durations(path) if path is not None else {})
