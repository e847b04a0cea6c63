"""The sections of the configuration that train: `finetune` and `bmn`, and what they share."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar, Literal

from runtime.schema_checks import require, require_at_least, require_share


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """What every training shares: the optimiser, half-period cosine by iteration with linear warm-up, precision."""

    lowest_epochs: ClassVar[int] = 1

    epochs: int = 30
    batch_size: int = 16
    """Items per optimizer step, over all processes together; each takes its share."""
    micro_batch: int = 0
    """Most items per forward on one device; larger shares are worked off piece by piece, their gradients summed.
    0: the whole share at once. Batch norm, and losses that count over a batch (BMN's), see one piece at a time."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Of forward and backward (bfloat16: by autocast); weights, optimiser and validation are float32 either way."""
    optimizer: Literal["adamw", "sgd"] = "adamw"
    """AdamW, or SGD with Nesterov momentum 0.9 (the paper's for Kinetics, Something-Something and EPIC-KITCHENS)."""
    learning_rate: float = 2e-4
    """Peak of the cosine, before warm-up cuts into it."""
    new_layer_rate_factor: float = 1.0
    """Learning rate of layers that the initial weights do not have, as a multiple of the others' (the original has
    5 for router and head where it finetunes with LR_REDUCE)."""
    weight_decay: float = 1e-4
    """Not applied to norms and biases."""
    warmup_epochs: float = 8.0
    """Linear from `warmup_start_learning_rate` to the cosine's own value at this epoch."""
    warmup_start_learning_rate: float = 1e-5
    clip_gradient_norm: float = 0.0
    """Largest global 2-norm of the gradient; 0 turns clipping off."""
    freeze_batch_norm: bool = False
    """True: batch norm keeps the statistics of the initial weights; its scale and bias are trained."""
    sync_batch_norm: bool = False
    """True: batch norm's statistics run over the pieces of all processes (GPUs only; torch has none for the CPU)."""
    weight_average_decay: float = 0.0
    """Decay per step of a moving average of all weights, which validation and the later stages then take instead of
    the last step's (`training.average`; ViViT on Kinetics and ActionFormer: 0.999). 0: no average."""
    validate_every_epochs: int = 1
    """Validate after every so many epochs and after the last one."""

    def __post_init__(self) -> None:
        words = re.findall("[A-Z][a-z]*", type(self).__name__.removesuffix("Config"))
        section = "_".join(words).lower()
        require_at_least(self, section, epochs=self.lowest_epochs, validate_every_epochs=1)
        require_at_least(self, section, batch_size=1, micro_batch=0)
        require_at_least(self, section, weight_decay=0, warmup_epochs=0, clip_gradient_norm=0)
        require_at_least(self, section, warmup_start_learning_rate=0)
        decay = self.weight_average_decay
        require(0 <= decay < 1, f"{section}.weight_average_decay must lie within 0 and 1, found {decay}")
        for name in ("learning_rate", "new_layer_rate_factor"):
            value = getattr(self, name)
            require(value > 0, f"{section}.{name} must be positive, found {value}")
        require(
            not (self.freeze_batch_norm and self.sync_batch_norm),
            f"{section}.freeze_batch_norm and {section}.sync_batch_norm exclude each other; set one to false",
        )


@dataclass(frozen=True, kw_only=True)
class FinetuneConfig(TrainingConfig):
    """Finetuning of the video model on the labelled segments (paper A.2: AdamW 2e-4, 30 epochs, 8 warm-up)."""

    init_weights: str | None = None
    """Checkpoint to start from (Kinetics-400 or ImageNet); none: random initialisation."""
    weights: Literal["last", "best"] = "last"
    """What the later stages take: the weights of the last epoch (paper), or those with the best validation accuracy."""
    batch_size: int = 512
    """Paper: 16 clips on each of 32 GPUs."""
    clips_per_segment: int = 1
    """Clips drawn from every labelled segment in one epoch."""
    sampling: Literal["interval", "segments"] = "interval"
    """interval: a clip is one stretch of time, its frames `grid.interval_frames` apart, at a random place of the
    segment. segments: one random frame of each of `grid.clip_frames` equal parts of it (Something-Something)."""
    short_side_px: tuple[int, int] = (256, 320)
    """Range of the random short side before the crop (paper A.1)."""
    crop_px: int = 224
    flip: bool = True
    """Horizontal flip of every second clip, but see `flip_left_right`."""
    flip_left_right: Literal["never", "swap"] = "never"
    """Clips of classes whose names tell left from right: never flipped, or flipped with the mirrored class as their
    label (the original does so on Something-Something)."""
    test_short_side_px: int = 256
    """Short side in validation and test."""
    test_clips: int = 1
    """Clips of every segment whose probabilities `classification.finetune.test` averages (paper: 10; 2 for
    Something-Something). Validation during training looks at the one in the middle."""
    test_crops: Literal[0, 1, 3] = 0
    """Squares of `test_short_side_px` cut from every test clip along its longer side: 3 (paper), or the middle one; 0:
    the whole region, as in extraction. Validation during training cuts out the middle one, or none."""
    frame_cache_step: int = 0
    """0: clips are decoded from the videos each time. n: every n-th grid frame of the labelled segments is
    decoded once, at the largest short side, to files in the run folder (an hour of 72 x 96 px video at n = 4 is
    0.6 GB), and clips have frames at multiples of n only, which must divide `grid.interval_frames`."""
    min_decoded_share: float = 0.9
    """A video of which less than this share of the promised frames decodes counts as damaged."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_at_least(self, "finetune", clips_per_segment=1, test_short_side_px=1)
        require_at_least(self, "finetune", test_clips=1, frame_cache_step=0)
        low_px, high_px = self.short_side_px
        require(
            0 < self.crop_px <= low_px <= high_px,
            f"finetune.crop_px={self.crop_px} must not exceed finetune.short_side_px=[{low_px}, {high_px}], "
            f"smallest first",
        )
        require_share(self.min_decoded_share, "finetune")


@dataclass(frozen=True, kw_only=True)
class BmnConfig(TrainingConfig):
    """BMN on whole videos rescaled to `tscale` cells (HACS), or on sliding windows (EPIC-KITCHENS-100).

    The paper gives no optimiser for BMN on HACS; these are the published ones for EPIC-KITCHENS-100.
    """

    lowest_epochs: ClassVar[int] = 0

    epochs: int = 10
    """0 takes `init_weights` as they are."""
    learning_rate: float = 2e-3
    warmup_epochs: float = 1.0
    init_weights: str | None = None
    """BMN checkpoint of the same sizes to start from, of the original code or of a run; none: random."""
    mode: Literal["whole_video", "windows"] = "whole_video"
    """`windows`: windows of `tscale` cells slide over the video and their maps are averaged (EPIC-KITCHENS-100)."""
    tscale: int = 100
    """Temporal cells of a video (paper: 100 for HACS), or of a window (200 for EPIC-KITCHENS-100)."""
    dscale: int = 100
    """Longest proposal, in cells (100 for EPIC-KITCHENS-100, too)."""
    cell_features: int = 2
    """Of windows: features, that is strides of the grid, in one cell. At 7.5 features a second, 2 make the 0.2667 s
    of the released code for EPIC-KITCHENS-100."""
    window_step_cells: int = 0
    """Cells from one window to the next; 0: as many as `dscale`, as in the released code."""
    num_samples: int = 32
    num_samples_per_bin: int = 3
    boundary_ratio: float = 0.5
    hidden_1d: int = 256
    hidden_2d: int = 128
    hidden_3d: int = 512

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
        require(
            self.window_step_cells <= self.tscale,
            f"bmn.window_step_cells={self.window_step_cells} must not exceed bmn.tscale={self.tscale}: no window "
            f"would see what lies between two",
        )
        require(
            self.epochs > 0 or self.init_weights is not None,
            "bmn.epochs must be at least 1, found 0, unless bmn.init_weights are to be used as they are",
        )
