"""Actions from verb and noun probabilities.

Axes: N proposals, V verbs, M nouns, K actions of a proposal.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Actions(NamedTuple):
    """The likeliest actions of each proposal, by score, descending."""

    verb: np.ndarray
    """(N, K) int64."""
    noun: np.ndarray
    """(N, K) int64."""
    score: np.ndarray
    """(N, K) probability of the verb times probability of the noun, in the type of the input."""


def fuse_verb_noun(
    verb_NV: np.ndarray,
    noun_NM: np.ndarray,
    *,
    num_verbs: int = 10,
    num_nouns: int = 30,
    num_actions: int = 5,
) -> Actions:
    """Rank pairs of a likely verb and a likely noun by the product of their probabilities.

    Source: `fuse_verb_noun_map` of the TAdaConv code, which keeps 20 pairs of the 10 x 30 likeliest
    for every cell of the map and writes 5; here for the proposals that are left after the soft-NMS.
    Equal products are ranked by the verb's rank, then by the noun's; equal probabilities by the
    lower class.

    Args:
        verb_NV: probabilities of the verbs.
        noun_NM: probabilities of the nouns.
        num_verbs: likeliest verbs that are paired; all if there are fewer.
        num_nouns: likeliest nouns that are paired; all if there are fewer.
        num_actions: K, pairs to return; all if there are fewer.

    Returns:
        The K likeliest actions of each proposal.

    Raises:
        ValueError: if the shapes do not fit, there is no class, a number is below 1, or a value is
            nan.

    >>> fuse_verb_noun(np.array([[0.5, 0.25]]), np.array([[0.25, 0.75]]), num_actions=2)
    Actions(verb=array([[0, 1]]), noun=array([[1, 1]]), score=array([[0.375 , 0.1875]]))
    """
    _check(verb_NV, noun_NM, (num_verbs, num_nouns, num_actions))
    # A pair of ranks (i, j) has (i + 1)(j + 1) - 1 pairs before it, so no rank beyond K can matter.
    verb_rank = _highest(verb_NV, min(num_verbs, num_actions))
    noun_rank = _highest(noun_NM, min(num_nouns, num_actions))
    verb_score = np.take_along_axis(verb_NV, verb_rank, axis=1)
    noun_score = np.take_along_axis(noun_NM, noun_rank, axis=1)
    product = verb_score[:, :, None] * noun_score[:, None, :]
    product = product.reshape(len(verb_NV), verb_rank.shape[1] * noun_rank.shape[1])
    best = _highest(product, num_actions)
    verb_place, noun_place = np.divmod(best, noun_rank.shape[1])
    return Actions(
        np.take_along_axis(verb_rank, verb_place, axis=1),
        np.take_along_axis(noun_rank, noun_place, axis=1),
        np.take_along_axis(product, best, axis=1),
    )


def _highest(scores: np.ndarray, count: int) -> np.ndarray:
    """Columns of the highest scores of each row, descending, the first of equals first."""
    return np.argsort(-scores, axis=1, kind="stable")[:, :count]


def _check(verb_NV: np.ndarray, noun_NM: np.ndarray, numbers: tuple[int, int, int]) -> None:
    shapes = verb_NV.shape, noun_NM.shape
    fits = verb_NV.ndim == noun_NM.ndim == 2 and len(verb_NV) == len(noun_NM)
    if not fits or verb_NV.shape[1] == 0 or noun_NM.shape[1] == 0:
        raise ValueError(
            f"expected probabilities of verbs (N, V) and nouns (N, M), V and M >= 1, got {shapes}"
        )
    if min(numbers) < 1:
        raise ValueError(f"num_verbs, num_nouns and num_actions must be >= 1, got {numbers}")
    if np.isnan(verb_NV).any() or np.isnan(noun_NM).any():
        raise ValueError("verb and noun probabilities contain nan; check the classifier's logits")
