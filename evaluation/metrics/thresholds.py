"""Thresholds of tIoU: ranges as the official evaluators compute them."""

from __future__ import annotations

from typing import Any

import numpy as np

from runtime.errors import InputError

WHOLE = 1e-6
"""How far from a whole number of steps a range may be, decimal fractions being inexact."""


def tiou_range(first: float, step: float, last: float) -> tuple[float, ...]:
    """Thresholds from `first` to `last`, both included, as `linspace` of the official evaluators
    gives them.

    Each is first + k (last - first) / steps, so 0.5:0.05:0.95 holds 0.8999999999999999 and
    0.1:0.1:0.5 holds 0.30000000000000004, which decides about overlaps that hit a threshold
    exactly; adding up `step`, or reading each decimal, gives other last digits.

    Raises:
        InputError: unless 0 < first <= last <= 1 and the step divides the range.

    >>> tiou_range(0.3, 0.1, 0.7) == tuple(np.linspace(0.3, 0.7, 5).tolist())
    True
    """
    if not (0 < first <= last <= 1 and step > 0):
        raise InputError(
            f"tIoU: expected A:STEP:B with 0 < A <= B <= 1 and STEP > 0, found {first:g}:{step:g}:{last:g}"
        )
    steps = (last - first) / step
    if abs(steps - round(steps)) > WHOLE:
        raise InputError(
            f"tIoU: {first:g}:{step:g}:{last:g} does not end at {last:g}; the step must divide the range"
        )
    return tuple(np.linspace(first, last, round(steps) + 1).tolist())


def parse_tious(text: str) -> tuple[float, ...]:
    """Read "A:STEP:B", or one threshold by itself.

    Raises:
        InputError: if it is neither.

    >>> parse_tious("0.5"), len(parse_tious("0.5:0.05:0.95"))
    ((0.5,), 10)
    """
    try:
        numbers = [float(part) for part in text.split(":")]
    except ValueError:
        numbers = []
    if len(numbers) not in (1, 3):
        raise InputError(f"tIoU: expected A:STEP:B such as 0.3:0.1:0.7, or one number, found '{text}'")
    first, step, last = numbers if len(numbers) == 3 else (numbers[0], 1.0, numbers[0])
    return tiou_range(first, step, last)


def check_thresholds(tiou_thresholds: Any) -> np.ndarray:
    """Thresholds as a float64 array.

    Raises:
        InputError: if there is none, or one is not a number.
    """
    thresholds = np.asarray(tiou_thresholds, dtype=np.float64)
    if thresholds.ndim != 1 or not thresholds.size or np.isnan(thresholds).any():
        raise InputError(f"tiou_thresholds: expected one or more numbers, found {tiou_thresholds!r}")
    return thresholds
