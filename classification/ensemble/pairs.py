"""Actions of a run that tells verbs and one that tells nouns: `one_stage.classes=verb` and `noun`.

The heads are put together point by point (`one_stage.pair`), before suppression, so that what
counts is their weights and the features of both runs; their own detections play no part.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from classification.ensemble.classes import run_config
from classification.labels import CODES
from feature_extraction import FeatureStore
from feature_extraction.checks import features_problem
from one_stage.head import OneStageHead
from one_stage.pair import HeadPair
from proposals.heads import head_of
from proposals.suppression import suppress_by_class
from runtime.errors import InputError
from runtime.progress import progress
from runtime.sections import RunConfig
from training.device import prepare_device
from video_datasets.predictions import Predictions, concatenate

MAX_DETECTIONS = 30_000
"""Of a video (OpenTAD)."""


@dataclass(frozen=True)
class PairVideo:
    """From the features of a video to its actions.

    Attributes:
        pair: of heads.
        config: of the run of verbs, whose suppression counts.
    """

    pair: HeadPair
    config: RunConfig

    def __call__(self, video_id: str) -> Predictions:
        """Return the detections of a video, by score, descending.

        Raises:
            InputError: if features are missing, or of other times.
        """
        pair = self.pair
        for store, head in ((pair.verb_store, pair.verbs), (pair.noun_store, pair.nouns)):
            problem = features_problem(store, video_id, head.grid)
            if problem:
                raise InputError(f"{store.path}: {problem}")
        kept = suppress_by_class(pair.candidates(video_id), self.config)
        return Predictions.of_video(video_id, kept.segments_s, kept.scores, kept.classes, pair.labels)


def open_pair(verbs: Path, nouns: Path) -> PairVideo:
    """Open the heads of two runs.

    Args:
        verbs: folder of a run with `one_stage.classes=verb`.
        nouns: folder of one with `one_stage.classes=noun`.

    Raises:
        InputError: if one is no such run, or has not been trained, or they do not fit together.
    """
    config = run_config(verbs)
    heads = _head(verbs, config), _head(nouns, run_config(nouns))
    pair = HeadPair(*heads, FeatureStore(verbs / "features"), FeatureStore(nouns / "features"))
    settings = replace(config.one_stage, max_segments=MAX_DETECTIONS, per_class=True)
    return PairVideo(pair, config.changed(one_stage=settings))


def _head(run: Path, config: RunConfig) -> OneStageHead:
    entry = head_of(config)
    head = entry.load(run / entry.stage, config, prepare_device(config.runtime))
    if not isinstance(head, OneStageHead):
        raise InputError(
            f"{run}: expected a run with head=actionformer, temporalmaxer or tridet, found {entry.name}"
        )
    return head


def pair_all(pair_video: PairVideo, video_ids: Sequence[str]) -> Predictions:
    """Detect in all videos; what cannot be looked at is told and left out.

    Raises:
        InputError: if that is every one.
    """
    found: list[Predictions] = []
    for video_id in progress(video_ids, description="pairs", unit="video"):
        try:
            found.append(pair_video(video_id))
        except InputError as error:
            print(f"{video_id}: left out: {error}", file=sys.stderr)
    if not found:
        raise InputError("no video that both heads can look at")
    return concatenate(found, order=CODES["action"])
