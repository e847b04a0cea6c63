"""The tables as text: mini results beside the paper's column, and where their order differs."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.ablations.paper import Table

LABEL_WIDTH = 34
Figures = Mapping[str, float]
"""Of one training, see `training.train`."""


@dataclass(frozen=True)
class Spread:
    """Mean and sample standard deviation over seeds, in percent; one seed has no deviation."""

    mean: float
    deviation: float | None
    seeds: int

    @classmethod
    def of(cls, trainings: Sequence[Figures], name: str) -> Spread:
        """Summarise one figure of the trainings of a row, at least one."""
        values = [100 * figures[name] for figures in trainings]
        deviation = statistics.stdev(values) if len(values) > 1 else None
        return cls(statistics.mean(values), deviation, len(values))

    def __str__(self) -> str:
        """As printed, e.g. "81.0 ± 1.3"."""
        return f"{self.mean:.1f}" + ("" if self.deviation is None else f" ± {self.deviation:.1f}")


def table_text(table: Table, trainings: Mapping[str, Sequence[Figures]]) -> str:
    """Return one table: a line a row, then what holds of the paper's order.

    Args:
        trainings: label -> figures, one entry a seed; labels without a finished training are shown
            empty.
    """
    lines = [
        table.title,
        f"  {'mini results, in percent':{LABEL_WIDTH}}{'seeds':>5}  {'clip accuracy':>13}  {'within pair':>12}"
        f"  {'of pair':>11}  {'paper, SSV2':>11}",
    ]
    for label, row in table.rows.items():
        done = trainings.get(label, ())
        cells = [
            str(Spread.of(done, name)) if done else "-" for name in ("accuracy", "within_pair", "of_pair")
        ]
        paper = "-" if row.paper is None else f"{row.paper:.1f}"
        lines.append(
            f"  {label:{LABEL_WIDTH}}{len(done):>5}  {cells[0]:>13}  {cells[1]:>12}  {cells[2]:>11}  {paper:>11}"
        )
    return "\n".join(lines + [f"  {line}" for line in order_lines(table, trainings)]) + "\n"


def order_lines(table: Table, trainings: Mapping[str, Sequence[Figures]]) -> list[str]:
    """Say of each pair of the paper's order whether the mini results have it."""
    lines = []
    for worse, better in table.order:
        if not (trainings.get(worse) and trainings.get(better)):
            continue
        low, high = (Spread.of(trainings[label], "accuracy") for label in (worse, better))
        verdict = "the paper's order" if high.mean > low.mean else "NOT the paper's order"
        if abs(high.mean - low.mean) <= max(low.deviation or 0, high.deviation or 0):
            verdict += ", but within the spread of the seeds"
        lines.append(f"{worse} {low.mean:.1f} | {better} {high.mean:.1f}: {verdict}")
    return lines


LEGEND = (
    "clip accuracy: of the 8 classes. within pair: the class scores better than its time reversal (chance 50).\n"
    "of pair: the pair is right, whichever direction is told. ±: standard deviation over seeds.\n"
    "paper: only what we could confirm (benchmarks/ablations/paper.py)."
)
