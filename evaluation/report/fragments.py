"""Small pieces of HTML that several sections share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from evaluation.report.page import render_fragment


def table(rows: Sequence[Sequence[str]], caption: str = "") -> Markup:
    """A table whose first row is the header and whose first column names the rows; other cells
    are numbers."""
    return render_fragment("table.html.jinja", rows=rows, caption=caption)


def cards(rows: Sequence[Sequence[str]]) -> Markup:
    """A table of many numbers, whose rows become cards on a phone."""
    return Markup('<div class="cards numbers">{}</div>').format(table(rows))


def matrix(corner: str, names: Sequence[str], counts: np.ndarray) -> Markup:
    """A confusion matrix, each cell shaded by its share of the row.

    Args:
        corner: what rows and columns are.
        names: of the K columns; the rows are the first R of them.
        counts: (R, K); parts of a count are shown to a tenth, zeros not at all.
    """
    totals = counts.sum(axis=1).tolist()
    rows = [
        (name, [(f"{round(count, 1):.12g}" if count else "", count / max(total, 1)) for count in row])
        for name, row, total in zip(names, counts.tolist(), totals, strict=False)
    ]
    return render_fragment("confusion.html.jinja", corner=corner, names=names, rows=rows)


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
