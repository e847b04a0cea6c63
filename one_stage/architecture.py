"""The sizes of a one-stage network: plain values that a file of weights stores."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from one_stage.padding import PADDINGS

MAX_LAYERS = 100
MAX_LENGTH = 100_000
"""Rows of a table of positions; a video of 10 hours has fewer features."""

Kind = Literal["actionformer", "temporalmaxer", "tridet"]


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """What shapes the parameters, and what gives them their meaning.

    Raises:
        ValueError: for values that do not go together.
    """

    kind: Kind
    in_channels: int
    """Channels C of the features."""
    class_towers: tuple[int, ...]
    """Classes of each class tower: one tower as published; (97, 300) for verbs and nouns on one
    trunk."""
    channels: int = 512
    """Channels D of every level."""
    regression_ranges: tuple[tuple[float, float], ...] = (
        (0, 4),
        (4, 8),
        (8, 16),
        (16, 32),
        (32, 64),
        (64, 10000),
    )
    """A level learns segments whose farther boundary lies so many rows of the finest level from
    its point."""
    embedding_layers: int = 2
    embedding_kernel: int = 3
    stem_blocks: int = 2
    """Blocks at full length; TemporalMaxer has none."""
    head_layers: int = 2
    """Convolutions before the last one in each head."""
    head_kernel: int = 3
    positions: bool = False
    """Whether a table of sinusoids is added."""
    max_length: int = 2304
    """Rows of that table."""
    heads: int = 4
    """Of the attention."""
    windows: tuple[int, ...] = (19, 19, 19, 19, 19, 19)
    """Window of the attention, or kernel of SGP, at each level; attention: <= 1 means the whole
    video."""
    drop_path: float = 0.1
    dropout: float = 0.0
    input_dropout: float = 0.0
    """Share of input channels that training leaves out of a video."""
    neck: Literal["layer", "group", "none"] = "layer"
    """Norm of every level before the heads."""
    sgp_widening: float = 5.0
    sgp_mlp_channels: int = 768
    sgp_init_std: float = 0.0
    bins: int = 0
    """TriDet: positions around a point over which a boundary is spread; 0: plain offsets, no
    boundary heads."""
    boundary_kernel: int = 3
    """Kernel of TriDet's start and end heads."""
    padding: str = "right"
    """A name of `one_stage.padding.PADDINGS`."""

    def __post_init__(self) -> None:
        if len(self.windows) != self.levels:
            raise ValueError(f"{self.levels} regression ranges need as many windows, got {self.windows}")
        if not self.class_towers or min(self.class_towers) < 1:
            raise ValueError(f"every class tower needs a class, got {self.class_towers}")
        for name in ("levels", "head_layers", "embedding_layers", "stem_blocks"):
            if not 0 <= getattr(self, name) <= MAX_LAYERS:
                raise ValueError(f"{name} must lie within 0 and {MAX_LAYERS}, got {getattr(self, name)}")
        if self.max_length > MAX_LENGTH:
            raise ValueError(f"max_length must be at most {MAX_LENGTH}, got {self.max_length}")
        if self.padding not in PADDINGS:
            raise ValueError(f"padding must be one of {', '.join(PADDINGS)}, got '{self.padding}'")

    @property
    def levels(self) -> int:
        """Levels L of the pyramid."""
        return len(self.regression_ranges)

    @property
    def num_classes(self) -> int:
        """Classes of all towers together."""
        return sum(self.class_towers)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for a file."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Architecture:
        """Read what `to_dict` returned."""
        ranges = tuple((float(low), float(high)) for low, high in values["regression_ranges"])
        towers, windows = tuple(values["class_towers"]), tuple(values["windows"])
        return cls(**{**values, "regression_ranges": ranges, "class_towers": towers, "windows": windows})
