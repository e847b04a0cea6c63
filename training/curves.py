"""The curves of a training as a picture: every loss and figure over the epochs, training and
validation together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from runtime.atomic import atomic_path

VALIDATION_PREFIX = "validation_"
NOT_DRAWN = ("epoch", "step")
MAX_COLUMNS = 3


def draw_curves(metrics: Sequence[dict[str, float]], path: Path) -> None:
    """Draw the lines of metrics.jsonl as a PNG, one panel a figure.

    Args:
        metrics: at least one line, with "epoch"; a figure may be missing in some of them.
        path: of the picture.
    """
    # Takes its time to load; the figure without pyplot needs no screen.
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    panels = panel_names(metrics)
    columns = min(len(panels), MAX_COLUMNS)
    rows = math.ceil(len(panels) / columns)
    figure = Figure(figsize=(4 * columns, 2.8 * rows), layout="constrained")
    for place, panel in enumerate(panels, start=1):
        axes = figure.add_subplot(rows, columns, place)
        for name, label, colour in (
            (panel, "training", "C0"),
            (VALIDATION_PREFIX + panel, "validation", "C1"),
        ):
            points = [(line["epoch"], line[name]) for line in metrics if name in line]
            if points:
                # Markers: validation may come in few epochs, and an only point has no line.
                axes.plot(*zip(*points, strict=True), label=label, color=colour, marker="o", markersize=3)
        axes.set_title(panel.replace("_", " "), fontsize=10)
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        if panel != "learning_rate":
            axes.legend(fontsize=8)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120)


def panel_names(metrics: Sequence[dict[str, float]]) -> list[str]:
    """Return the names of figures, "validation_" cut off, in the order of the lines; the learning
    rate last.

    >>> panel_names([{"epoch": 1, "learning_rate": 0.1, "loss": 2.0, "validation_loss": 3.0}])
    ['loss', 'learning_rate']
    """
    names = [
        name.removeprefix(VALIDATION_PREFIX) for line in metrics for name in line if name not in NOT_DRAWN
    ]
    return sorted(dict.fromkeys(names), key=lambda name: name == "learning_rate")
