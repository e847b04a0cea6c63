"""Times of a mini video's frames and of its instances."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

FRAME_RATES = (Fraction(24), Fraction(25), Fraction(30000, 1001), Fraction(30), Fraction(50))
VARIABLE_RATE_TICKS = Fraction(30)
"""The variable-rate videos count their frame times in 1/30 s and lack some of the frames."""
DROP_PROBABILITY = 0.2
N_CLOCKS = len(FRAME_RATES) + 1

FULL_DURATION_S = 18.0
"""Videos at least this long have instances and gaps of full length; in shorter ones they shrink
along."""
INSTANCE_S = (3.5, 9.0)
MIN_GAP_S = 0.8
INSTANCES = (2, 5)


@dataclass(frozen=True)
class Clock:
    """Frame k is shown from ticks[k] / ticks_per_s to ticks[k + 1] / ticks_per_s, the last one
    until n_ticks.

    Attributes:
        ticks_per_s: the frame rate, or of a variable-rate video the rate before frames were
            dropped.
        ticks: shape (frames,), increasing, from 0.
        n_ticks: end of the video.
    """

    ticks_per_s: Fraction
    ticks: NDArray[np.int64]
    n_ticks: int

    @property
    def duration_s(self) -> float:
        """Length of the video."""
        return float(self.n_ticks / self.ticks_per_s)

    @property
    def frame_ticks(self) -> NDArray[np.int64]:
        """Shape (frames,): how many ticks each frame is shown."""
        return np.diff(self.ticks, append=self.n_ticks)

    @property
    def middles_s(self) -> NDArray[np.float64]:
        """Shape (frames,): the middle of the time that each frame is shown, which mirrors
        exactly in time."""
        middles: NDArray[np.float64] = (self.ticks + self.frame_ticks / 2) / float(self.ticks_per_s)
        return middles

    def reversed(self) -> Clock:
        """Return the clock of the same video played backwards."""
        return Clock(self.ticks_per_s, (self.n_ticks - self.ticks - self.frame_ticks)[::-1], self.n_ticks)


def draw_clock(rng: np.random.Generator, kind: int, duration_s: tuple[float, float]) -> Clock:
    """Draw a video's length and the times of its frames.

    Args:
        rng: source of the length and of the dropped frames.
        kind: 0 to N_CLOCKS - 1; the last one is the variable rate.
        duration_s: range of lengths.
    """
    variable = kind == len(FRAME_RATES)
    rate = VARIABLE_RATE_TICKS if variable else FRAME_RATES[kind]
    n_ticks = max(4, round(rng.uniform(*duration_s) * rate))
    ticks = np.arange(n_ticks)
    if variable:
        keep = rng.random(n_ticks) >= DROP_PROBABILITY
        keep[[0, 1, -1]] = (
            True  # first and last frame last one tick, so that the reversed video starts at 0, too
        )
        ticks = ticks[keep]
    return Clock(rate, ticks, n_ticks)


def draw_segments(rng: np.random.Generator, duration_s: float) -> NDArray[np.float64]:
    """Draw the instances of a video, with background before, between and after them.

    Returns:
        Shape (n, 2), start and end in s, rounded to 0.01 s as HACS has them, in temporal order.
    """
    scale = min(1.0, duration_s / FULL_DURATION_S)
    wanted = int(rng.integers(INSTANCES[0], INSTANCES[1] + 1))
    slack_s = -1.0
    while slack_s < 0:  # two short instances always fit
        lengths = scale * rng.uniform(*INSTANCE_S, size=wanted)
        slack_s = duration_s - lengths.sum() - (wanted + 1) * scale * MIN_GAP_S
        wanted = max(INSTANCES[0], wanted - 1)
    gaps = scale * MIN_GAP_S + slack_s * rng.dirichlet(np.full(len(lengths) + 1, 2.0))
    starts = np.cumsum(gaps[:-1]) + np.concatenate([[0.0], np.cumsum(lengths)[:-1]])
    segments: NDArray[np.float64] = np.stack([starts, starts + lengths], axis=1).round(2)
    return segments
