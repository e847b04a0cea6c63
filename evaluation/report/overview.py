"""Sections of figures: what was scored, the tables, what was found in the data, and the files."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from evaluation.files.evaluate import Evaluation
from evaluation.report.fragments import beside, table
from evaluation.report.page import Section, render_fragment
from evaluation.report.tables import data_rows, precision_rows, recall_rows, separate_title
from evaluation.results import Results
from runtime.text import encodable

READ_BYTES = 1 << 20


@dataclass(frozen=True)
class InputFile:
    """A file that the figures follow from.

    Attributes:
        role: "ground truth", "predictions", ...
        name: without its folder, so that the page does not depend on the place.
        size: bytes.
        sha256: of its content.
    """

    role: str
    name: str
    size: int
    sha256: str


def describe_file(role: str, path: Path) -> InputFile:
    """Read a file, or all files of a folder one after the other, and note name, size and hash."""
    files = sorted(part for part in path.rglob("*") if part.is_file()) if path.is_dir() else [path]
    found = hashlib.sha256()
    for part in files:
        with part.open("rb") as file:
            while block := file.read(READ_BYTES):
                found.update(block)
    return InputFile(role, path.name, sum(part.stat().st_size for part in files), found.hexdigest())


def summary_section(results: Results) -> Section:
    """The key figures as large numbers, and the tables of mAP and recall."""
    detections, proposals = (
        None if found is None else found.evaluation for found in (results.detections, results.proposals)
    )
    tables: list[Markup] = []
    if detections is not None:
        parts = {"": detections.detection} | {f", {name}": part for name, part in detections.splits.items()}
        for name, part in parts.items():
            tables += [_upright(precision_rows(part, name)), _upright(recall_rows(part, name))]
    if results.separate is not None:
        separate = results.separate.evaluation
        tables.append(_upright(precision_rows(separate.detection), separate_title(separate)))
    body = render_fragment(
        "summary.html.jinja", figures=_key_figures(detections, proposals), tables=beside(tables)
    )
    return Section("summary", "Summary", body)


def _upright(rows: Sequence[Sequence[str]], caption: str = "") -> Markup:
    """A table with a row for each tIoU, which a phone shows whole."""
    return table(list(map(list, zip(*rows, strict=True))), caption)


def _key_figures(detections: Evaluation | None, proposals: Evaluation | None) -> list[tuple[str, str, str]]:
    """Name, percent and a remark of each."""
    figures = []
    if detections is not None:
        for task, metrics in detections.detection.items():
            low, high = metrics.tiou_thresholds[[0, -1]]
            what = "average mAP" if len(detections.detection) == 1 else f"{task}: average mAP"
            figures.append((what, f"{100 * metrics.average_mAP:.2f}", f"tIoU {low:.2f} to {high:.2f}"))
        if len(detections.detection) == 1:
            (metrics,) = detections.detection.values()
            first = metrics.tiou_thresholds[0]
            figures.append(
                (f"mAP at {first:.2f}", f"{100 * metrics.mAP[0]:.2f}", f"{len(metrics.labels)} classes")
            )
            count = f"{metrics.annotation_counts.sum()} annotations"
            figures.append((f"recall at {first:.2f}", f"{100 * metrics.recall[0]:.2f}", count))
    if proposals is not None and proposals.proposals is not None:
        recall = proposals.proposals
        for point in (len(recall.an) // 2 - 1, len(recall.an) - 1):
            percent = f"{100 * recall.average_recall[point]:.2f}"
            figures.append((f"AR@{recall.an[point]:.0f}", percent, "average over tIoU"))
        figures.append(("AUC of AR@AN", f"{100 * recall.auc:.2f}", "perfect proposals have 99"))
    return figures


def data_section(evaluations: Sequence[Evaluation], files: Sequence[InputFile]) -> Section:
    """What was found in the data, in words and counts, the protocol, and the files."""
    body = render_fragment(
        "data.html.jinja",
        notes=[encodable(note) for item in evaluations for note in item.notes],
        versions=dict.fromkeys(
            ("Detections" if item.proposals is None else "Proposals", item.protocol, item.version)
            for item in evaluations
        ),
        tables=[table(data_rows(item)) for item in evaluations],
        files=files,
    )
    return Section("data", "Data and files", body)
