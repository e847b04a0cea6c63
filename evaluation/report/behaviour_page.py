"""The page of two labellings: agreement, time budgets, confusion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from markupsafe import Markup

from evaluation.agreement import Agreement
from evaluation.report.fragments import cards, matrix
from evaluation.report.page import Section, render_page
from runtime.atomic import write_text
from runtime.text import encodable

TITLES = {
    "frames": "Cells of time",
    "budgets": "Bouts and time budgets",
    "confusion": "Confusion of cells",
    "points": "Point events",
    "rates": "Rates of point events",
}


def write_behaviour_page(
    path: Path,
    summary: str,
    found: Agreement,
    tables: Mapping[str, Sequence[Sequence[str]]],
    lost: Sequence[str],
) -> None:
    """Write the page.

    Args:
        path: HTML file.
        summary: lines on top.
        found: what the tables are of.
        tables: name -> rows with a header, see `evaluation.behaviour.tables_of`.
        lost: what was left out.
    """
    sections = [Section(name, TITLES[name], _body(name, rows, found)) for name, rows in tables.items()]
    if lost:
        items = Markup("").join(Markup("<li>{}</li>").format(encodable(line)) for line in lost)
        sections.append(Section("lost", "Left out", Markup('<ul class="notes">{}</ul>').format(items)))
    write_text(
        path, render_page("Agreement of two labellings", encodable(summary.replace("\n", " · ")), sections)
    )


def _body(name: str, rows: Sequence[Sequence[str]], found: Agreement) -> Markup:
    if name == "confusion":
        return matrix(rows[0][0], [encodable(cell) for cell in rows[0][1:]], found.matrix)
    return cards([[encodable(cell) for cell in row] for row in rows])
