"""The display matrix of a video: how a player turns and mirrors the pictures as they are stored.

A matrix holds nine numbers in fixed point, a b u / c d v / x y w; the stored pixel (column p, row
q) is shown at column a p + c q + x and row b p + d q + y. Phones write quarter turns, selfie
cameras mirror as well:

    turns and mirrors that keep the pixels   a, d = +-1, b = c = 0: no turn, half a turn, mirrored across or upside down
    on their lattice: eight                  b, c = +-1, a = d = 0: the same after exchanging rows and columns
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

_MAX_SHEAR = 0.01
"""Smaller elements are rounding: half a degree."""


@dataclass(frozen=True)
class Orientation:
    """One of the eight ways to show a picture: first exchange rows and columns, then mirror."""

    transposed: bool = False
    mirrored_columns: bool = False
    """The left becomes the right."""
    mirrored_rows: bool = False
    """The top becomes the bottom."""

    def apply(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Turn a stored picture (H, W, 3) into the one shown, contiguous."""
        shown = image.swapaxes(0, 1) if self.transposed else image
        shown = shown[:, ::-1] if self.mirrored_columns else shown
        shown = shown[::-1] if self.mirrored_rows else shown
        return np.ascontiguousarray(shown)


AS_STORED = Orientation()


def orientation_of(frame: VideoFrame) -> Orientation:
    """Return how a frame is shown.

    Raises:
        ValueError: if its matrix is none of the eight.
    """
    matrix: Any = frame.side_data.get("DISPLAYMATRIX")
    return AS_STORED if matrix is None else from_matrix(np.frombuffer(matrix, dtype=np.int32))


def from_matrix(matrix: NDArray[np.integer]) -> Orientation:
    """Return the orientation of a display matrix of nine numbers.

    >>> from_matrix(np.array([0, 1, 0, 1, 0, 0, 0, 0, 1]))
    Orientation(transposed=True, mirrored_columns=False, mirrored_rows=False)

    Raises:
        ValueError: if it is none of the eight.
    """
    a, b, _, c, d, *_ = (float(element) for element in matrix)
    along, across = max(abs(a), abs(d)), max(abs(b), abs(c))
    if along == across == 0:  # some cameras leave it empty
        return AS_STORED
    if across <= _MAX_SHEAR * min(abs(a), abs(d)):
        return Orientation(False, a < 0, d < 0)
    if along <= _MAX_SHEAR * min(abs(b), abs(c)):
        return Orientation(True, c < 0, b < 0)
    degrees = np.degrees(np.arctan2(b, a))
    raise ValueError(
        f"its display matrix turns by {degrees:.0f} degrees; expected quarter turns and mirrors: encode it upright"
    )
