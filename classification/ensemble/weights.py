"""Weights of the members of an ensemble."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from runtime.errors import InputError


def shares(weights: Sequence[float] | None, count: int) -> NDArray[np.float64]:
    """Return the weights of members as shares of 1.

    Args:
        weights: one for each member, >= 0; None: all equal.
        count: members.

    Raises:
        InputError: if there is another number of weights, one is negative or not finite, or all
            are 0.

    >>> shares([3, 1], 2)
    array([0.75, 0.25])
    """
    given = [1.0] * count if weights is None else list(weights)
    if len(given) != count:
        raise InputError(f"--weights: expected {count}, one for each member, found {len(given)}")
    if not all(math.isfinite(weight) and weight >= 0 for weight in given) or not sum(given):
        raise InputError(f"--weights: expected numbers of at least 0, not all of them 0, found {given}")
    return np.array(given) / sum(given)
