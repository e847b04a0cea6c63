"""Figures of behaviour research: frames, bouts, time budgets, latencies, agreement of two
observers.

Two observers (or one and a model) label the same videos. Time is cut into cells of one length; in a
cell each observer says which labels hold. Cells are counted per label, since labels may overlap;
`Confusion` takes the one label of a cell where there is one.

    observer A   |  run  run  run  -    -  |         1 = the label holds in a cell
    observer B   |  -    run  run  run  -  |         agreement: 3 of 5 cells, 1 in both, 1 in A
    alone, ...
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evaluation.metrics.pairing import pair_events

NO_LABEL = "(none)"
"""Of cells in which no label holds."""


@dataclass(frozen=True)
class FrameScore:
    """Cells of one label in the other labelling against the reference, as precision, recall and
    F1 in [0, 1]."""

    label: str
    reference_cells: int
    other_cells: int
    both_cells: int

    @property
    def precision(self) -> float:
        """Share of the other's cells that the reference has, NaN without any."""
        return share(self.both_cells, self.other_cells)

    @property
    def recall(self) -> float:
        """Share of the reference's cells that the other has, NaN without any."""
        return share(self.both_cells, self.reference_cells)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall, 0 without a common cell; NaN where neither has
        the label."""
        return share(2 * self.both_cells, self.reference_cells + self.other_cells)


@dataclass(frozen=True)
class Budget:
    """Bouts of one label by one observer.

    Attributes:
        bouts: how many.
        total_s: sum of their durations; where they overlap, time counts once.
        share: of the observed time, in [0, 1].
        mean_s: duration of a bout, NaN without any.
        std_s: its sample standard deviation, NaN with fewer than two.
        latency_s: start of the first bout from the start of its video, mean over videos that have
            one; NaN without.
    """

    label: str
    bouts: int
    total_s: float
    share: float
    mean_s: float
    std_s: float
    latency_s: float


def share(part: float, whole: float) -> float:
    """`part` of `whole`, NaN where there is nothing of it."""
    return part / whole if whole else math.nan


def active_cells(segments_s: np.ndarray, n_cells: int, cell_s: float) -> np.ndarray:
    """Cells whose middle lies in any of some segments.

    Args:
        segments_s: (n, 2) start and end in seconds, end excluded.
        n_cells: T.
        cell_s: length of a cell.

    Returns:
        (T,) bool.

    >>> active_cells(np.array([[1.0, 3.0]]), 5, 1.0).astype(int).tolist()
    [0, 1, 1, 0, 0]
    """
    changes = np.zeros(n_cells + 1, dtype=np.int64)
    # A cell's middle is (t + 0.5) cells: the first one at or behind the start, the first one at or
    # behind the end.
    edges = np.clip(np.ceil(np.asarray(segments_s, dtype=float).reshape(-1, 2) / cell_s - 0.5), 0, n_cells)
    np.add.at(changes, edges[:, 0].astype(np.int64), 1)
    np.add.at(changes, np.maximum(edges[:, 1], edges[:, 0]).astype(np.int64), -1)
    return np.cumsum(changes[:-1]) > 0


def frame_score(label: str, reference: np.ndarray, other: np.ndarray) -> FrameScore:
    """Count the cells of one label, bool arrays of one shape."""
    both = int(np.count_nonzero(reference & other))
    return FrameScore(label, int(np.count_nonzero(reference)), int(np.count_nonzero(other)), both)


def cell_confusion(reference: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Confusion matrix of cells.

    A cell with several labels counts for each pair of them in equal parts, so that every cell has
    the weight 1; labels that both observers give a cell are paired with themselves first.

    Args:
        reference: (T, K) bool.
        other: (T, K) bool.

    Returns:
        (K + 1, K + 1) float64: rows the reference, columns the other; the last of each is no label.
    """
    n_labels = reference.shape[1]
    matrix = np.zeros((n_labels + 1, n_labels + 1))
    combined = np.concatenate([reference, other], axis=1)
    patterns, counts = np.unique(combined, axis=0, return_counts=True)
    for pattern, count in zip(patterns, counts.tolist(), strict=True):
        pairs = _pairs(pattern[:n_labels], pattern[n_labels:])
        for row, column in pairs:
            matrix[row, column] += count / len(pairs)
    return matrix


def _pairs(reference: np.ndarray, other: np.ndarray) -> list[tuple[int, int]]:
    """Which labels of a cell stand for which: common ones for themselves, the rest each for
    each."""
    none = len(reference)
    common = [(int(k), int(k)) for k in np.flatnonzero(reference & other)]
    rows = np.flatnonzero(reference & ~other).tolist()
    columns = np.flatnonzero(other & ~reference).tolist()
    if not rows and not columns:
        return common or [(none, none)]
    return common + [(row, column) for row in rows or [none] for column in columns or [none]]


def cohens_kappa(matrix: np.ndarray) -> float:
    """Agreement beyond chance of a confusion matrix (Cohen 1960); NaN where chance alone would
    agree everywhere.

    >>> round(cohens_kappa(np.array([[20.0, 5.0], [10.0, 15.0]])), 3)
    0.4
    """
    total = matrix.sum()
    if not total:
        return math.nan
    observed = np.trace(matrix) / total
    by_chance = float((matrix.sum(axis=0) * matrix.sum(axis=1)).sum()) / total**2
    return math.nan if by_chance >= 1 else float((observed - by_chance) / (1 - by_chance))


Events = Sequence[tuple[float, str]]
"""Time in seconds and label of each."""


def event_confusion(reference_s: Events, other_s: Events, tolerance_s: float) -> np.ndarray:
    """Confusion matrix of events, with a window of tolerance.

    Events are the starts of bouts, and point events. First those of one label pair, as many as
    there can be, then likewise what is left, whatever the labels; an event that is still alone is
    paired with no event.

    Args:
        reference_s: (time, label) of each event of one video, or of several set apart by more than
            the window.
        other_s: likewise.
        tolerance_s: half width of the window.

    Returns:
        (K + 1, K + 1) float64 of the sorted labels: rows the reference, columns the other; the
        last of each is no event.
    """
    labels = sorted({label for _, label in (*reference_s, *other_s)})
    matrix = np.zeros((len(labels) + 1, len(labels) + 1))
    left: tuple[list[tuple[float, int]], ...] = ([], [])
    for number, label in enumerate(labels):
        of_label = [[time_s for time_s, of in events if of == label] for events in (reference_s, other_s)]
        pairs = pair_events(of_label[0], of_label[1], tolerance_s)
        matrix[number, number] = len(pairs)
        for side, times_s in enumerate(of_label):
            taken = {pair[side] for pair in pairs}
            left[side].extend((time_s, number) for i, time_s in enumerate(times_s) if i not in taken)
    first, second = map(sorted, left)
    for i, j in pair_events([time_s for time_s, _ in first], [time_s for time_s, _ in second], tolerance_s):
        matrix[first[i][1], second[j][1]] += 1
    events, other_events = (Counter(label for _, label in both) for both in (reference_s, other_s))
    matrix[:-1, -1] = [events[label] for label in labels] - matrix.sum(axis=1)[:-1]
    matrix[-1, :-1] = [other_events[label] for label in labels] - matrix.sum(axis=0)[:-1]
    return matrix


def budget(label: str, segments_s: Sequence[np.ndarray], durations_s: Sequence[float]) -> Budget:
    """Bouts, time and latency of one label by one observer.

    Args:
        label: of all the segments.
        segments_s: (n, 2) per video, in its observed time.
        durations_s: observed, per video.
    """
    lengths = np.concatenate([found[:, 1] - found[:, 0] for found in segments_s] or [np.zeros(0)])
    total_s = sum(_union_s(found) for found in segments_s)
    latencies = [float(found[:, 0].min()) for found in segments_s if len(found)]
    return Budget(
        label,
        len(lengths),
        total_s,
        share(total_s, sum(durations_s)),
        float(lengths.mean()) if len(lengths) else math.nan,
        float(lengths.std(ddof=1)) if len(lengths) > 1 else math.nan,
        float(np.mean(latencies)) if latencies else math.nan,
    )


def _union_s(segments_s: np.ndarray) -> float:
    """Time that any of some segments covers."""
    total_s, end_s = 0.0, -math.inf
    for start_s, stop_s in sorted(map(tuple, segments_s.tolist())):
        total_s += max(0.0, stop_s - max(start_s, end_s))
        end_s = max(end_s, stop_s)
    return total_s
