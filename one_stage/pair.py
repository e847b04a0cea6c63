"""A head of verbs and one of nouns as one head of actions, put together point by point.

    verbs  (V, T_l)  p(verb)  ---+                      score    sqrt(p(verb) p(noun)), the 10 likeliest of each
                                 +-> pairs at a point
    nouns  (M, T_l)  p(noun)  ---+                      segment  mean of the two heads' segments there

Source: OpenTAD (Liu et al. 2025), `tools/prepare_data/epic/epic_action_noun_verb_submit.py`, with
which CausalTAD won the EPIC-KITCHENS-100 detection challenge of 2024. Differences: times and scores
are not rounded (there to 0.01 s and 1e-4), and segments without length are dropped.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from feature_extraction import FeatureStore
from one_stage.decode import Found, decode
from one_stage.head import OneStageHead, inside_video, submission_labels
from one_stage.rows import rows_to_seconds
from runtime.errors import InputError
from video_datasets.predictions import Candidates

MAX_CANDIDATES = 50_000
"""Pairs of a video before suppression (OpenTAD)."""


@dataclass(frozen=True)
class HeadPair:
    """Two heads that look at the same rows of time, each at its own features.

    Attributes:
        verbs: trained with `one_stage.classes=verb`; its settings and time grid are those of the
            pair.
        nouns: trained with `one_stage.classes=noun`.
        verb_store: features of the first.
        noun_store: features of the second, another network's perhaps.

    Raises:
        InputError: if a head tells other classes, or the two differ in time grid or levels.
    """

    verbs: OneStageHead
    nouns: OneStageHead
    verb_store: FeatureStore
    noun_store: FeatureStore

    def __post_init__(self) -> None:
        for task, head in (("verb", self.verbs), ("noun", self.nouns)):
            found = " and ".join(head.trained.classes) or "no classes"
            if found != task:
                raise InputError(
                    f"expected a head with one_stage.classes={task}, found one that tells {found}"
                )
        for what, verb, noun in (
            ("grid", self.verbs.grid, self.nouns.grid),
            (
                "one_stage.levels",
                self.verbs.trained.network.arch.levels,
                self.nouns.trained.network.arch.levels,
            ),
        ):
            if verb != noun:
                raise InputError(
                    f"the heads of verbs and nouns differ in {what}: {verb} and {noun}; train one of them anew"
                )

    @property
    def labels(self) -> tuple[str, ...]:
        """Table of labels of its candidates, "verb,noun"."""
        return submission_labels({**self.verbs.trained.classes, **self.nouns.trained.classes})

    def candidates(self, video_id: str) -> Candidates:
        """Find the candidates of a video, of which both stores have a feature.

        Raises:
            InputError: if the two stores have features of other times.
        """
        times_s = self.verb_store.times(video_id)
        if not np.array_equal(times_s, self.noun_store.times(video_id)):
            raise InputError("the heads of verbs and nouns have features of other times")
        with torch.inference_mode():
            found = decode(
                [self.verbs.told(self.verb_store, video_id), self.nouns.told(self.noun_store, video_id)],
                torch.ones(len(times_s), dtype=torch.bool, device=self.verbs.device),
                min_score=self.verbs.config.min_score,
                top_candidates=MAX_CANDIDATES,
                min_length=0.0,
            )
        best = np.argsort(-found.scores, kind="stable")[:MAX_CANDIDATES]
        found = Found(found.rows[best], found.scores[best], found.classes[best])
        segments_s = rows_to_seconds(times_s, self.verbs.grid.stride_s, found.rows)
        return inside_video(segments_s, found, self.verb_store.duration_s(video_id), labelled=True)
