"""Settings of the one-stage heads; defaults are ActionFormer's and TriDet's on THUMOS14 with
I3D."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from one_stage.architecture import MAX_LENGTH
from runtime.schema_checks import PLACE, require, require_at_least
from runtime.sections import section
from training.settings import TrainingConfig


@section("one_stage")
@dataclass(frozen=True, kw_only=True)
class OneStageConfig(TrainingConfig):
    """ActionFormer, TemporalMaxer or TriDet, as the key `head` says, on features as they stand
    in time."""

    lowest_epochs: ClassVar[int] = 0

    epochs: int = 35
    """Warm-up included; 0 takes `init_weights` as they are."""
    batch_size: int = 2
    learning_rate: float = 1e-4
    weight_decay: float = 0.05
    """Of weights of convolutions alone (TriDet: 0.025)."""
    warmup_epochs: float = 5.0
    warmup_start_learning_rate: float = 0.0
    clip_gradient_norm: float = 1.0
    weight_average_decay: float = 0.999
    init_weights: str | None = field(default=None, metadata=PLACE)
    """Checkpoint to start from: of a run, or a released one with its settings in
    `init_settings`; none: random."""
    init_settings: str | None = field(default=None, metadata=PLACE)
    """YAML of the original code that belongs to `init_weights`; its sizes replace those of this
    section."""

    classes: Literal["own", "none", "verb", "noun"] = "own"
    """`own`: the head tells the classes of its segments, of EPIC-KITCHENS-100 verb and noun
    together, by two class towers on one trunk; `verb`, `noun`: one of the two; `none`: segments of
    any action, for a classifier."""
    channels: int = 512
    """Channels of the pyramid (512 for THUMOS14 and EPIC-KITCHENS-100, 256 for ActivityNet)."""
    levels: int = 6
    """Of the pyramid; each has half the positions of the one before."""
    regression_ranges: Literal["adjacent", "overlapping"] = "adjacent"
    """Reach of the levels in features: 0-4, 4-8, 8-16, ... (THUMOS, HACS), or 0-4, 2-8, 4-16,
    ... (EK100)."""
    positions: bool = False
    """Whether the network gets the place of a feature in the video (ActivityNet, HACS)."""
    head_layers: int = 2
    """Convolutions before the last in each head."""
    head_kernel: int = 3
    """Frames that a convolution of the heads spans (3; TriDet on HACS: 5)."""
    heads: int = 4
    """Of ActionFormer's attention; a divisor of `channels`."""
    window: int = 19
    """ActionFormer: features that the attention sees around each, at every level; 1 or less:
    all."""
    last_level_sees_all: bool = False
    """ActionFormer: the attention of the last level has no window (ActivityNet, HACS)."""
    sgp_window: int = 1
    """TriDet: kernel of the small window, odd."""
    sgp_widening: float = 5.0
    """TriDet: the large window is about so many times the small one."""
    sgp_mlp_channels: int = 768
    """Hidden channels behind TriDet's blocks (768 on THUMOS14, 1024 on EPIC-KITCHENS-100 and
    HACS)."""
    sgp_init_std: float = 0.0
    """TriDet: standard deviation of the depthwise weights at the start."""
    bins: int = 16
    """TriDet: positions around a point over which a boundary is spread."""
    boundary_kernel: int = 3
    """TriDet: kernel of the start and end heads."""
    neck: Literal["layer", "group", "none"] = "layer"
    """Norm of every level before the heads."""

    max_length: int = 2304
    """Longest crop of a video in training, in features."""
    shortest_crop: float = 0.9
    """Videos that are not longer are cut to a random share between this and all."""
    min_segment_share: float = 0.5
    """A crop learns the segments of which it holds at least so much (0.3 for EK100)."""
    drop_path: float = 0.1
    """Probability that a block is skipped in training (0.1)."""
    dropout: float = 0.0
    """Probability of dropping a value in training (0; Ego4D: 0.1)."""
    input_dropout: float = 0.0
    """Share of feature channels that training leaves out of a video."""
    input_noise: float = 0.0
    """Standard deviation of noise on the features in training (TriDet: 0.0005)."""
    smoothing: float = 0.0
    """Share of each class target that is spread over all classes."""
    regression_weight: float = 1.0
    """Of the loss of the boundaries."""
    iou_power: float = 0.2
    """TriDet: a class target counts as this power of the IoU of the predicted segment."""
    first_normalizer: float = 100.0
    """Positive points of a batch, about: where the moving average that divides the losses
    begins."""

    top_candidates: int = 2000
    """Best candidates of each level of a video."""
    min_score: float = 0.001
    """Candidates at or below it are dropped, before and while overlapping ones are lowered."""
    min_length: float = 0.05
    """Shorter segments are dropped, in features."""
    soft_nms_sigma: float = 0.5
    """Overlapping segments are lowered by exp(-IoU^2 / sigma)."""
    per_class: bool = True
    """Whether segments of different classes leave each other alone."""
    voting_threshold: float = 0.0
    """Above 0 and not per class: a segment becomes the mean of all that overlap it so much."""
    max_segments: int = 200
    """Kept of a video."""

    def __post_init__(self) -> None:
        super().__post_init__()
        section = "one_stage"
        require_at_least(self, section, channels=1, levels=1, max_length=1, head_layers=0, bins=0, heads=1)
        require_at_least(self, section, sgp_mlp_channels=1, sgp_widening=0, sgp_init_std=0)
        require_at_least(self, section, top_candidates=1, max_segments=1, min_score=0, min_length=0)
        require_at_least(self, section, input_noise=0, iou_power=0, regression_weight=0, voting_threshold=0)
        require(
            self.max_length <= MAX_LENGTH,
            f"one_stage.max_length must be at most {MAX_LENGTH}, found {self.max_length}",
        )
        for name in (
            "shortest_crop",
            "min_segment_share",
            "drop_path",
            "dropout",
            "input_dropout",
            "smoothing",
        ):
            value = getattr(self, name)
            require(0 <= value <= 1, f"one_stage.{name} must lie within 0 and 1, found {value}")
        for name in ("head_kernel", "boundary_kernel", "sgp_window"):
            value = getattr(self, name)
            require(value > 0 and value % 2 == 1, f"one_stage.{name} must be odd, found {value}")
        require(self.soft_nms_sigma > 0, f"one_stage.soft_nms_sigma must be > 0, found {self.soft_nms_sigma}")
        require(self.first_normalizer > 0, "one_stage.first_normalizer must be positive")
        require(
            self.channels % self.heads == 0,
            f"one_stage.heads={self.heads} must divide one_stage.channels={self.channels}",
        )
        require(
            self.epochs > 0 or self.init_weights is not None,
            "one_stage.epochs must be at least 1, found 0, unless one_stage.init_weights are to be used as they are",
        )
