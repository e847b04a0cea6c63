"""The page of two labellings: agreement, time budgets, confusion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from markupsafe import Markup

from evaluation.files.sanity import encodable
from evaluation.report.fragments import table
from evaluation.report.page import Section, render_page
from runtime.atomic import write_text

TITLES = {
    "frames": "Cells of time",
    "budgets": "Bouts and time budgets",
    "confusion": "Confusion of cells",
    "points": "Point events",
    "rates": "Rates of point events",
}


def write_behaviour_page(
    path: Path, summary: str, tables: Mapping[str, Sequence[Sequence[str]]], lost: Sequence[str]
) -> None:
    """Write the page.

    Args:
        path: HTML file.
        summary: lines on top.
        tables: name -> rows with a header, see `evaluation.behaviour.tables_of`.
        lost: what was left out.
    """
    sections = [
        Section(name, TITLES[name], table([[encodable(cell) for cell in row] for row in rows]))
        for name, rows in tables.items()
    ]
    if lost:
        items = Markup("").join(Markup("<li>{}</li>").format(encodable(line)) for line in lost)
        sections.append(Section("lost", "Left out", Markup('<ul class="notes">{}</ul>').format(items)))
    write_text(
        path, render_page("Agreement of two labellings", encodable(summary.replace("\n", " · ")), sections)
    )
