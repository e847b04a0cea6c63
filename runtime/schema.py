"""The configuration of a run: every setting, its unit, and the paper's value for HACS as its default.

Sources: "paper" is TAda! (ICLR 2022) with its Appendix A.2; "TCANet" is the HACS post-processing that
the paper refers to (Qing et al. 2021). A stage's fingerprint holds the sections that it names, so a
setting that cannot change a result lives in `RuntimeConfig`, which no fingerprint contains.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from omegaconf import MISSING

from runtime.schema_checks import require, require_at_least, require_share
from runtime.schema_one_stage import OneStageConfig
from runtime.schema_training import BmnConfig, FinetuneConfig, TrainingConfig

__all__ = [
    "BmnConfig",
    "ClassificationConfig",
    "DataConfig",
    "EvaluationConfig",
    "FeaturesConfig",
    "FinetuneConfig",
    "GridConfig",
    "OneStageConfig",
    "ProposalsConfig",
    "RunConfig",
    "RuntimeConfig",
    "TrainingConfig",
]


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Where videos and annotations are."""

    root: str = MISSING
    """Folder of the data set."""
    format: str = "hacs"
    """Of the annotations: a name of `video_datasets.formats.FORMATS`."""
    annotations: str = "HACS_segments_v1.1.1.json"
    """Annotation file, relative to `root`; for Kinetics and Something-Something the folder of such files.
    EPIC-KITCHENS-100's files have their official names and lie in `root`, or in this folder where it is one."""
    videos: str = "videos"
    """Folder below `root` that is searched, at any depth, for `v_<id>.mp4` (or another video suffix)."""
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
        require(self.fps > 0, f"grid.fps must be positive, found {self.fps}")
        require_at_least(self, "grid", stride_frames=1, clip_frames=1, interval_frames=1)


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
        require_at_least(self, "features", short_side_px=1)
        require_share(self.min_decoded_share, "features")


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
        require_at_least(self, "proposals", max_proposals=1, proposals_per_s=0, min_score=0, peak_share=0)
        require_at_least(self, "proposals", soft_nms_low_threshold=0, soft_nms_high_threshold=0)
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


@dataclass(frozen=True, kw_only=True)
class ClassificationConfig:
    """Labels for proposals: the classes of a video (HACS), or verb and noun of each proposal (EPIC-KITCHENS-100)."""

    source: str = "auto"
    """Where labels come from (`classification.source_table.SOURCES`).
    One label for all proposals of a video, by the finetuned head on the stored features: `video`, mean logits over the
    whole video (paper, HACS); `proposals`, over the features inside the top proposals, which keeps the background out.
    Every proposal by itself: `features`, the finetuned head on the stored features (as the released code for
    EPIC-KITCHENS-100); `clips`, the finetuned model on clips of the video (paper, EPIC-KITCHENS-100), at the cost of
    another extraction; `trained`, a classifier that is trained on the stored features and tells background, without
    finetuning or videos; `head`, the labels that the run's head gave itself.
    From others: `scores`, see `class_scores`.
    `auto`: what suits the training annotations, with its reason on the screen."""
    video_prior: float = 0.0
    """Of sources that look at every proposal by itself: the probabilities of a proposal are multiplied by those of its
    video ** this (and made to sum to 1). 0: not at all; 1 to 4 where most videos show one class."""
    top_proposals: int = 3
    """How many best proposals speak for their video in `source=proposals`, and in `video_prior`."""
    temperature: float = 2.0
    """Class probabilities are softmax(temperature * logits) (2: TCANet; 1 for EPIC-KITCHENS-100)."""
    top_classes: int = 3
    """Classes given to every proposal of a video."""
    max_detections: int = 200
    """Best detections kept per video."""
    samples_per_proposal: int = 6
    """Of `features` and `clips`: places, evenly over a proposal, whose class probabilities are averaged."""
    short_side_px: int = 224
    """Short side of the clips of `source=clips`; the whole region is used (paper: 224 for EPIC-KITCHENS-100)."""
    class_scores: str | None = None
    """For `source=scores`: a file of scores of whole videos (`classification.video_scores`: JSON, CSV), or a folder of
    released results over time for verbs and nouns (`feature_extraction.zoo.released`)."""
    class_scores_are: Literal["probabilities", "logits"] = "probabilities"
    """Of whole videos: probabilities are taken as they are (CUHK), logits with `temperature` (TCANet)."""
    top_verbs: int = 10
    """Likeliest verbs of a proposal that are paired with nouns."""
    top_nouns: int = 30
    """Likeliest nouns of a proposal that are paired with verbs."""
    actions_per_proposal: int = 5
    """Likeliest pairs that become detections."""
    action_score_power: float = 1.0
    """Exponent of the probability of the class, or of the pair, in the score of a detection."""
    score_power: float = 1.0
    """Exponent of the score of a detection; 0.5 takes the square root, as ActionFormer does."""
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
        require_at_least(self, section, top_proposals=1, top_classes=1, max_detections=1)
        require_at_least(self, section, samples_per_proposal=1, short_side_px=1)
        require_at_least(self, section, top_verbs=1, top_nouns=1, actions_per_proposal=1)
        require(
            (self.source == "scores") == (self.class_scores is not None),
            f"classification.source=scores and classification.class_scores belong together, found "
            f"source={self.source} and class_scores={self.class_scores}",
        )
        require(
            self.video_prior >= 0, f"classification.video_prior must be at least 0, found {self.video_prior}"
        )
        for name in ("temperature", "action_score_power", "score_power"):
            value = getattr(self, name)
            require(value > 0, f"classification.{name} must be positive, found {value}")
        for name in ("sls_pt", "sls_tl", "sls_td"):
            level = getattr(self, name)
            require(level is None or 0 <= level <= 5, f"classification.{name} must be 0 to 5, found {level}")


@dataclass(frozen=True, kw_only=True)
class EvaluationConfig:
    """What the last stage computes and draws."""

    protocol: str = "hacs"
    """Name in `evaluation.files.protocols.PROTOCOLS`: hacs, activitynet, thumos, ek100."""
    tiou: str = ""
    """Thresholds of mAP as A:STEP:B, e.g. 0.3:0.1:0.7; empty: the protocol's."""
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
    video_max_hours: float = 24.0
    """A longer video file is listed instead of extracted: a few kilobytes can promise days of video."""
    video_max_megapixels: float = 36.0
    """A file with larger frames is listed instead of extracted; 8K has 33 to 35. A decoder takes about 30 bytes a
    pixel, and so does the process that it feeds."""

    def __post_init__(self) -> None:
        require_at_least(self, "runtime", threads=0, workers=1, loader_workers=0, checkpoint_every_s=0)
        for name in (
            "video_time_limit_s", "process_timeout_s", "video_max_hours", "video_max_megapixels",
        ):  # fmt: skip
            limit = getattr(self, name)
            require(limit > 0, f"runtime.{name} must be positive, found {limit}")


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """One run: the whole tree of settings (see `configs/` for complete examples)."""

    run_dir: str = MISSING
    """Folder of the run."""
    seed: int = 0
    model: str = "tada2d_r50"
    """Name of the video model (`tadaconv.list_models()`)."""
    head: str = "bmn"
    """Name of the network that finds segments in features (`proposals.heads.HEADS`)."""
    data: DataConfig = field(default_factory=DataConfig)
    grid: GridConfig = field(default_factory=GridConfig)
    finetune: FinetuneConfig = field(default_factory=FinetuneConfig)
    features: FeaturesConfig = field(default_factory=FeaturesConfig)
    bmn: BmnConfig = field(default_factory=BmnConfig)
    one_stage: OneStageConfig = field(default_factory=OneStageConfig)
    proposals: ProposalsConfig = field(default_factory=ProposalsConfig)
    classification: ClassificationConfig = field(default_factory=ClassificationConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    runtime: RuntimeConfig = field(default_factory=RuntimeConfig)

    def __post_init__(self) -> None:
        require(self.seed >= 0, f"seed must be at least 0, found {self.seed}")
        require(self.run_dir != "", "run_dir must name a folder, found an empty word")
