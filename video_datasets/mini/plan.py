"""Plan of a mini data set: everything about its videos but their pixels, drawn from the seed."""

from __future__ import annotations

import string
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runtime.errors import InputError
from video_datasets.mini.motions import MOTIONS, Motion
from video_datasets.mini.timeline import N_CLOCKS, Clock, draw_clock, draw_segments

ID_ALPHABET = string.ascii_letters + string.digits + "-_"
ID_LENGTH = 11
MIN_DURATION_S = 2.0


@dataclass(frozen=True, kw_only=True)
class MiniSize:
    """How many videos there are, and how long they are."""

    training: int = 96
    validation: int = 32
    testing: int = 2
    """Videos a subset, even numbers; the classes are balanced where they are multiples of 8."""
    duration_s: tuple[float, float] = (18.0, 34.0)
    """Range of the lengths; instances and gaps shrink with videos shorter than 18 s."""

    def __post_init__(self) -> None:
        for subset, count in self.subsets.items():
            if count < 0 or count % 2:
                raise InputError(
                    f"mini data set: {subset} videos must be even in number and not negative, found {count}: "
                    f"every video has a time-reversed twin; give {abs(count) + abs(count) % 2}"
                )
        shortest_s, longest_s = self.duration_s
        if not MIN_DURATION_S <= shortest_s <= longest_s < float("inf"):
            raise InputError(
                f"mini data set: video lengths must satisfy {MIN_DURATION_S:g} s <= shortest <= longest, "
                f"found {shortest_s:g} s and {longest_s:g} s"
            )

    @property
    def subsets(self) -> dict[str, int]:
        """Videos by the name of their subset."""
        return {"training": self.training, "validation": self.validation, "testing": self.testing}


@dataclass(frozen=True)
class VideoPlan:
    """One video file: its name, what is annotated, and when its frames are shown."""

    video_id: str
    subset: str
    label: str
    segments_s: NDArray[np.float64]
    clock: Clock


@dataclass(frozen=True)
class TwinPlan:
    """Two videos, exact time reversals of each other with reversed classes.

    Attributes:
        seed: seed of the looks of both.
        scene_seed: seed of size and background, shared by eight videos, one of every class: if
            every twin had its own background, a network would learn these by heart instead of the
            motion.
        motion: what changes in all instances of both.
        forward: the video as it is rendered, states going from 0 to 1.
        backward: the same frames in reverse order.
    """

    seed: tuple[int, ...]
    scene_seed: tuple[int, ...]
    motion: Motion
    forward: VideoPlan
    backward: VideoPlan


def draw_plan(seed: int, size: MiniSize) -> list[TwinPlan]:
    """Draw all twins of a data set.

    A twin depends on the seed, its subset and its place in it, not on how many others there are.
    """
    return [
        _draw_twins((seed, number, place), subset, place, size.duration_s)
        for number, (subset, count) in enumerate(size.subsets.items())
        for place in range(count // 2)
    ]


def _draw_twins(seed: tuple[int, ...], subset: str, place: int, duration_s: tuple[float, float]) -> TwinPlan:
    rng = np.random.default_rng((*seed, 0))
    motion = MOTIONS[place % len(MOTIONS)]
    # Steps through all clocks within each class: a round of 4 motions moves on by 4 + 1, coprime to
    # 6.
    clock = draw_clock(rng, (place + place // len(MOTIONS)) % N_CLOCKS, duration_s)
    segments_s = draw_segments(rng, clock.duration_s)
    reversed_s = (clock.duration_s - segments_s)[::-1, ::-1].round(2)
    ids = ["".join(ID_ALPHABET[k] for k in rng.integers(len(ID_ALPHABET), size=ID_LENGTH)) for _ in range(2)]
    return TwinPlan(
        (*seed, 1),
        (*seed[:-1], place // len(MOTIONS), 2),
        motion,
        VideoPlan(ids[0], subset, motion.labels[0], segments_s, clock),
        VideoPlan(ids[1], subset, motion.labels[1], reversed_s, clock.reversed()),
    )
