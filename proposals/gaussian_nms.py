"""Gaussian soft-NMS of segments that carry classes, many candidates at once.

Axes: G classes of a block, M columns of candidates, W of them in front.

Taking the best, decaying the rest and taking the next is sequential only between segments that
overlap: a candidate that no better one overlaps keeps its score whatever happens elsewhere. So each
round looks at the W best candidates of every class, and takes all that no better one among them
overlaps; nothing behind the W can be better.

    scores      0.9   0.8   0.7   0.6        0.9 and 0.7 are taken in one round,
    segments    [---]       [---]            0.8, decayed by the first of them, comes later
                  [---]           [-]        0.6 is taken, too
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

AREA_EPSILON = 1e-6
"""Added to every length by the released code, so that no union is empty."""
IN_FRONT = 32
"""Candidates W of a class that a round looks at."""
BLOCK_CELLS = 1 << 20
"""G x M x W of a block: bounds the memory."""
GONE = -np.inf
"""Score of a candidate that was taken or dropped."""
VOTING_BLOCK = 256
"""Kept segments that vote at a time: bounds the memory of their overlaps with all candidates."""

Floats = NDArray[np.float64]


class Kept(NamedTuple):
    """What suppression leaves, best first."""

    segments: Floats
    """(n, 2), as given, or after voting."""
    scores: Floats
    """(n,) decayed."""
    labels: NDArray[np.int64]
    """(n,)"""


def gaussian_soft_nms(
    segments: ArrayLike,
    scores: ArrayLike,
    labels: ArrayLike,
    *,
    sigma: float,
    min_score: float,
    max_segments: int,
    per_class: bool,
    voting_threshold: float = 0.0,
) -> Kept:
    """Lower the scores of segments by their overlap with better ones: score * exp(-iou^2 / sigma).

    Source: Bodla et al., "Soft-NMS", ICCV 2017, as in the released code of ActionFormer: a
    candidate whose decayed score falls below `min_score` is dropped at once, and lengths get 1e-6.

    Args:
        segments: (N, 2), start and end in any unit.
        scores: (N,).
        labels: (N,) integers.
        sigma: width of the decay, > 0.
        min_score: lowest decayed score.
        max_segments: kept of each class, and of all together.
        per_class: whether segments of different classes leave each other alone.
        voting_threshold: if above 0 and not per class, each kept segment becomes the mean of all
            given ones that overlap it by at least this IoU, weighted by score times IoU.

    Returns:
        Kept segments by descending score.

    Raises:
        ValueError: if the arrays do not match, or sigma or max_segments is not positive.

    >>> kept = gaussian_soft_nms([(0, 4), (0, 4), (5, 6)], [0.9, 0.8, 0.5], [1, 1, 1], sigma=0.5,
    ...                          min_score=0.001, max_segments=3, per_class=True)
    >>> kept.scores.round(3).tolist(), kept.segments[:, 0].tolist()
    ([0.9, 0.5, 0.108], [0.0, 5.0, 0.0])
    """
    segments_N2, scores_N, labels_N = _checked(segments, scores, labels, sigma, max_segments)
    if not len(scores_N):
        return Kept(segments_N2, scores_N, labels_N)
    groups_N = labels_N if per_class else np.zeros_like(labels_N)
    kept, decayed = _suppress(segments_N2, scores_N, groups_N, sigma, min_score, max_segments)
    order = np.argsort(-decayed, kind="stable")[:max_segments]
    kept, decayed = kept[order], decayed[order]
    found = segments_N2[kept]
    if voting_threshold > 0 and not per_class:
        found = _vote(found, segments_N2, scores_N, voting_threshold)
    return Kept(found, decayed, labels_N[kept])


def _suppress(
    segments_N2: Floats,
    scores_N: Floats,
    groups_N: NDArray[np.int64],
    sigma: float,
    min_score: float,
    max_segments: int,
) -> tuple[NDArray[np.int64], Floats]:
    """Return candidates and their decayed scores, all that could be among the best
    `max_segments`."""
    _, group_N, counts = np.unique(groups_N, return_inverse=True, return_counts=True)
    members = np.split(np.argsort(group_N, kind="stable"), np.cumsum(counts)[:-1])
    members.sort(key=len)  # classes of a block are about as large: little padding
    found = []
    while members:
        rows = max(1, BLOCK_CELLS // (len(members[-1]) * IN_FRONT))
        members, largest = members[:-rows], members[-rows:]
        index_GM, scores_GM = _matrix(largest, scores_N, min_score)
        candidates = _Candidates(index_GM, scores_GM, *segments_N2[index_GM].transpose(2, 0, 1))
        found.append(_suppress_block(candidates, sigma, min_score, max_segments))
    kept, decayed = (np.concatenate(column) for column in zip(*found, strict=True))
    by_index = np.argsort(kept)
    return kept[by_index], decayed[by_index]


class _Candidates(NamedTuple):
    """Of a block of classes, each (G, M)."""

    indices: NDArray[np.int64]
    scores: Floats
    starts: Floats
    ends: Floats

    def at(self, cells: tuple[NDArray[np.int64], NDArray[np.int64]]) -> _Candidates:
        return _Candidates(self.indices[cells], self.scores[cells], self.starts[cells], self.ends[cells])


def _suppress_block(
    candidates: _Candidates, sigma: float, min_score: float, max_segments: int
) -> tuple[NDArray[np.int64], Floats]:
    kept: list[NDArray[np.int64]] = []
    decayed: list[Floats] = []
    while candidates.scores.size and not _enough(decayed, candidates.scores, max_segments):
        rows_G1 = np.arange(len(candidates.scores))[:, None]
        front_GW = np.argsort(-candidates.scores, axis=1, kind="stable")[:, :IN_FRONT]
        front = candidates.at((rows_G1, front_GW))
        taken = (front.scores > GONE) & ~_better_overlaps(front)
        kept.append(front.indices[taken])
        decayed.append(front.scores[taken])
        candidates.scores[rows_G1, front_GW] = np.where(taken, GONE, front.scores)
        _decay(candidates, front, taken, sigma)
        candidates.scores[candidates.scores < min_score] = GONE
        candidates = _closed_up(candidates)
    return np.concatenate(kept), np.concatenate(decayed)


def _better_overlaps(front: _Candidates) -> NDArray[np.bool_]:
    """Tell of each candidate in front whether a better one overlaps it, (G, W)."""
    overlaps_GWW = np.minimum(front.ends[:, :, None], front.ends[:, None]) > np.maximum(
        front.starts[:, :, None], front.starts[:, None]
    )
    better_WW = np.tri(front.ends.shape[1], k=-1, dtype=bool)
    return (overlaps_GWW & better_WW).any(axis=2)


def _decay(candidates: _Candidates, front: _Candidates, taken: NDArray[np.bool_], sigma: float) -> None:
    """Lower the scores of the candidates that the taken ones overlap, in place."""
    row, place = taken.nonzero()
    overlaps = np.minimum(candidates.ends[row], front.ends[row, place, None]) > np.maximum(
        candidates.starts[row], front.starts[row, place, None]
    )
    by, column = (overlaps & (candidates.scores[row] > GONE)).nonzero()
    touched, taker = (row[by], column), (row[by], place[by])
    iou = _iou(candidates.starts[touched], candidates.ends[touched], front.starts[taker], front.ends[taker])
    np.multiply.at(candidates.scores, touched, np.exp(iou * iou / -sigma))


def _closed_up(candidates: _Candidates) -> _Candidates:
    """Leave out classes without candidates, and move the others' to the left."""
    alive_GM = candidates.scores > GONE
    counts_G = alive_GM.sum(axis=1)
    order_GM = np.argsort(~alive_GM, axis=1, kind="stable")[:, : counts_G.max(initial=0)]
    rows = np.flatnonzero(counts_G)
    return candidates.at((rows[:, None], order_GM[rows]))


def _enough(decayed: list[Floats], scores_GM: Floats, max_segments: int) -> bool:
    """Whether so many taken ones are better than all that is left."""
    if sum(map(len, decayed)) < max_segments:
        return False
    return int(np.count_nonzero(np.concatenate(decayed) > scores_GM.max())) >= max_segments


def _matrix(
    members: Sequence[NDArray[np.int64]], scores_N: Floats, min_score: float
) -> tuple[NDArray[np.int64], Floats]:
    """Arrange candidates by class: their indices and scores (G, M), padded with index 0 and score
    GONE.

    The best of a class stays whatever its score, as in the released code, where only decaying
    drops.
    """
    index_GM = np.zeros((len(members), max(map(len, members))), dtype=np.int64)
    scores_GM = np.full(index_GM.shape, GONE)
    for row, indices in enumerate(members):
        index_GM[row, : len(indices)] = indices
        scores = scores_N[indices]
        stays = (scores >= min_score) | (np.arange(len(scores)) == scores.argmax())
        scores_GM[row, : len(indices)] = np.where(stays, scores, GONE)
    return index_GM, scores_GM


def _iou(starts: Floats, ends: Floats, other_starts: Floats, other_ends: Floats) -> Floats:
    """IoU of segments with others, broadcast, lengths enlarged by 1e-6."""
    shared = np.minimum(ends, other_ends) - np.maximum(starts, other_starts)
    np.maximum(shared, 0.0, out=shared)
    lengths = (ends - starts + AREA_EPSILON) + (other_ends - other_starts + AREA_EPSILON)
    return shared / (lengths - shared)


def _vote(kept_M2: Floats, segments_N2: Floats, scores_N: Floats, threshold: float) -> Floats:
    """Return the weighted means of the candidates around each kept segment."""
    voted = np.empty_like(kept_M2)
    starts, ends = segments_N2.T
    for first in range(0, len(kept_M2), VOTING_BLOCK):
        block = kept_M2[first : first + VOTING_BLOCK]
        iou_MN = _iou(starts, ends, block[:, :1], block[:, 1:])
        weights_MN = np.where(iou_MN >= threshold, iou_MN * scores_N, 0.0)
        total = weights_MN.sum(axis=1, keepdims=True)
        voted[first : first + VOTING_BLOCK] = weights_MN @ segments_N2 / np.maximum(total, 1e-300)
    return voted


def _checked(
    segments: ArrayLike, scores: ArrayLike, labels: ArrayLike, sigma: float, max_segments: int
) -> tuple[Floats, Floats, NDArray[np.int64]]:
    segments_N2 = np.asarray(segments, dtype=np.float64).reshape(-1, 2)
    scores_N, labels_N = np.asarray(scores, dtype=np.float64), np.asarray(labels, dtype=np.int64)
    if not scores_N.shape == labels_N.shape == (len(segments_N2),):
        raise ValueError(
            f"segments, scores and labels must be of one length, got {len(segments_N2)}, "
            f"{scores_N.shape} and {labels_N.shape}"
        )
    if sigma <= 0 or max_segments < 1:
        raise ValueError(f"sigma must be > 0 and max_segments >= 1, got {sigma} and {max_segments}")
    return segments_N2, scores_N, labels_N
