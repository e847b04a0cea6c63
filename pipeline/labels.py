"""Labels for the proposals of a new video from its features: one head, or a verb and a noun."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from classification.action_sources import FeatureSource, Sampling
from classification.classify import video_probabilities
from classification.labelling import label_proposals
from classification.verb_noun import fuse_verb_noun
from feature_extraction import FeatureStore
from feature_extraction.backbone import Backbone
from runtime.schema import ClassificationConfig
from video_datasets.formats.ek100_labels import action_id, action_name


class Labelled(NamedTuple):
    """Detections of a video by score, descending; see `pipeline.detector.VideoDetections`."""

    segments_s: NDArray[np.float64]
    labels: tuple[str, ...]
    scores: NDArray[np.float64]
    codes: tuple[str, ...]


def label_video(
    store: FeatureStore,
    video_id: str,
    segments_s: NDArray[np.float64],
    scores: NDArray[np.float64],
    backbone: Backbone,
    config: ClassificationConfig,
) -> Labelled:
    """Label the proposals of a video with the finetuned head on its features.

    So does the run's stage where `classification.source` looks at features; runs whose stage looks at clips or at
    imported scores are labelled by features here, because the video is decoded only once.

    Args:
        store: holds the video.
        video_id: in the store.
        segments_s: (n, 2) proposals by score, descending.
        scores: (n,).
        backbone: whose head and class names are used.
        config: of the run.
    """
    if not len(scores):
        return Labelled(np.zeros((0, 2)), (), np.zeros(0), ())
    label = _verbs_and_nouns if "verb" in backbone.heads else _one_class_a_video
    return label(store, video_id, segments_s, scores, backbone, config)


def _one_class_a_video(
    store: FeatureStore,
    video_id: str,
    segments_s: NDArray[np.float64],
    scores: NDArray[np.float64],
    backbone: Backbone,
    config: ClassificationConfig,
) -> Labelled:
    segments, found, classes = label_proposals(
        segments_s,
        scores,
        video_probabilities(store[video_id], segments_s, backbone.model.head, config),
        top_classes=config.top_classes,
        max_detections=config.max_detections,
    )
    labels = tuple(backbone.labels[index] for index in classes)
    return Labelled(segments, labels, found, labels)


def _verbs_and_nouns(
    store: FeatureStore,
    video_id: str,
    segments_s: NDArray[np.float64],
    scores: NDArray[np.float64],
    backbone: Backbone,
    config: ClassificationConfig,
) -> Labelled:
    sampling = Sampling.from_config(store.info(video_id).grid, config)
    probabilities = FeatureSource(store, backbone.model.head, sampling)(video_id, segments_s)
    actions = fuse_verb_noun(
        probabilities["verb"],
        probabilities["noun"],
        num_verbs=config.top_verbs,
        num_nouns=config.top_nouns,
        num_actions=config.actions_per_proposal,
    )
    found = scores[:, None] * actions.score**config.action_score_power  # N x K
    order = np.argsort(-found, axis=None, kind="stable")
    verbs, nouns = backbone.heads["verb"], backbone.heads["noun"]
    pairs = list(zip(actions.verb.ravel()[order].tolist(), actions.noun.ravel()[order].tolist(), strict=True))
    return Labelled(
        segments_s[order // found.shape[1]],
        tuple(f"{verbs[verb]} {nouns[noun]}" for verb, noun in pairs),
        found.ravel()[order],
        tuple(action_name(action_id(verb, noun)) for verb, noun in pairs),
    )
