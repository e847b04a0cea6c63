"""The table of sources: where the labels of proposals come from (`classification.source`), and what
each reads.

A new source is an entry here. This file loads no arithmetic; what opens a source does so itself.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from proposals.heads import head_of
from runtime.errors import InputError
from runtime.fingerprint import listing_state
from runtime.sections import RunConfig
from video_datasets.dataset import VideoDataset, annotations_state, dataset_inputs
from video_datasets.formats.format import Classes

if TYPE_CHECKING:
    import torch

    from classification.labels import VideoLabeller
    from classification.segment_classifier import SegmentClassifier
    from classification.sources import Sampling, Source
    from feature_extraction import FeatureStore
    from feature_extraction.backbone import Backbone
    from tadaconv.heads import ClassificationHead


@dataclass(frozen=True)
class Parts:
    """What a source is made of: of a run's stages, those that its entry reads are there.

    Attributes:
        config: of the run.
        device: where networks compute.
        folder: of the stage, for what a source trains; None where nothing is to be trained.
        store: features ("features").
        backbone: finetuned network ("finetune").
        classifier: trained earlier on stored features.
        dataset: the run's; None for videos of no data set.
    """

    config: RunConfig
    device: torch.device
    folder: Path | None = None
    store: FeatureStore | None = None
    backbone: Backbone | None = None
    classifier: SegmentClassifier | None = None
    dataset: VideoDataset | None = None

    @property
    def features(self) -> FeatureStore:
        """The features."""
        assert self.store is not None
        return self.store

    @property
    def network(self) -> Backbone:
        """The finetuned network."""
        assert self.backbone is not None
        return self.backbone

    @property
    def head(self) -> ClassificationHead:
        """The finetuned network's head."""
        head: ClassificationHead = self.network.model.head
        return head

    @property
    def annotations(self) -> VideoDataset:
        """The data set."""
        assert self.dataset is not None
        return self.dataset


@dataclass(frozen=True, kw_only=True)
class SourceKind:
    """One way to label proposals.

    Attributes:
        name: value of `classification.source`.
        open: makes the function that labels the proposals of a video.
        reads: stages whose results it reads, from the configuration.
        inputs: describes the input files that no stage made, for the fingerprint.
        detects_as: name of the source for new videos, which detection decodes but once.
    """

    name: str
    open: Callable[[Parts], VideoLabeller]
    reads: Callable[[RunConfig], tuple[str, ...]] = lambda config: ("finetune", "features", "proposals")
    inputs: Callable[[RunConfig], Mapping[str, str]] = lambda config: {}
    detects_as: str = ""


def _labeller(source: Source, classes: Classes, parts: Parts) -> VideoLabeller:
    from classification.sources import WithVideoPrior

    config = parts.config.classification
    if config.video_prior:
        source = WithVideoPrior(source, config.video_prior, config.top_proposals)
    return _plain_labeller(source, classes, parts)


def _plain_labeller(source: Source, classes: Classes, parts: Parts) -> VideoLabeller:
    from classification.labels import LabelVideo, WeighedLabels

    config = parts.config.classification
    return (WeighedLabels if config.with_head else LabelVideo)(source, classes, config)


def _sampling(parts: Parts) -> Sampling:
    from classification.sources import Sampling

    return Sampling.from_config(parts.config.grid, parts.config.classification)


def _open_video(parts: Parts, top_proposals: int = 0) -> VideoLabeller:
    from classification.sources import VideoSource

    config = parts.config.classification
    source = VideoSource(parts.features, parts.head, config.temperature, top_proposals)
    return _plain_labeller(source, parts.network.heads, parts)


def _open_proposals(parts: Parts) -> VideoLabeller:
    return _open_video(parts, parts.config.classification.top_proposals)


def _open_features(parts: Parts) -> VideoLabeller:
    from classification.sources import FeatureSource

    return _labeller(FeatureSource(parts.features, parts.head, _sampling(parts)), parts.network.heads, parts)


def _open_clips(parts: Parts) -> VideoLabeller:
    from classification.sources import ProposalClipSource
    from feature_extraction.extractor import Extractor

    config, sampling = parts.config, _sampling(parts)
    side_px = config.classification.short_side_px
    source = ProposalClipSource(
        parts.annotations.videos,
        Extractor.optimised(parts.network.model, sampling.grid, side_px, parts.device),
        parts.head,
        sampling,
        config.features.min_decoded_share,
        config.runtime.video_time_limit_s,
    )
    return _labeller(source, parts.network.heads, parts)


def _clip_inputs(config: RunConfig) -> dict[str, str]:
    share = f"{config.features.min_decoded_share:g}"
    return {**dataset_inputs(config.data), "features.min_decoded_share": share}


def _open_scores(parts: Parts) -> VideoLabeller:
    from classification.score_sources import VideoScoreSource, open_scores

    config = parts.config.classification
    assert config.class_scores is not None
    source = open_scores(Path(config.class_scores), parts.annotations, _sampling(parts), config)
    classes = parts.annotations.heads
    if isinstance(source, VideoScoreSource):  # of the video already: its prior would only distort them
        return _plain_labeller(source, classes, parts)
    return _labeller(source, classes, parts)


def _score_inputs(config: RunConfig) -> dict[str, str]:
    from classification.score_sources import score_files

    assert config.classification.class_scores is not None
    files = score_files(Path(config.classification.class_scores))
    return {"annotations": annotations_state(config.data), "class_scores": listing_state(files)}


def _open_trained(parts: Parts) -> VideoLabeller:
    from classification.segment_classifier import SegmentSource, trained_classifier

    classifier = parts.classifier or trained_classifier(parts)
    return _labeller(SegmentSource(parts.features, classifier), classifier.classes, parts)


def _annotation_inputs(config: RunConfig) -> dict[str, str]:
    return {"annotations": annotations_state(config.data)}


def _open_head(parts: Parts) -> VideoLabeller:
    from classification.labels import GivenLabels

    return GivenLabels(parts.config.classification.max_detections)


def _open_auto(parts: Parts) -> VideoLabeller:
    raise AssertionError("`classification.auto` puts another source in its place")


def _auto_reads(config: RunConfig) -> tuple[str, ...]:
    return ("proposals",) if head_labels(config) else ("features", "proposals")


def head_labels(config: RunConfig) -> bool:
    """Tell whether the run's head needs no other source of labels."""
    return head_of(config).tells_classes(config) and not config.classification.with_head


def refuse_with_head(config: RunConfig) -> None:
    """Refuse `classification.with_head` where there is nothing to multiply.

    Raises:
        InputError: if the run's head tells no classes, or one task of two.
    """
    head = head_of(config)
    if config.classification.with_head and (not head.tells_classes(config) or head.one_task(config)):
        told = "verbs or nouns alone" if head.one_task(config) else "no classes"
        raise InputError(
            f"classification.with_head multiplies a source's class scores with the head's own, but {head.title} "
            f"tells {told} in this run; set one_stage.classes=own, or leave with_head out"
        )


TRAINED = "trained"
"""Its classifier goes where the run goes, into bundles, too."""
AUTO = "auto"
"""Another source takes its place (`classification.auto`)."""
SOURCES: dict[str, SourceKind] = {
    entry.name: entry
    for entry in (
        SourceKind(name="video", open=_open_video, detects_as="video"),
        SourceKind(name="proposals", open=_open_proposals, detects_as="proposals"),
        SourceKind(name="features", open=_open_features, detects_as="features"),
        SourceKind(
            name="clips",
            open=_open_clips,
            reads=lambda config: ("finetune", "proposals"),
            inputs=_clip_inputs,
            detects_as="features",
        ),
        SourceKind(
            name="scores",
            open=_open_scores,
            reads=lambda config: ("proposals",),
            inputs=_score_inputs,
            detects_as="features",
        ),
        SourceKind(
            name=TRAINED,
            open=_open_trained,
            reads=lambda config: ("features", "proposals"),
            inputs=_annotation_inputs,
            detects_as=TRAINED,
        ),
        SourceKind(name=AUTO, open=_open_auto, reads=_auto_reads, inputs=_annotation_inputs),
        SourceKind(name="head", open=_open_head, reads=lambda config: ("proposals",), detects_as="head"),
    )
}


def source_kind(config: RunConfig) -> SourceKind:
    """Return the source that a run names.

    Raises:
        InputError: if `classification.source` names none.
    """
    name = config.classification.source
    if name not in SOURCES:
        close = difflib.get_close_matches(name, SOURCES, n=1)
        hint = f"; closest: {close[0]}" if close else ""
        raise InputError(f"classification.source must be one of {', '.join(SOURCES)}, found '{name}'{hint}")
    return SOURCES[name]
