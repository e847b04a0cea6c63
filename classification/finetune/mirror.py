"""Classes that a horizontal flip turns into other classes: those whose names tell left from right.

For Something-Something V2 these are its three pairs, numbers 86/87, 93/94 and 166/167.
"""

from __future__ import annotations

import re
from collections.abc import Collection

_SIDE = re.compile(r"\b(left|right)\b", re.IGNORECASE)


def mirrored_label(label: str) -> str:
    """Exchange left and right in a class name.

    >>> mirrored_label("Pulling something from left to right")
    'Pulling something from right to left'
    """

    def other(found: re.Match[str]) -> str:
        side = "right" if found[0].lower() == "left" else "left"
        return side.capitalize() if found[0][0].isupper() else side

    return _SIDE.sub(other, label)


def mirrored_labels(labels: Collection[str], *, swap: bool) -> dict[str, str | None]:
    """Return what a flip makes of every direction-sensitive label.

    Args:
        labels: the classes of the data set.
        swap: whether such clips may be flipped at all, with the other class as their label.

    Returns:
        Direction-sensitive label -> its mirror image among the labels; None where there is none, or swap is
        False: such clips must not be flipped.

    >>> mirrored_labels(["turn left", "turn right", "keep right", "sit"], swap=True)
    {'turn left': 'turn right', 'turn right': 'turn left', 'keep right': None}
    """
    known = set(labels)
    sensitive = [label for label in labels if _SIDE.search(label)]
    return {
        label: mirrored_label(label) if swap and mirrored_label(label) in known else None
        for label in sensitive
    }
