"""Settings of finetuning."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from runtime.schema_checks import PLACE, require, require_at_least, require_share
from runtime.sections import section
from training.settings import TrainingConfig


@section("finetune")
@dataclass(frozen=True, kw_only=True)
class FinetuneConfig(TrainingConfig):
    """Finetuning of the video model on the labelled segments (paper A.2: AdamW 2e-4, 30 epochs,
    8 warm-up)."""

    lowest_epochs: ClassVar[int] = 0
    """With `finetune.epochs=0` the network stays as it is, frozen, and so does its random head:
    labels then come from `classification.source=trained`, which `auto` chooses, or the run's head."""

    init_weights: str | None = field(default=None, metadata=PLACE)
    """Checkpoint to start from (Kinetics-400 or ImageNet); `pretrain`: what the stage `pretrain` of
    this run left; none: random initialisation."""
    weights: Literal["last", "best"] = "last"
    """What the later stages take: the weights of the last epoch (paper), or those with the best
    validation accuracy."""
    batch_size: int = 512
    """Paper: 16 clips on each of 32 GPUs."""
    clips_per_segment: int = 1
    """Clips drawn from every labelled segment in one epoch."""
    sampling: Literal["interval", "segments"] = "interval"
    """interval: a clip is one stretch of time, its frames `grid.interval_frames` apart, at a random
    place of the segment. segments: one random frame of each of `grid.clip_frames` equal parts of it
    (Something-Something)."""
    short_side_px: tuple[int, int] = (256, 320)
    """Range of the random short side before the crop (paper A.1)."""
    crop_px: int = 224
    """Side of the square that training clips are cut to (paper: 224)."""
    flip: bool = True
    """Horizontal flip of every second clip, but see `flip_left_right`."""
    flip_left_right: Literal["never", "swap"] = "never"
    """Clips of classes whose names tell left from right: never flipped, or flipped with the
    mirrored class as their label (the original does so on Something-Something)."""
    colour_jitter: float = 0.0
    """Strength of random changes of brightness, contrast and saturation, and half of it of hue, the
    same in all frames of a clip (ViViT 0.5). 0: none."""
    grey_probability: float = 0.0
    """Probability that a clip loses its colour (ViViT on Kinetics 0.3, TAdaFormer 0.2)."""
    rand_augment: int = 0
    """Random changes of geometry and colour that are drawn for each training clip
    (`video_datasets.video.rand_augment`; TAdaFormer and TAdaConvNeXtV2 4). 0: none."""
    rand_augment_magnitude: float = 9.0
    """How strong they are, 0 to 10."""
    layer_rate_decay: float = 1.0
    """Learning rate of a block as a multiple of that of the block behind it, from the head to the
    stem (TAdaFormer-B 0.7, -L 0.85); 1: all learn alike. For networks whose blocks stand in a row:
    transformers and ResNets."""
    router_rate_factor: float = 1.0
    """Learning rate of the routers, which calibrate the kernels of each frame, as a multiple of the
    others'. Trained from nothing at a high rate, factors leave their neutral start at once and can
    drown what the kernels learn; then 0.1 helps (spoken words), but not where nothing but motion
    tells classes (mini-HACS)."""
    label_smoothing: float = 0.0
    """Part of the target that is spread over all classes (TAdaFormer 0.1, ViViT on
    EPIC-KITCHENS-100 0.2)."""
    mixup: float = 0.0
    """Alpha of mixup's Beta distribution: clips of a batch are added in pairs, labels too (ViViT
    0.2). 0: none."""
    cutmix: float = 0.0
    """Alpha of CutMix's: a box of one clip is cut into another (ViViT on EPIC-KITCHENS-100 1.0);
    with `mixup`, in every second batch. 0: none."""
    random_erasing: float = 0.0
    """Probability that a rectangle of a clip is filled with noise (ViViT on EPIC-KITCHENS-100
    0.25)."""
    test_short_side_px: int = 256
    """Short side in validation and test."""
    test_clips: int = 1
    """Clips of every segment whose probabilities `classification.finetune.test` averages (paper:
    10; 2 for Something-Something). Validation during training looks at the one in the middle."""
    test_crops: Literal[0, 1, 3] = 0
    """Squares of `test_short_side_px` cut from every test clip along its longer side: 3 (paper), or
    the middle one; 0: the whole region, as in extraction. Validation during training cuts out the
    middle one, or none."""
    frame_cache_step: int = 0
    """0: clips are decoded from the videos each time. n: every n-th grid frame of the labelled
    segments is decoded once, at the largest short side, to files in the run folder (an hour of 72 x
    96 px video at n = 4 is 0.6 GB; 0.25 GB of it stay in the memory of each process that loads), and
    clips have frames at multiples of n only, which must divide `grid.interval_frames`."""
    min_decoded_share: float = 0.9
    """A video of which less than this share of the promised frames decodes counts as damaged."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_at_least(self, "finetune", clips_per_segment=1, test_short_side_px=1)
        require_at_least(self, "finetune", test_clips=1, frame_cache_step=0, mixup=0, cutmix=0)
        for name in ("colour_jitter", "grey_probability", "label_smoothing", "random_erasing"):
            share = getattr(self, name)
            require(0 <= share <= 1, f"finetune.{name} must lie within 0 and 1, found {share}")
        require_at_least(self, "finetune", rand_augment=0, rand_augment_magnitude=0)
        require(
            self.rand_augment_magnitude <= 10,
            f"finetune.rand_augment_magnitude must be at most 10, found {self.rand_augment_magnitude}",
        )
        require(
            0 < self.layer_rate_decay <= 1,
            f"finetune.layer_rate_decay must lie above 0 and at most at 1, found {self.layer_rate_decay}",
        )
        require(
            self.router_rate_factor > 0,
            f"finetune.router_rate_factor must be above 0, found {self.router_rate_factor}",
        )
        low_px, high_px = self.short_side_px
        require(
            0 < self.crop_px <= low_px <= high_px,
            f"finetune.crop_px={self.crop_px} must not exceed finetune.short_side_px=[{low_px}, {high_px}], "
            f"smallest first",
        )
        require_share(self.min_decoded_share, "finetune")
