"""Labels for the proposals of one video: the one function of the stage, of detection and of
bundles.

Every proposal gets its likeliest classes, with the score

    (score of the proposal * probability of the class ** action_score_power) ** score_power

(powers of section `classification`, 1 unless set). With `with_head` it keeps the class that the
head gave it, and gets that score for this class alone.

How classes are combined follows from what the probabilities tell apart: one set of classes, or
verbs and nouns, of which pairs become actions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from classification.settings import ClassificationConfig
from classification.sources import Probabilities, Source
from classification.verb_noun import fuse_verb_noun
from runtime.errors import InputError
from video_datasets.formats.ek100_labels import NUM_NOUNS, NUM_VERBS, action_id, action_name, split_label
from video_datasets.formats.format import Classes
from video_datasets.predictions import NO_LABEL, Predictions

VideoLabels = dict[str, Predictions]
"""Task -> detections of one video; the first task is what a submission holds."""
VideoLabeller = Callable[[Predictions], VideoLabels]
"""From the proposals of one video, by score, descending, to its detections."""


class Combination(Protocol):
    """How class probabilities of proposals become detections."""

    @property
    def tasks(self) -> tuple[str, ...]:
        """What detections are made for."""

    def label(
        self,
        proposals: Predictions,
        probabilities: Probabilities,
        classes: Classes,
        config: ClassificationConfig,
    ) -> VideoLabels:
        """Label the proposals of one video."""

    def of_labels(
        self, proposals: Predictions, probabilities: Probabilities, classes: Classes
    ) -> NDArray[np.float64]:
        """Return the probability (N,) of the label that each proposal has.

        Raises:
            InputError: if a label is none of the classes.
        """

    def readable(self, label: str, classes: Classes) -> str:
        """Name a label for people."""


class OneSetOfClasses:
    """HACS, ActivityNet, one's own data: the best detections of a video, whatever their proposal.

    Source: `save_detection_result` of TCANet (Qing et al. 2021), where all proposals have the same
    probabilities.
    """

    tasks = ("action",)

    def label(
        self,
        proposals: Predictions,
        probabilities: Probabilities,
        classes: Classes,
        config: ClassificationConfig,
    ) -> VideoLabels:
        """Keep `max_detections` of `top_classes` classes a proposal.

        Returns:
            By score, descending; equal scores in the order rank of the class, then proposal.
        """
        ((head, values_NK),) = probabilities.items()
        best_NR = np.argsort(-values_NK, axis=1, kind="stable")[:, : config.top_classes]
        chosen_NR = np.take_along_axis(values_NK, best_NR, axis=1)
        scores_RN = detection_scores(proposals.score, chosen_NR, config).T
        order = np.argsort(-scores_RN, axis=None, kind="stable")[: config.max_detections]
        rank, row = np.divmod(order, max(len(proposals), 1))
        found = Predictions.of_video(
            proposals.videos[0],
            proposals.segments_s[row],
            scores_RN.ravel()[order],
            best_NR[row, rank],
            classes[head],
        )
        return {"action": found}

    def of_labels(
        self, proposals: Predictions, probabilities: Probabilities, classes: Classes
    ) -> NDArray[np.float64]:
        """Look up each proposal's class."""
        ((head, values_NK),) = probabilities.items()
        place = {name: index for index, name in enumerate(classes[head])}
        unknown = [label for label in proposals.labels if label not in place]
        if unknown:
            raise InputError(
                f"the head tells the class '{unknown[0]}', which the source of labels does not have; were they "
                "trained on one data set?"
            )
        column = np.array([place[label] for label in proposals.labels], dtype=np.int64)
        found: NDArray[np.float64] = values_NK[np.arange(len(proposals)), column[proposals.label]]
        return found

    def readable(self, label: str, classes: Classes) -> str:
        """Return the label, which is a name."""
        return label


class VerbsAndNouns:
    """EPIC-KITCHENS-100: the likeliest pairs of each proposal (TAdaConv,
    `epic_video_post_process`).

    The likeliest verbs and nouns alone serve the protocol that scores the two tasks separately.
    """

    tasks = ("action", "verb", "noun")

    def label(
        self,
        proposals: Predictions,
        probabilities: Probabilities,
        classes: Classes,
        config: ClassificationConfig,
    ) -> VideoLabels:
        """Keep `actions_per_proposal` of each task.

        Returns:
            Proposal by proposal, the likeliest class first.
        """
        count = config.actions_per_proposal
        actions = fuse_verb_noun(
            probabilities["verb"],
            probabilities["noun"],
            num_verbs=config.top_verbs,
            num_nouns=config.top_nouns,
            num_actions=count,
        )
        found = {"action": (actions.verb * NUM_NOUNS + actions.noun, actions.score)}
        for head, values in probabilities.items():
            best = np.argsort(-values, axis=1, kind="stable")[:, :count]
            found[head] = best, np.take_along_axis(values, best, axis=1)
        return {
            task: Predictions.of_video(
                proposals.videos[0],
                np.repeat(proposals.segments_s, chosen.shape[1], axis=0),
                detection_scores(proposals.score, probability, config).ravel(),
                chosen.ravel(),
                CODES[task],
            )
            for task, (chosen, probability) in found.items()
        }

    def of_labels(
        self, proposals: Predictions, probabilities: Probabilities, classes: Classes
    ) -> NDArray[np.float64]:
        """Multiply the probabilities of each proposal's verb and noun."""
        pairs = np.array([split_label(label)[:2] for label in proposals.labels], dtype=np.int64).reshape(
            -1, 2
        )
        verb_N, noun_N = pairs[proposals.label].T
        row_N = np.arange(len(proposals))
        found: NDArray[np.float64] = (
            probabilities["verb"][row_N, verb_N] * probabilities["noun"][row_N, noun_N]
        )
        return found

    def readable(self, label: str, classes: Classes) -> str:
        """Name the verb and the noun of "3,12"."""
        verb, noun, _ = split_label(label)
        return f"{classes['verb'][verb]} {classes['noun'][noun]}"


CODES = {
    "action": tuple(
        action_name(action_id(verb, noun)) for verb in range(NUM_VERBS) for noun in range(NUM_NOUNS)
    ),
    "verb": tuple(f"{verb},0" for verb in range(NUM_VERBS)),
    "noun": tuple(f"0,{noun}" for noun in range(NUM_NOUNS)),
}
"""Per task, the labels "verb,noun" by class number; of one task alone, the other class means
nothing."""
COMBINATIONS: dict[tuple[str, ...], Combination] = {
    ("action",): OneSetOfClasses(),
    ("verb", "noun"): VerbsAndNouns(),
}
"""Heads -> how their classes are combined."""


def readable_names(detections: Predictions, classes: Classes) -> tuple[str, ...]:
    """Name the label of every row for people; `classes`: head -> names."""
    combination = COMBINATIONS[tuple(classes)]
    names = [combination.readable(label, classes) for label in detections.labels]
    return tuple(names[label] for label in detections.label.tolist())


def detection_scores(
    scores_N: NDArray[np.float64], probability_NK: NDArray[np.float64], config: ClassificationConfig
) -> NDArray[np.float64]:
    """Score the classes (N, K) of proposals (N,), as the head of this file says."""
    scores: NDArray[np.float64] = scores_N[:, None] * probability_NK**config.action_score_power
    return scores**config.score_power


@dataclass(frozen=True)
class LabelVideo:
    """Labels by class probabilities.

    Attributes:
        source: of the probabilities.
        classes: names of the classes that it tells, head -> names.
        config: how many classes become detections.
    """

    source: Source
    classes: Classes
    config: ClassificationConfig

    def __call__(self, proposals: Predictions) -> VideoLabels:
        """Label the proposals of one video.

        Raises:
            InputError: if the source has nothing to say about this video.
        """
        (video_id,) = proposals.videos
        combination = COMBINATIONS[tuple(self.classes)]
        if not len(proposals):
            return dict.fromkeys(combination.tasks, proposals)
        probabilities = self.source(video_id, proposals.segments_s)
        return combination.label(proposals, probabilities, self.classes, self.config)


@dataclass(frozen=True)
class GivenLabels:
    """The labels that the head gave itself.

    Attributes:
        max_detections: best ones kept of a video.
    """

    max_detections: int

    def __call__(self, proposals: Predictions) -> VideoLabels:
        """Take the labelled proposals of one video as detections.

        Raises:
            InputError: if a proposal has no label.
        """
        _refuse_unlabelled(proposals)
        return {"action": proposals.rows(slice(self.max_detections))}


@dataclass(frozen=True)
class WeighedLabels:
    """The labels that the head gave itself, their scores multiplied by what a source says of them.

    Attributes:
        source: of class probabilities.
        classes: names of the classes that it tells, head -> names.
        config: powers of the product, and how many detections are kept.
    """

    source: Source
    classes: Classes
    config: ClassificationConfig

    def __call__(self, proposals: Predictions) -> VideoLabels:
        """Take the labelled proposals of one video as detections, by their new scores.

        Raises:
            InputError: if a proposal has no label or an unknown one, or the source has nothing to
                say about this video.
        """
        _refuse_unlabelled(proposals)
        if not len(proposals):
            return {"action": proposals}
        (video_id,) = proposals.videos
        probabilities = self.source(video_id, proposals.segments_s)
        own_N = COMBINATIONS[tuple(self.classes)].of_labels(proposals, probabilities, self.classes)
        scores_N = detection_scores(proposals.score, own_N[:, None], self.config)[:, 0]
        order = np.argsort(-scores_N, kind="stable")[: self.config.max_detections]
        return {"action": replace(proposals.rows(order), score=scores_N[order])}


def _refuse_unlabelled(proposals: Predictions) -> None:
    if NO_LABEL in proposals.label:
        raise InputError(
            "proposals without a label: the run's head finds segments of any action; set "
            "classification.source to auto"
        )
