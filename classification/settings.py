"""Settings of the labels of proposals."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from runtime.schema_checks import PLACE, require, require_at_least, require_at_most
from runtime.sections import section


@section("classification")
@dataclass(frozen=True, kw_only=True)
class ClassificationConfig:
    """Labels for proposals: the classes of a video (HACS), or verb and noun of each proposal
    (EPIC-KITCHENS-100)."""

    source: str = "auto"
    """Where labels come from (`classification.source_table.SOURCES`).
    One label for all proposals of a video, by the finetuned head on the stored features: `video`,
    mean logits over the whole video (paper, HACS); `proposals`, over the features inside the top
    proposals, which keeps the background out. Every proposal by itself: `features`, the finetuned
    head on the stored features (as the released code for EPIC-KITCHENS-100); `clips`, the finetuned
    model on clips of the video (paper, EPIC-KITCHENS-100), at the cost of another extraction;
    `trained`, a classifier that is trained on the stored features and tells background, without
    finetuning or videos; `head`, the labels that the run's head gave itself. From others: `scores`,
    see `class_scores`. `auto`: what suits the training annotations, with its reason on the screen."""
    with_head: bool = False
    """Of heads that tell classes: their detections keep segment and class, and each score is
    multiplied by the probability that the source gives to that class, as the score of a proposal
    is; `auto` then takes a source beside the head. false: the classes of the source replace the
    head's."""
    video_prior: float = 0.0
    """Of sources that look at every proposal by itself: the probabilities of a proposal are
    multiplied by those of its video ** this (and made to sum to 1). 0: not at all; 1 to 4 where
    most videos show one class."""
    top_proposals: int = 3
    """How many best proposals speak for their video in `source=proposals`, and in `video_prior`."""
    temperature: float = 2.0
    """Class probabilities are softmax(temperature * logits) (2: TCANet; 1 for
    EPIC-KITCHENS-100)."""
    top_classes: int = 3
    """Classes given to every proposal of a video."""
    max_detections: int = 200
    """Best detections kept per video."""
    samples_per_proposal: int = 6
    """Of `features` and `clips`: places, evenly over a proposal, whose class probabilities are
    averaged."""
    short_side_px: int = 224
    """Short side of the clips of `source=clips`; the whole region is used (paper: 224 for
    EPIC-KITCHENS-100)."""
    class_scores: str | None = field(default=None, metadata=PLACE)
    """For `source=scores`: a file of scores of whole videos (`classification.video_scores`: JSON,
    CSV), or a folder of released results over time for verbs and nouns
    (`feature_extraction.zoo.released`)."""
    class_scores_are: Literal["probabilities", "logits"] = "probabilities"
    """Of whole videos: probabilities are taken as they are (CUHK), logits with `temperature`
    (TCANet)."""
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
    """Supervision level of pre-training, which a submission to the EPIC-KITCHENS-100 challenge must
    declare: 0 none, 1 public images, 2 public images and videos, 3 self-supervised on public data,
    4 that and EPIC-KITCHENS, 5 private data (epic-kitchens/sls)."""
    sls_tl: int | None = None
    """Likewise of training labels: 0 none, 1 of videos, 2 one time of each action, 3 its start and
    end, 4 its place in the picture too, 5 knowledge beyond labels."""
    sls_td: int | None = None
    """Likewise of training data: 0 none, 1 a few of each class, 2 at most a quarter, 3 the training
    subset, 4 training and validation, 5 further data."""

    def __post_init__(self) -> None:
        section = "classification"
        require_at_least(self, section, top_proposals=1, top_classes=1, max_detections=1)
        require_at_least(self, section, samples_per_proposal=1, short_side_px=1)
        require_at_least(self, section, top_verbs=1, top_nouns=1, actions_per_proposal=1)
        require_at_most(self, section, samples_per_proposal=1000, short_side_px=4320, video_prior=1000)
        require_at_most(self, section, temperature=1e6, action_score_power=1000, score_power=1000)
        require(
            (self.source == "scores") == (self.class_scores is not None),
            f"classification.source=scores and classification.class_scores belong together, found "
            f"source={self.source} and class_scores={self.class_scores}",
        )
        require(
            not self.with_head or self.source != "head",
            "classification.with_head multiplies the head's scores with those of another source, found source=head",
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
