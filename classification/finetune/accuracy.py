"""Top-1 and top-5 accuracy from the logits of many views, for one head and for verbs, nouns and
actions.

Softmax probabilities of the views are averaged (the original sums them). For two heads an action's
score is the product of its verb's and its noun's probability, formed in one of two ways:

    action            verbs and nouns averaged over the views first, then multiplied. Its best action is the best verb
                      with the best noun, so top-1 is right where both are: how the
                      EPIC-KITCHENS-100 challenge counts.
    action, by view   multiplied view by view, then averaged: the stronger way, which the original reports
                      (utils/meters.py, "action_class_ind_pred"). The same where there is but one
                      view.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

TOP_K = (1, 5)


@dataclass(frozen=True)
class Ranking:
    """Where the right class of every item stands among all classes.

    Attributes:
        task: "action", "verb", "noun" or "action, by view".
        labels: names of the classes that items have.
        classes: position among `labels`, int (N,).
        ranks: classes that score better than the right one, int (N,); of equal scores the first
            class wins.
    """

    task: str
    labels: tuple[str, ...]
    classes: NDArray[np.int64]
    ranks: NDArray[np.int64]

    def top(self, k: int) -> float:
        """Return the share of items whose class is among the best k."""
        return float((self.ranks < k).mean())

    def mean_class_accuracy(self) -> float:
        """Return top-1 accuracy averaged over the classes that items have."""
        return float(np.mean([hits[0] / count for _, count, *hits in self.per_class()]))

    def per_class(self) -> list[tuple[str, int, int, int]]:
        """Return (label, items, top-1 hits, top-5 hits) of every class that items have, in class
        order."""
        counts = np.bincount(self.classes, minlength=len(self.labels))
        hits = [np.bincount(self.classes, weights=self.ranks < k, minlength=len(self.labels)) for k in TOP_K]
        return [
            (label, int(count), int(first), int(fifth))
            for label, count, first, fifth in zip(self.labels, counts, *hits, strict=True)
            if count
        ]


def rank_all(
    logits: Mapping[str, NDArray[np.floating]],
    classes: Mapping[str, NDArray[np.integer]],
    names: Mapping[str, Sequence[str]],
    weights: NDArray[np.floating] | None = None,
) -> list[Ranking]:
    """Rank the right classes of N items for every head, and for the actions of two heads.

    Args:
        logits: head -> (N, views, classes).
        classes: head -> right class (N,).
        names: head -> names of the classes.
        weights: of the views (views,); None: all equal.

    Returns:
        One ranking for one head; for two four: each of them, and their pairs, the actions, in both
        ways.
    """
    views = {head: softmax(values) for head, values in logits.items()}
    rankings = [
        Ranking(
            head,
            tuple(names[head]),
            np.asarray(classes[head], dtype=np.int64),
            ranks_of(_mean_of_views(views[head], weights), classes[head]),
        )
        for head in logits
    ]
    if len(names) == 2:
        first, second = names
        rankings += _rank_pairs(first, second, views, classes, names, weights)
    return rankings


def _mean_of_views(
    values_NVC: NDArray[np.float32], weights: NDArray[np.floating] | None
) -> NDArray[np.floating]:
    """Also of no item at all, as where nothing is there to validate; `np.average` divides by their
    number."""
    if weights is None or not len(values_NVC):
        return values_NVC.mean(axis=1)
    return np.average(values_NVC, axis=1, weights=weights)


def softmax(logits: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return softmax over the last axis."""
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    probabilities: NDArray[np.float32] = exponentials / exponentials.sum(axis=-1, keepdims=True)
    return probabilities


def cross_entropy(
    logits: Mapping[str, NDArray[np.floating]], classes: Mapping[str, NDArray[np.integer]]
) -> NDArray[np.float64]:
    """Return the loss of every item, summed over heads and averaged over views, float64 (N,).

    Args:
        logits: head -> (N, views, classes).
        classes: head -> right class (N,).
    """
    losses = []
    for head, values in logits.items():
        shifted = values.astype(np.float64) - values.max(axis=-1, keepdims=True)
        right = np.take_along_axis(shifted, classes[head][:, None, None], axis=2)[..., 0]  # N x views
        losses.append(np.log(np.exp(shifted).sum(axis=-1)) - right)
    total: NDArray[np.float64] = np.sum(losses, axis=0).mean(axis=1)
    return total


def ranks_of(scores_NC: NDArray[np.floating], classes_N: NDArray[np.integer]) -> NDArray[np.int64]:
    """Count the classes that stand before the right one when sorted by score, the first of equals
    first.

    >>> ranks_of(np.array([[0.2, 0.5, 0.3], [0.4, 0.4, 0.2]]), np.array([2, 1]))
    array([1, 1])
    """
    right = np.take_along_axis(scores_NC, classes_N[:, None], axis=1)
    earlier = np.arange(scores_NC.shape[1]) < classes_N[:, None]
    before: NDArray[np.int64] = ((scores_NC > right) | ((scores_NC == right) & earlier)).sum(axis=1)
    return before


def _rank_pairs(
    first: str,
    second: str,
    views: Mapping[str, NDArray[np.float32]],
    classes: Mapping[str, NDArray[np.integer]],
    names: Mapping[str, Sequence[str]],
    weights: NDArray[np.floating] | None,
) -> list[Ranking]:
    """One item at a time: all products of 9,668 items would fill a gigabyte."""
    count = views[second].shape[2]
    actions = np.asarray(classes[first]) * count + np.asarray(classes[second])
    averaged, by_view = [], []
    for first_VC, second_VC, action in zip(views[first], views[second], actions[:, None], strict=True):
        means = (np.average(each, axis=0, weights=weights) for each in (first_VC, second_VC))
        averaged.append(ranks_of(np.outer(*means).reshape(1, -1), action)[0])
        scaled_CV = first_VC.T if weights is None else first_VC.T * weights
        by_view.append(ranks_of((scaled_CV @ second_VC).reshape(1, -1), action)[0])
    present, positions = np.unique(actions, return_inverse=True)
    labels = tuple(f"{names[first][a // count]} {names[second][a % count]}" for a in present)
    return [
        Ranking("action", labels, positions, np.array(averaged, dtype=np.int64)),
        Ranking("action, by view", labels, positions, np.array(by_view, dtype=np.int64)),
    ]


def accuracy_table(rankings: Sequence[Ranking]) -> str:
    """Return the accuracies in percent as lines of text."""
    lines = [f"{'':18}{'top-1':>8}{'top-5':>8}{'mean class':>12}"]
    for ranking in rankings:
        first, fifth = (100 * ranking.top(k) for k in TOP_K)
        lines.append(f"{ranking.task:18}{first:8.2f}{fifth:8.2f}{100 * ranking.mean_class_accuracy():12.2f}")
    return "\n".join(lines) + "\n"


def class_accuracy_csv(rankings: Sequence[Ranking]) -> str:
    """Return the table of all classes: task,label,count,top1,top5, accuracies as fractions."""
    lines = ["task,label,count,top1,top5"]
    for ranking in rankings:
        for label, count, first, fifth in ranking.per_class():
            quoted = '"' + label.replace('"', '""') + '"'
            lines.append(f'"{ranking.task}",{quoted},{count},{first / count:.6f},{fifth / count:.6f}')
    return "\n".join(lines) + "\n"
