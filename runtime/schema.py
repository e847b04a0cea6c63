"""The configuration of a run: every setting, its unit, and the paper's value for HACS as its default.

Sources: "paper" is TAda! (ICLR 2022) with its Appendix A.2; "TCANet" is the HACS post-processing that
the paper refers to (Qing et al. 2021). A stage's fingerprint holds the sections that it names, so a
setting that cannot change a result lives in `RuntimeConfig`, which no fingerprint contains.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from omegaconf import MISSING


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


def _require_at_least(config: object, section: str, **lowest: float) -> None:
    for name, bound in lowest.items():
        value = getattr(config, name)
        _require(value >= bound, f"{section}.{name} must be at least {bound}, found {value}")


def _require_share(share: float, section: str) -> None:
    _require(0 <= share <= 1, f"{section}.min_decoded_share must be within 0 and 1, found {share}")


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Where videos and annotations are."""

    root: str = MISSING
    """Folder of the data set."""
    format: Literal["hacs", "csv", "ek100", "kinetics", "ssv2"] = "hacs"
    """Of the annotations: HACS/ActivityNet JSON, one's own CSV (`video_datasets.own_csv`), the files of
    EPIC-KITCHENS-100 (`video_datasets.ek100_annotations`), or for finetuning alone those of Kinetics
    (`video_datasets.kinetics_csv`) and Something-Something V2 (`video_datasets.ssv2_json`)."""
    annotations: str = "HACS_segments_v1.1.1.json"
    """Annotation file, relative to `root`; for Kinetics and Something-Something the folder of such files;
    EPIC-KITCHENS-100 has its own keys, see `ek100_training` and below."""
    videos: str = "videos"
    """Folder below `root` that is searched, at any depth, for `v_<id>.mp4` (or another video suffix)."""
    ek100_training: str = "EPIC_100_train.csv"
    """This and the following: files of EPIC-KITCHENS-100, relative to `root`; `.gz` behind the name may be there."""
    ek100_validation: str = "EPIC_100_validation.csv"
    ek100_testing: str = "EPIC_100_test_timestamps.csv"
    """Names the testing videos; may be missing."""
    ek100_video_info: str = "EPIC_100_video_info.csv"
    ek100_verb_classes: str = "EPIC_100_verb_classes.csv"
    ek100_noun_classes: str = "EPIC_100_noun_classes.csv"
    mini: bool = False
    """True: `root` is rendered on the spot by `video_datasets.mini` when it is not there."""
    training_subset: str = "training"
    validation_subset: str = "validation"


@dataclass(frozen=True, kw_only=True)
class GridConfig:
    """The uniform time grid that finetuning, extraction and BMN share (`video_datasets.time_grid`)."""

    fps: float = 30.0
    """Frame rate of the grid; every video is resampled to it by presentation time (paper: 30 for HACS)."""
    stride_frames: int = 16
    """Grid frames between two features (paper: 16 for HACS)."""
    clip_frames: int = 8
    """Frames per clip (paper: 8)."""
    interval_frames: int = 8
    """Grid frames between two frames of a clip (paper: 8)."""
    convention: Literal["centred", "centred_on_first", "centred_on_last", "no_padding"] = "centred"
    """Which frames a feature stands for; other people's conventions have names in `time_grid`."""
    spacing: Literal["interval", "linspace"] = "interval"
    """How the frames of a clip are spread: every `interval_frames` (0, 8, ..., 56), or "linspace" as the released
    code does (0, 9, ..., 63)."""

    def __post_init__(self) -> None:
        _require(self.fps > 0, f"grid.fps must be positive, found {self.fps}")
        _require_at_least(self, "grid", stride_frames=1, clip_frames=1, interval_frames=1)


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
    validate_every_epochs: int = 1
    """Validate after every so many epochs and after the last one."""

    def __post_init__(self) -> None:
        section = type(self).__name__.removesuffix("Config").lower()
        _require_at_least(self, section, epochs=self.lowest_epochs, validate_every_epochs=1)
        _require_at_least(self, section, batch_size=1, micro_batch=0)
        _require_at_least(self, section, weight_decay=0, warmup_epochs=0, clip_gradient_norm=0)
        for name in ("learning_rate", "new_layer_rate_factor"):
            value = getattr(self, name)
            _require(value > 0, f"{section}.{name} must be positive, found {value}")
        _require(
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
        _require_at_least(self, "finetune", clips_per_segment=1, test_short_side_px=1)
        _require_at_least(self, "finetune", test_clips=1, frame_cache_step=0)
        low_px, high_px = self.short_side_px
        _require(
            0 < self.crop_px <= low_px <= high_px,
            f"finetune.crop_px={self.crop_px} must not exceed finetune.short_side_px=[{low_px}, {high_px}], "
            f"smallest first",
        )
        _require_share(self.min_decoded_share, "finetune")


@dataclass(frozen=True, kw_only=True)
class FeaturesConfig:
    """Sliding-window extraction of clip features."""

    short_side_px: int = 128
    """Short side of the frames; the whole spatial region is used (paper: 128 for HACS)."""
    crops: Literal["whole", "centre", "three"] = "whole"
    """What the network sees of a frame: the whole region (paper); the square in its middle; or three squares, left,
    middle, right, whose features stand side by side (the released EPIC-KITCHENS-100 features: 3 x 2048 channels)."""
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    """What the network computes in; the two short types want a GPU that has them (errors of about half a percent)."""
    dtype: Literal["float16", "float32"] = "float16"
    """How features are stored: float16 (relative error below 5e-4) or float32."""
    min_decoded_share: float = 0.9
    """A video of which less than this share of the promised frames decodes is skipped and listed."""
    store: str | None = None
    """A finished store (HDF5 file) to use instead of extracting: imported or shared features on this very grid. The
    stage then only checks it, and needs neither videos nor finetuning."""

    def __post_init__(self) -> None:
        _require_at_least(self, "features", short_side_px=1)
        _require_share(self.min_decoded_share, "features")


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
        _require_at_least(self, "bmn", tscale=1, dscale=1, num_samples=1, num_samples_per_bin=1)
        _require_at_least(self, "bmn", hidden_1d=4, hidden_2d=1, hidden_3d=1, boundary_ratio=0)
        _require(
            self.hidden_1d % 4 == 0, f"bmn.hidden_1d must be divisible by 4 (groups), found {self.hidden_1d}"
        )
        _require(
            self.dscale <= self.tscale, f"bmn.dscale={self.dscale} must not exceed bmn.tscale={self.tscale}"
        )
        _require_at_least(self, "bmn", cell_features=1, window_step_cells=0)
        _require(
            self.window_step_cells <= self.tscale,
            f"bmn.window_step_cells={self.window_step_cells} must not exceed bmn.tscale={self.tscale}: no window "
            f"would see what lies between two",
        )
        _require(
            self.epochs > 0 or self.init_weights is not None,
            "bmn.epochs must be at least 1, found 0, unless bmn.init_weights are to be used as they are",
        )


@dataclass(frozen=True, kw_only=True)
class ProposalsConfig:
    """Score and soft-NMS of BMN's candidates (TCANet's values for HACS)."""

    peak_share: float = 0.5
    """A start or end is a candidate if its probability is a peak or exceeds this share of the video's largest."""
    clr_power: float = 1.2
    """Exponent of the classification confidence."""
    reg_power: float = 1.0
    """Exponent of the IoU regression."""
    min_score: float = 0.0
    """Candidates at or below this score are dropped before soft-NMS."""
    soft_nms_alpha: float = 0.4
    """Decay constant: a pick multiplies the scores of what it overlaps by exp(-IoU ** power / alpha)."""
    soft_nms_low_threshold: float = 0.0
    """IoU above which a pick of width 0 does so (0.25 for EPIC-KITCHENS-100)."""
    soft_nms_high_threshold: float = 0.0
    """Likewise for a pick as wide as the video (0.9 for EPIC-KITCHENS-100); linear in between."""
    soft_nms_iou_power: float = 2.5
    """Exponent of the IoU in the decay (2.0 for EPIC-KITCHENS-100)."""
    max_proposals: int = 100
    """Proposals kept of a video."""
    proposals_per_s: float = 0.0
    """Above 0, int(duration in s * this) + 1 proposals of a video are kept instead of `max_proposals` (1 for
    EPIC-KITCHENS-100)."""

    def __post_init__(self) -> None:
        _require_at_least(self, "proposals", max_proposals=1, proposals_per_s=0, min_score=0, peak_share=0)
        _require_at_least(self, "proposals", soft_nms_low_threshold=0, soft_nms_high_threshold=0)
        power = self.soft_nms_iou_power
        _require(power > 0, f"proposals.soft_nms_iou_power must be positive, found {power}")
        _require(
            self.soft_nms_alpha > 0, f"proposals.soft_nms_alpha must be positive, found {self.soft_nms_alpha}"
        )


@dataclass(frozen=True, kw_only=True)
class ClassificationConfig:
    """Labels for proposals: the classes of a video (HACS), or verb and noun of each proposal (EPIC-KITCHENS-100)."""

    source: Literal["video", "proposals", "features", "clips", "scores"] = "video"
    """For one set of classes, the finetuned head on the stored features: `video`, mean logits over the whole video
    (paper); `proposals`, over the features inside the top proposals, which keeps the background out.
    For verbs and nouns, every proposal by itself: `clips`, the finetuned model on clips of the video (paper);
    `features`, the finetuned head on the stored features (as the released code, and much cheaper); `scores`,
    imported logits, see `class_scores`."""
    top_proposals: int = 3
    """How many proposals `source=proposals` looks at."""
    temperature: float = 2.0
    """Class probabilities are softmax(temperature * logits) (2: TCANet; 1 for EPIC-KITCHENS-100)."""
    top_classes: int = 3
    """Classes given to every proposal of a video."""
    max_detections: int = 200
    """Best detections kept per video."""
    samples_per_proposal: int = 6
    """Of verbs and nouns: places, evenly over a proposal, whose class probabilities are averaged."""
    short_side_px: int = 224
    """Short side of the clips of `source=clips`; the whole region is used (paper: 224 for EPIC-KITCHENS-100)."""
    class_scores: str | None = None
    """Folder of released classification results for `source=scores` (`feature_extraction.zoo.released`)."""
    top_verbs: int = 10
    """Likeliest verbs of a proposal that are paired with nouns."""
    top_nouns: int = 30
    """Likeliest nouns of a proposal that are paired with verbs."""
    actions_per_proposal: int = 5
    """Likeliest pairs that become detections."""
    action_score_power: float = 1.0
    """Exponent of the probability of the pair in the score of a detection."""
    sls_pt: int | None = None
    """Supervision level of pre-training, which a submission to the EPIC-KITCHENS-100 challenge must declare: 0 none,
    1 public images, 2 public images and videos, 3 self-supervised on public data, 4 that and EPIC-KITCHENS,
    5 private data (epic-kitchens/sls)."""
    sls_tl: int | None = None
    """Likewise of training labels: 0 none, 1 of videos, 2 one time of each action, 3 its start and end, 4 its place in
    the picture too, 5 knowledge beyond labels."""
    sls_td: int | None = None
    """Likewise of training data: 0 none, 1 a few of each class, 2 at most a quarter, 3 the training subset, 4 training
    and validation, 5 further data."""

    def __post_init__(self) -> None:
        section = "classification"
        _require_at_least(self, section, top_proposals=1, top_classes=1, max_detections=1)
        _require_at_least(self, section, samples_per_proposal=1, short_side_px=1)
        _require_at_least(self, section, top_verbs=1, top_nouns=1, actions_per_proposal=1)
        _require(
            (self.source == "scores") == (self.class_scores is not None),
            f"classification.source=scores and classification.class_scores belong together, found "
            f"source={self.source} and class_scores={self.class_scores}",
        )
        for name in ("temperature", "action_score_power"):
            value = getattr(self, name)
            _require(value > 0, f"classification.{name} must be positive, found {value}")
        for name in ("sls_pt", "sls_tl", "sls_td"):
            level = getattr(self, name)
            _require(level is None or 0 <= level <= 5, f"classification.{name} must be 0 to 5, found {level}")


@dataclass(frozen=True, kw_only=True)
class EvaluationConfig:
    """What the last stage computes and draws."""

    protocol: Literal["hacs", "activitynet", "ek100"] = "hacs"
    timelines: int = 4
    """Videos whose ground truth and detections are drawn as a PNG."""


@dataclass(frozen=True, kw_only=True)
class RuntimeConfig:
    """How a run uses the machine; results depend on it by rounding, and by videos that meet the time limit."""

    device: str = "auto"
    """auto (a GPU when there is one), cpu, cuda, cuda:1, ..."""
    threads: int = 0
    """Threads of torch in each process; 0: all cores, divided among the processes of this machine."""
    workers: int = 2
    """Processes that decode videos for extraction."""
    scheduler: str = ""
    """Address (tcp://host:port) of a running Dask cluster that extracts the features; empty: this machine does. See
    `feature_extraction.cluster`."""
    loader_workers: int = 0
    """Processes that load training items; 0: the training process itself."""
    checkpoint_every_s: float = 60.0
    """Seconds of training between two checkpoints."""
    process_timeout_s: float = 1800.0
    """How long processes started by `torchrun` wait for one another before they give up: longer than the slowest
    share of a validation, and than what the first process does alone (rendering, decoding to a cache)."""
    tensorboard: bool = False
    """True: training also writes `<stage>/tensorboard/` (needs `pip install tadaloc[tensorboard]`)."""
    video_time_limit_s: float = 300.0
    """A decoder that shows no progress for so long is stopped and its video listed."""

    def __post_init__(self) -> None:
        _require_at_least(self, "runtime", threads=0, workers=1, loader_workers=0, checkpoint_every_s=0)
        for name in ("video_time_limit_s", "process_timeout_s"):
            limit_s = getattr(self, name)
            _require(limit_s > 0, f"runtime.{name} must be positive, found {limit_s}")


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """One run: the whole tree of settings (see `configs/` for complete examples)."""

    run_dir: str = MISSING
    """Folder of the run."""
    seed: int = 0
    model: str = "tada2d_r50"
    """Name of the video model (`tadaconv.list_models()`)."""
    data: DataConfig = field(default_factory=DataConfig)
    grid: GridConfig = field(default_factory=GridConfig)
    finetune: FinetuneConfig = field(default_factory=FinetuneConfig)
    features: FeaturesConfig = field(default_factory=FeaturesConfig)
    bmn: BmnConfig = field(default_factory=BmnConfig)
    proposals: ProposalsConfig = field(default_factory=ProposalsConfig)
    classification: ClassificationConfig = field(default_factory=ClassificationConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    runtime: RuntimeConfig = field(default_factory=RuntimeConfig)

    def __post_init__(self) -> None:
        _require(self.seed >= 0, f"seed must be at least 0, found {self.seed}")
        _require(self.run_dir != "", "run_dir must name a folder, found an empty word")
