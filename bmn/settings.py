"""Settings of BMN: its training, and the scores and suppression of its proposals."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from runtime.schema_checks import PLACE, require, require_at_least, require_at_most
from runtime.sections import section
from training.settings import TrainingConfig


@section("bmn")
@dataclass(frozen=True, kw_only=True)
class BmnConfig(TrainingConfig):
    """BMN on whole videos rescaled to `tscale` cells (HACS), or on sliding windows
    (EPIC-KITCHENS-100).

    The paper gives no optimiser for BMN on HACS; these are the published ones for
    EPIC-KITCHENS-100.
    """

    lowest_epochs: ClassVar[int] = 0

    epochs: int = 10
    """0 takes `init_weights` as they are."""
    learning_rate: float = 2e-3
    warmup_epochs: float = 1.0
    init_weights: str | None = field(default=None, metadata=PLACE)
    """BMN checkpoint of the same sizes to start from, of the original code or of a run; none:
    random."""
    mode: Literal["whole_video", "windows"] = "whole_video"
    """`windows`: windows of `tscale` cells slide over the video and their maps are averaged
    (EPIC-KITCHENS-100)."""
    tscale: int = 100
    """Temporal cells of a video (paper: 100 for HACS), or of a window (200 for
    EPIC-KITCHENS-100)."""
    dscale: int = 100
    """Longest proposal, in cells (100 for EPIC-KITCHENS-100, too)."""
    cell_features: int = 2
    """Of windows: features, that is strides of the grid, in one cell. At 7.5 features a second, 2
    make the 0.2667 s of the released code for EPIC-KITCHENS-100."""
    window_step_cells: int = 0
    """Cells from one window to the next; 0: as many as `dscale`, as in the released code."""
    num_samples: int = 32
    """Samples inside a proposal (N of the paper: 32)."""
    num_samples_per_bin: int = 3
    """Points that make a sample (paper's code: 3)."""
    boundary_ratio: float = 0.5
    """Share of a proposal's length that the samples reach beyond each end (paper's code: 0.5)."""
    hidden_1d: int = 256
    """Channels of the convolutions over time; divisible by 4 (paper: 256)."""
    hidden_2d: int = 128
    """Channels of the convolutions of the map (paper: 128)."""
    hidden_3d: int = 512
    """Channels of the boundary-matching layer (paper: 512)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_at_least(self, "bmn", tscale=1, dscale=1, num_samples=1, num_samples_per_bin=1)
        require_at_least(self, "bmn", hidden_1d=4, hidden_2d=1, hidden_3d=1, boundary_ratio=0)
        require(
            self.hidden_1d % 4 == 0, f"bmn.hidden_1d must be divisible by 4 (groups), found {self.hidden_1d}"
        )
        require(
            self.dscale <= self.tscale, f"bmn.dscale={self.dscale} must not exceed bmn.tscale={self.tscale}"
        )
        require_at_least(self, "bmn", cell_features=1, window_step_cells=0)
        require_at_most(self, "bmn", cell_features=1000)
        require(
            self.window_step_cells <= self.tscale,
            f"bmn.window_step_cells={self.window_step_cells} must not exceed bmn.tscale={self.tscale}: no window "
            f"would see what lies between two",
        )
        require(
            self.epochs > 0 or self.init_weights is not None,
            "bmn.epochs must be at least 1, found 0, unless bmn.init_weights are to be used as they are",
        )


@section("proposals")
@dataclass(frozen=True, kw_only=True)
class ProposalsConfig:
    """Score and soft-NMS of BMN's candidates (TCANet's values for HACS)."""

    peak_share: float = 0.5
    """A start or end is a candidate if its probability is a peak or exceeds this share of the
    video's largest."""
    clr_power: float = 1.2
    """Exponent of the classification confidence."""
    reg_power: float = 1.0
    """Exponent of the IoU regression."""
    min_score: float = 0.0
    """Candidates at or below this score are dropped before soft-NMS."""
    soft_nms_alpha: float = 0.4
    """Decay constant: a pick multiplies the scores of what it overlaps by exp(-IoU ** power /
    alpha)."""
    soft_nms_low_threshold: float = 0.0
    """IoU above which a pick of width 0 does so (0.25 for EPIC-KITCHENS-100)."""
    soft_nms_high_threshold: float = 0.0
    """Likewise for a pick as wide as the video (0.9 for EPIC-KITCHENS-100); linear in between."""
    soft_nms_iou_power: float = 2.5
    """Exponent of the IoU in the decay (2.0 for EPIC-KITCHENS-100)."""
    max_proposals: int = 100
    """Proposals kept of a video."""
    proposals_per_s: float = 0.0
    """Above 0, int(duration in s * this) + 1 proposals of a video are kept instead of
    `max_proposals` (1 for EPIC-KITCHENS-100)."""

    def __post_init__(self) -> None:
        require_at_least(self, "proposals", max_proposals=1, proposals_per_s=0, min_score=0, peak_share=0)
        require_at_least(self, "proposals", soft_nms_low_threshold=0, soft_nms_high_threshold=0)
        require_at_most(self, "proposals", proposals_per_s=1000, clr_power=1000, reg_power=1000)
        power = self.soft_nms_iou_power
        require(power > 0, f"proposals.soft_nms_iou_power must be positive, found {power}")
        require(
            self.soft_nms_alpha > 0, f"proposals.soft_nms_alpha must be positive, found {self.soft_nms_alpha}"
        )

    def kept(self, duration_s: float) -> int:
        """Return how many proposals of a video are kept at most.

        >>> ProposalsConfig().kept(131.4), ProposalsConfig(proposals_per_s=1.0).kept(131.4)
        (100, 132)
        """
        per_s = self.proposals_per_s
        return int(duration_s * per_s) + 1 if per_s else self.max_proposals
