"""Figures of point events, which have a time and no length: counts, rates, latencies, agreement of
two observers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evaluation.metrics.behaviour import cohens_kappa, share


@dataclass(frozen=True)
class PointScore:
    """Events of one label in the other labelling against the reference.

    Attributes:
        reference_events: how many.
        other_events: likewise.
        paired: as many pairs, one to one, as there can be within the tolerance.
        tolerance_s: largest distance of a pair.
        observed_s: time that both have watched.
    """

    label: str
    reference_events: int
    other_events: int
    paired: int
    tolerance_s: float
    observed_s: float

    @property
    def precision(self) -> float:
        """Share of the other's events that are paired, NaN without any."""
        return share(self.paired, self.other_events)

    @property
    def recall(self) -> float:
        """Share of the reference's events that are paired, NaN without any."""
        return share(self.paired, self.reference_events)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall, 0 without a pair; NaN where neither has the
        label."""
        return share(2 * self.paired, self.reference_events + self.other_events)

    @property
    def kappa(self) -> float:
        """Cohen's kappa over moments: each pair and each lone event is one, and the rest of the
        observed time is moments without an event, each as long as the window (twice the
        tolerance)."""
        alone = self.reference_events - self.paired, self.other_events - self.paired
        moments = self.observed_s / (2 * self.tolerance_s)
        neither = max(moments - self.paired - sum(alone), 0.0)
        return cohens_kappa(np.array([[self.paired, alone[0]], [alone[1], neither]]))


@dataclass(frozen=True)
class PointRate:
    """Events of one label by one observer.

    Attributes:
        events: how many.
        per_minute: of observed time, NaN without any.
        latency_s: first event from the start of its video, mean over videos that have one; NaN
            without.
    """

    label: str
    events: int
    per_minute: float
    latency_s: float


def point_rate(label: str, times_s: Sequence[np.ndarray], durations_s: Sequence[float]) -> PointRate:
    """Count the events of one label by one observer.

    Args:
        label: of all the events.
        times_s: (n,) per video, in its observed time.
        durations_s: observed, per video.
    """
    n_events = sum(len(times) for times in times_s)
    firsts = [float(times.min()) for times in times_s if len(times)]
    return PointRate(
        label,
        n_events,
        share(n_events, sum(durations_s) / 60),
        float(np.mean(firsts)) if firsts else math.nan,
    )
