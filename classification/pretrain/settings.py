"""Settings of the stage `pretrain`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from runtime.schema_checks import PLACE, require, require_at_least
from runtime.sections import section
from training.settings import TrainingConfig


@section("pretrain")
@dataclass(frozen=True, kw_only=True)
class PretrainConfig(TrainingConfig):
    """MoSI on still pictures (Huang et al., CVPR 2021), of one's own unlabelled videos or images.

    The paper takes Adam with L2 in the gradient, 1e-3 and 1e-4; here decay is decoupled (AdamW).
    """

    epochs: int = 100
    """Passes over the files; each gives one picture a pass (paper: 100)."""
    batch_size: int = 80
    """Pictures, each with a clip of every motion: 9 times as many clips (paper: 80 for
    R(2+1)D-10)."""
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    warmup_epochs: float = 10.0
    warmup_start_learning_rate: float = 1e-4
    pictures: str | None = field(default=None, metadata=PLACE)
    """Folder of videos and images, searched at any depth; none: the videos of the data set."""
    picture_px: int = 320
    """Side of the square, cut from the scaled picture, over which the window slides (paper:
    320)."""
    window_px: int = 112
    """Side of the window, that is of the clips (paper: 112)."""
    num_frames: int = 16
    """Frames of a clip (paper: 16)."""
    speeds: int = 5
    """Speeds of an axis, odd, zero among them (paper: 5)."""
    joint_axes: bool = False
    """True: the window may move on both axes at once, `speeds` squared classes (paper: false)."""
    mask_share: tuple[float, float] | None = (0.3, 0.5)
    """Side of the rectangle outside which a clip stands still, as a share of the window's; none:
    the whole clip moves (paper: 0.3 to 0.5)."""
    flip: Literal["never", "swap"] = "swap"
    """Flip every second clip and swap left and right in its label. (The original flips and keeps
    the label, so that left and right cannot be told apart: at best 77.8 % of nine classes.)"""
    colour: float = 0.5
    """Strength of random brightness, contrast and saturation, half of it of hue, anew in every
    frame (paper: 0.5, hue 0.25)."""
    grey_probability: float = 0.3
    """Share of the clips that lose all colour (paper: 0.3)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_at_least(self, "pretrain", num_frames=2, window_px=8, colour=0, grey_probability=0)
        require(
            self.picture_px > self.window_px,
            f"pretrain.picture_px={self.picture_px} must exceed pretrain.window_px={self.window_px}: "
            f"the window needs room to move",
        )
        require(
            self.speeds >= 3 and self.speeds % 2 == 1,
            f"pretrain.speeds must be odd and at least 3, found {self.speeds}",
        )
        low, high = self.mask_share or (0.5, 0.5)
        require(
            0 < low <= high <= 1,
            f"pretrain.mask_share must be two shares, smallest first, found {self.mask_share}",
        )
        require(self.colour <= 1, f"pretrain.colour must be at most 1, found {self.colour}")
