"""Classes that a horizontal flip turns into other classes: those whose names tell left from right.

For Something-Something V2 these are its three pairs, numbers 86/87, 93/94 and 166/167.
"""

from __future__ import annotations

import re
from collections.abc import Collection

_SIDE = re.compile(
    r"""
    (?<![^\W\d_]) (?:left|right) (?![^\W\dA-Z_])         # turn_left, leftTurn; not cleft, leftover
    | (?:Left|Right) (?![^\W\dA-Z_])                     # SwipeLeft, LeftTurn; not Lefty
    | (?<![A-Z]) (?:LEFT|RIGHT) (?![^\W\dA-Z_]|[A-Z](?![a-z]))    # TURN_LEFT, LEFTTurn; not BRIGHT, LEFTOVER
    """,
    re.VERBOSE,
)
"""Left and right as words, with anything but letters around them or in camel case. [^\\W\\d_] is
a letter."""
_OTHER = {"left": "right", "Left": "Right", "LEFT": "RIGHT"}
_OTHER.update({other: side for side, other in _OTHER.items()})


def mirrored_label(label: str) -> str:
    """Exchange left and right in a class name; twice gives the name back.

    >>> mirrored_label("Pulling something from left to right")
    'Pulling something from right to left'
    >>> mirrored_label("SwipeLeft")
    'SwipeRight'
    """
    return _SIDE.sub(lambda found: _OTHER[found[0]], label)


def mirrored_labels(labels: Collection[str], *, swap: bool) -> dict[str, str | None]:
    """Return what a flip makes of every direction-sensitive label.

    Args:
        labels: the classes of the data set.
        swap: whether such clips may be flipped at all, with the other class as their label.

    Returns:
        Direction-sensitive label -> its mirror image among the labels; None where there is none, or
        swap is False: such clips must not be flipped.

    >>> mirrored_labels(["turn left", "turn right", "keep right", "sit"], swap=True)
    {'turn left': 'turn right', 'turn right': 'turn left', 'keep right': None}
    """
    known = set(labels)
    sensitive = [label for label in labels if _SIDE.search(label)]
    return {
        label: mirrored_label(label) if swap and mirrored_label(label) in known else None
        for label in sensitive
    }
