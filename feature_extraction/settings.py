"""Settings of the extraction of features."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from runtime.schema_checks import PLACE, require, require_at_least, require_at_most, require_share
from runtime.sections import section

MAX_SHORT_SIDE_PX = 4320
"""Of 8K video."""


@section("features")
@dataclass(frozen=True, kw_only=True)
class FeaturesConfig:
    """Sliding-window extraction of clip features."""

    short_side_px: int = 128
    """Short side of the frames; the whole spatial region is used (paper: 128 for HACS)."""
    crops: Literal["whole", "centre", "three"] = "whole"
    """What the network sees of a frame: the whole region (paper); the square in its middle; or
    three squares, left, middle, right, whose features stand side by side (the released
    EPIC-KITCHENS-100 features: 3 x 2048 channels)."""
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    """What the network computes in; the two short types want a GPU that has them (errors of
    about half a percent)."""
    dtype: Literal["float16", "float32"] = "float16"
    """How features are stored: float16 (relative error below 5e-4) or float32."""
    min_decoded_share: float = 0.9
    """A video of which less than this share of the promised frames decodes is skipped and
    listed."""
    store: str | None = field(default=None, metadata=PLACE)
    """A finished store (HDF5 file, or a folder that `zoo pack` wrote) to use instead of extracting:
    imported or shared features on this very grid. The stage then only checks it, and needs neither
    videos nor finetuning."""
    joined: tuple[str, ...] = ()
    """Further stores, of whatever grids, whose features stand beside those of `store`, at its
    times: RGB and flow, or two networks."""

    def __post_init__(self) -> None:
        require_at_least(self, "features", short_side_px=1)
        require_at_most(self, "features", short_side_px=MAX_SHORT_SIDE_PX)
        require(
            not self.joined or self.store is not None, "features.joined needs features.store, the first store"
        )
        require_share(self.min_decoded_share, "features")
