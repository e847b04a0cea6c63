"""Choice of the array of a file that holds the features, and of its time axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from runtime.errors import InputError

BARE_ARRAY = "feats"
"""Name of an array that stands alone in its file; with others beside it the features are called
so."""

USUAL_CHANNELS = frozenset({256, 400, 500, 512, 768, 1024, 1408, 1536, 2048, 2304, 4096})
"""Channels of the features that people publish."""


def features_among(arrays: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
    """Return the one that is called "feats", the only one, or the only one of two axes or more.

    >>> features_among({"features": np.zeros((4, 2)), "fps": np.array(25.0)}).shape
    (4, 2)

    Raises:
        InputError: if that leaves none, or several.
    """
    if BARE_ARRAY in arrays:
        return arrays[BARE_ARRAY]
    tables = [array for array in arrays.values() if array.ndim > 1]
    if len(arrays) == 1 or len(tables) == 1:
        return (tables or list(arrays.values()))[0]
    raise InputError(
        f"expected one array, or one called '{BARE_ARRAY}'; found {', '.join(sorted(arrays)) or 'none'}"
    )


def as_table(array: NDArray[Any]) -> NDArray[Any]:
    """Drop axes of length 1 in front and behind until two are left.

    >>> as_table(np.zeros((1, 40, 16))).shape, as_table(np.zeros((40, 16, 1, 1))).shape
    ((40, 16), (40, 16))

    Raises:
        InputError: if it does not hold numbers on two axes then.
    """
    table = array
    while table.ndim > 2 and table.shape[0] == 1:
        table = table[0]
    while table.ndim > 2 and table.shape[-1] == 1:
        table = table[..., 0]
    if table.dtype.kind not in "fiu":
        raise InputError(f"expected features, found {array.dtype} of shape {array.shape}")
    if table.ndim == 3:
        raise InputError(
            f"expected features of two axes, found {array.shape}: several views of each clip, such as ten crops? "
            "average them, or take one, before importing"
        )
    if table.ndim != 2:
        raise InputError(f"expected features of two axes, found shape {array.shape}")
    return table


def turned_around(shapes: Sequence[tuple[int, int]], transposed: bool, channels: int | None) -> str:
    """Say why the axes of a set of features look exchanged; empty if they do not.

    All videos have the same channels, and mostly not the same length.

    Args:
        shapes: of the arrays of all videos, as stored.
        transposed: whether they are meant to be C x T.
        channels: as the user expects them, None where nothing is known.

    >>> turned_around([(16, 40), (16, 55)], transposed=False, channels=None)
    'all 2 videos have 16 rows, and 40 to 55 columns: they look like C x T; give --transposed'
    """
    times, others = (1, 0) if transposed else (0, 1)
    lengths, widths = {shape[times] for shape in shapes}, {shape[others] for shape in shapes}
    if channels in widths or len(lengths) != 1:
        return ""
    (length,) = lengths
    odd = len(widths) > 1 or (length in USUAL_CHANNELS and not widths & USUAL_CHANNELS)
    if not odd:
        return ""
    rows, columns = ("columns", "rows") if transposed else ("rows", "columns")
    span = f"{min(widths)} to {max(widths)}" if len(widths) > 1 else f"{min(widths)}"
    look, remedy = ("T x C", "leave out --transposed") if transposed else ("C x T", "give --transposed")
    return f"all {len(shapes)} videos have {length} {rows}, and {span} {columns}: they look like {look}; {remedy}"
