"""Names of bins, short enough for an axis."""

from __future__ import annotations

import math

from evaluation.diagnosis.diagnose import Bin, BinnedFigures


def bin_names(found: BinnedFigures) -> list[str]:
    """What each bin holds, short enough for an axis.

    >>> parts = [Bin(low, high, 0, None, None, None, None, None) for low, high in ((0, 1), (1, 4), (4, None))]
    >>> bin_names(BinnedFigures("instances", "", "", tuple(parts)))
    ['1', '2-4', '> 4']
    >>> bin_names(BinnedFigures("coverage", "", "", (Bin(0.2, 0.4, 0, None, None, None, None, None),)))
    ['20-40 %']
    """
    counted = found.name == "instances"
    return [_bin_name(part, found.name, counted and index > 0) for index, part in enumerate(found.bins)]


def _bin_name(part: Bin, characteristic: str, above: bool) -> str:
    """Name one bin; `above`: its lowest whole number is the one after the lower edge."""
    if part.high is None:
        return f"> {part.low:g}"
    if characteristic == "instances":
        low, high = max(math.floor(part.low) + above, 1), math.floor(part.high)
        return f"{high}" if low >= high else f"{low}-{high}"
    if characteristic == "coverage":
        return f"{100 * part.low:.3g}-{100 * part.high:.3g} %"
    return f"{part.low:.3g}-{part.high:.3g}"
