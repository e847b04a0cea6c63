"""Treatment of the rows behind a video's last feature in a padded batch.

    rows     0 1 2 3 4 5 6 7
    valid    x x x x x . . .        row 5 is padding; a convolution of kernel 3 at row 4 reads it

The originals mask after each convolution, but not after each norm: a norm turns a zero row into its
bias, and the next convolution carries that into the valid end. So their outputs depend on the
padded length, and their weights were trained so. `RIGHT` closes every such leak: a video gives the
same outputs alone and in any batch.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Padding:
    """Where rows without a feature are set to zero (and left out of pools, means and group
    norms)."""

    after_tower_norms: bool
    """After the norms of the embedding and of the heads' towers."""
    everywhere: bool
    """After every norm that a convolution follows, in pools, in means over time and in group
    norms."""
    tower_eps: float = 1e-5
    """Of the norms in embedding, neck and towers."""


RIGHT = Padding(after_tower_norms=True, everywhere=True)
"""No padded row has any influence."""
AS_RELEASED = Padding(after_tower_norms=False, everywhere=False)
"""The code of ActionFormer, TemporalMaxer and TriDet."""
OPENTAD = Padding(after_tower_norms=True, everywhere=False, tower_eps=1e-6)
"""OpenTAD's own writing of the same networks."""

PADDINGS = {"right": RIGHT, "as_released": AS_RELEASED, "opentad": OPENTAD}
