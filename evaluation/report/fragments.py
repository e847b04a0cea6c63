"""Small pieces of HTML that several sections share."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from evaluation.report.page import render_fragment


def table(rows: Sequence[Sequence[str]], caption: str = "") -> Markup:
    """A table whose first row is the header and whose first column names the rows; other cells
    are numbers."""
    return render_fragment("table.html.jinja", rows=rows, caption=caption)


def for_tasks(bodies: dict[str, Markup]) -> Markup:
    """Blocks of which the page shows the one of the chosen task; with a heading each if there
    are several."""
    return render_fragment("tasks.html.jinja", bodies=bodies)


def beside(parts: Sequence[Markup]) -> Markup:
    """Parts of their own widths in a row, and below each other where there is no room."""
    return Markup('<div class="beside">{}</div>').format(Markup("").join(parts))


def grid(figures: Sequence[Markup]) -> Markup:
    """Figures beside each other where there is room."""
    return Markup('<div class="grid">{}</div>').format(Markup("").join(figures))
