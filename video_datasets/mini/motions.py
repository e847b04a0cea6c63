"""The classes of the mini data sets: four changes of one object, each run forwards or backwards in
time.

The object (the actor) has four states in [0, 1]. An action drives one of them from 0 to 1, or from
1 to 0, at a steady rate over the whole instance, while the other three rest:

    state     0                      1                    0 -> 1           1 -> 0
    size      0.15 of the side       0.60 of the side     Moving closer    Moving away
    height    low in the picture     high                 Rising           Falling
    heat      dark blue              yellow               Heating up       Cooling down
    aperture  a pale slit            a wide pale wedge    Opening          Closing

No class changes under a horizontal flip, the usual augmentation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Motion:
    """A pair of classes that are each other's time reversal.

    Attributes:
        state: the actor's state that changes.
        labels: class names of the change 0 -> 1 and of the change 1 -> 0.
    """

    state: str
    labels: tuple[str, str]


MOTIONS = (
    Motion("size", ("Moving closer", "Moving away")),
    Motion("height", ("Rising", "Falling")),
    Motion("heat", ("Heating up", "Cooling down")),
    Motion("aperture", ("Opening", "Closing")),
)

# Resting states are drawn from these ranges: never so small or so open that a change of another
# state would be hard to see. A single frame may so tell which state changes (it is at an extreme),
# but never which way.
REST_RANGES = {"size": (0.55, 0.75), "height": (0.35, 0.65), "heat": (0.3, 0.7), "aperture": (0.1, 0.3)}


def draw_states(
    rng: np.random.Generator,
    motion: Motion,
    progress: NDArray[np.float64],
    rest_ranges: Mapping[str, tuple[float, float]] = REST_RANGES,
) -> dict[str, NDArray[np.float64]]:
    """Draw the resting states of one instance and return all states over its course.

    Args:
        rng: source of the resting states.
        motion: what changes.
        progress: shape (K,), position of each frame within the instance, 0 at its start and 1 at
            its end.
        rest_ranges: of the other states.

    Returns:
        The four states by name, each of shape (K,), in [0, 1], for the change 0 -> 1.
    """
    resting = {state: np.full_like(progress, rng.uniform(*bounds)) for state, bounds in rest_ranges.items()}
    return resting | {motion.state: progress}
