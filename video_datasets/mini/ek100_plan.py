"""Plan of mini-EK100: kitchens, videos in time-reversed pairs, and their actions, from the seed.

A verb is a motion, a noun is an object; any verb may happen to any noun. Actions are short and
dense, and some overlap the next one. Every video has a twin, its exact time reversal, in which
every action has the reversed verb and the same noun.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from video_datasets.mini.motions import MOTIONS, Motion
from video_datasets.mini.plan import MiniSize
from video_datasets.mini.timeline import Clock

STANDARD_SIZE = MiniSize(training=40, validation=14, testing=2, duration_s=(30.0, 90.0))

VERB_NUMBERS = {
    "Moving closer": 0,
    "Moving away": 1,
    "Opening": 3,
    "Closing": 4,
    "Rising": 38,
    "Falling": 39,
    "Heating up": 95,
    "Cooling down": 96,
}
"""Class numbers of the motions, within the official 0 to 96."""


@dataclass(frozen=True)
class Noun:
    """An object that one frame shows to be what it is: by outline, and by colour and stripes of its
    band.

    Attributes:
        number: class number, within the official 0 to 299.
        name: class name.
        band_rgb: colour of its band.
        exponent: of the outline, one of `actor.EXPONENTS`.
        stripes: how often its band turns dark on the way round.
    """

    number: int
    name: str
    band_rgb: tuple[float, float, float]
    exponent: float
    stripes: int


NOUNS = (
    Noun(2, "violet disc", (120.0, 20.0, 235.0), 2.0, 0),
    Noun(13, "red box", (235.0, 25.0, 30.0), 6.0, 0),
    Noun(84, "green diamond", (20.0, 225.0, 50.0), 1.0, 0),
    Noun(137, "striped pink box", (245.0, 60.0, 215.0), 6.0, 8),
    Noun(204, "striped cyan disc", (30.0, 220.0, 240.0), 2.0, 6),
    Noun(299, "striped orange diamond", (245.0, 130.0, 10.0), 1.0, 8),
)

RATES = (Fraction(60000, 1001), Fraction(50), Fraction(30000, 1001))
EXTENSION_RATE = Fraction(50)
"""Videos of the extension have it, and only they."""
PAIRS_PER_KITCHEN = 2
NUM_SUBSETS = 3
"""Participants belong to training, validation and testing in turn; each has one kitchen."""
DURATION_STEPS = 8
"""Lengths are drawn from so many parts of their range in turn, so that every seed gives about as
many hours."""

ACTION_S = (0.8, 3.0)
MARGIN_S = 0.3
GAP_S = (0.15, 1.0)
OVERLAP_PROBABILITY = 0.2
OVERLAP_SHARE = (0.15, 0.45)
"""Of the shorter of two overlapping actions."""


@dataclass(frozen=True)
class Action:
    """A motion that one object makes once, from `start_s` to `end_s`.

    Attributes:
        backwards: whether the motion's state goes from 1 to 0.
    """

    start_s: float
    end_s: float
    motion: Motion
    backwards: bool
    noun: Noun

    @property
    def verb(self) -> str:
        """Name of what happens; a key of `VERB_NUMBERS`."""
        return self.motion.labels[int(self.backwards)]

    def reversed(self, duration_s: float) -> Action:
        """Return the same action in a video that is played backwards."""
        start_s, end_s = round(duration_s - self.end_s, 2), round(duration_s - self.start_s, 2)
        return Action(start_s, end_s, self.motion, not self.backwards, self.noun)


@dataclass(frozen=True)
class KitchenVideo:
    """One video file: its name, its actions in temporal order, and when its frames are shown."""

    video_id: str
    subset: str
    actions: tuple[Action, ...]
    clock: Clock


@dataclass(frozen=True)
class KitchenTwins:
    """Two videos, exact time reversals of each other.

    Attributes:
        seed: seed of the looks of both.
        kitchen_seed: seed of size and background, shared by all videos of a participant.
    """

    seed: tuple[int, ...]
    kitchen_seed: tuple[int, ...]
    forward: KitchenVideo
    backward: KitchenVideo


def draw_plan(seed: int, size: MiniSize) -> list[KitchenTwins]:
    """Draw all twins of a data set; one depends on the seed, its subset and its place in it
    alone."""
    return [
        _draw_twins((seed, number, place), subset, place, size.duration_s)
        for number, (subset, count) in enumerate(size.subsets.items())
        for place in range(count // 2)
    ]


def _draw_twins(
    seed: tuple[int, int, int], subset: str, place: int, duration_s: tuple[float, float]
) -> KitchenTwins:
    rng = np.random.default_rng((*seed, 3))
    clock = _draw_clock(rng, place, duration_s)
    actions = draw_actions(rng, clock.duration_s)
    mirrored = tuple(action.reversed(clock.duration_s) for action in reversed(actions))
    kitchen, pair = divmod(place, PAIRS_PER_KITCHEN)
    participant = f"P{1 + NUM_SUBSETS * kitchen + seed[1]:02d}"
    extension = "1" if clock.ticks_per_s == EXTENSION_RATE else ""
    ids = [f"{participant}_{extension}{2 * pair + twin:02d}" for twin in (1, 2)]
    return KitchenTwins(
        (*seed, 4),
        (*seed[:-1], kitchen, 5),
        KitchenVideo(ids[0], subset, actions, clock),
        KitchenVideo(ids[1], subset, mirrored, clock.reversed()),
    )


def _draw_clock(rng: np.random.Generator, place: int, duration_s: tuple[float, float]) -> Clock:
    """Draw a video's length: any in the range, short ones more often."""
    shortest_s, longest_s = duration_s
    position = (5 * place % DURATION_STEPS + rng.random()) / DURATION_STEPS
    rate = RATES[place % len(RATES)]
    n_ticks = round((shortest_s + (longest_s - shortest_s) * position**3) * rate)
    return Clock(rate, np.arange(n_ticks), n_ticks)


def draw_actions(rng: np.random.Generator, duration_s: float) -> tuple[Action, ...]:
    """Draw the actions of a video: when they are, and what, every pair of motion and noun
    equally often."""
    pairs = [(motion, noun) for motion in MOTIONS for noun in NOUNS]
    order: list[int] = []
    actions = []
    for start_s, end_s in draw_dense_segments(rng, duration_s).tolist():
        order = order or rng.permutation(len(pairs)).tolist()
        motion, noun = pairs[order.pop()]
        actions.append(Action(start_s, end_s, motion, bool(rng.integers(2)), noun))
    return tuple(actions)


def draw_dense_segments(rng: np.random.Generator, duration_s: float) -> NDArray[np.float64]:
    """Draw when the actions of a video are; at most two at the same time.

    Returns:
        Shape (n, 2), n >= 1, start and end in s, rounded to 0.01 s as timestamps are, starts and
        ends increasing.
    """
    segments: list[tuple[float, float]] = []
    while True:
        length_s = ACTION_S[0] + (ACTION_S[1] - ACTION_S[0]) * rng.random() ** 1.2
        length_s = min(length_s, duration_s - 2 * MARGIN_S)
        start_s = _draw_start(rng, segments, length_s)
        if segments and start_s + length_s > duration_s - MARGIN_S:
            return np.array(segments, dtype=np.float64).round(2)
        segments.append((start_s, start_s + length_s))


def _draw_start(rng: np.random.Generator, segments: list[tuple[float, float]], length_s: float) -> float:
    """Draw where the next action starts: a gap after the last one, or a little before its end."""
    gap_s, share = rng.uniform(*GAP_S), rng.uniform(*OVERLAP_SHARE)
    overlaps = rng.random() < OVERLAP_PROBABILITY
    if not segments:
        return MARGIN_S
    last_start_s, last_end_s = segments[-1]
    if not overlaps:
        return last_end_s + gap_s
    start_s = last_end_s - share * min(length_s, last_end_s - last_start_s)
    if len(segments) > 1:  # not three at once
        start_s = max(start_s, segments[-2][1] + 0.02)
    return start_s
