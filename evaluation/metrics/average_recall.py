"""Average recall of proposals: the official AR@AN with its area under the curve, and plain top-k
recall.

AR@AN of ActivityNet (`eval_proposal.py`, 82304fa) is not "the best AN proposals of each video": at
AN it keeps the same *share* of every video's proposals, such that AN are kept per video on average.
An annotation is recalled if any kept proposal overlaps it enough; there is no one-to-one matching,
and classes do not matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from evaluation.metrics.columns import Segments
from evaluation.metrics.detection import count_ties, rank_predictions
from evaluation.metrics.matching import iterate_pairs, temporal_iou
from evaluation.metrics.thresholds import check_thresholds
from runtime.errors import InputError

NUM_POINTS = 100
TOP_K = (1, 5, 10, 50, 100)
NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True, eq=False)
class ProposalMetrics:
    """Figures of proposals, as fractions (1.0 = 100 %).

    Attributes:
        tiou_thresholds: (T,).
        an: (100,) average number of proposals per video; 1, 2, .. 100 by default.
        recall: (T, 100).
        auc: area under average recall over `an`, divided by the last `an`. The official area starts
            at AN = 1, so perfect proposals have 0.99.
        top_k: (K,) numbers of proposals per video.
        top_k_recall: (T, K) plain recall of the k best proposals of each video, which is another
            figure than the official AR@AN; see `recall_of_best`.
        tied_scores: proposals whose score equals that of another one of the video.
    """

    tiou_thresholds: np.ndarray
    an: np.ndarray
    recall: np.ndarray
    auc: float
    top_k: np.ndarray
    top_k_recall: np.ndarray
    tied_scores: int

    @property
    def average_recall(self) -> np.ndarray:
        """(100,) mean of recall over the thresholds."""
        return self.recall.mean(axis=0)


def proposal_metrics(
    annotations: Segments,
    proposals: Segments,
    tiou_thresholds: Any,
    max_avg_proposals: float | None = 100.0,
) -> ProposalMetrics:
    """Compute AR@AN and its area under the curve as the official ActivityNet evaluator does.

    Kept on purpose: proposals of videos without annotations count in the share; numbers of
    proposals are cut to whole ones by video, where 0.29 * 100 gives 28.

    Args:
        annotations: at least one row.
        proposals: in file order, video -1 for those without annotations; of equal scores the later
            one ranks first.
        tiou_thresholds: T numbers.
        max_avg_proposals: the last AN; None: all proposals.

    Raises:
        InputError: if there is no annotation, or no proposal is left in a video with annotations.
    """
    thresholds = check_thresholds(tiou_thresholds)
    videos, video_of_annotation = np.unique(annotations.video, return_inverse=True)
    if not len(annotations) or not len(proposals):
        raise InputError(
            f"AR@AN needs both, found {len(annotations)} annotations, {len(proposals)} proposals"
        )
    ranked = rank_predictions(proposals, proposals.video)
    last_an = max_avg_proposals or len(proposals) / len(videos)
    kept = _kept_at_points(_blocks(ranked.video, videos)[1], len(proposals), last_an)
    hit_rank = _first_hit_rank(annotations, ranked, thresholds)
    recall = _recall(hit_rank, kept[video_of_annotation])
    top_k = np.array(TOP_K)
    an = np.arange(1, NUM_POINTS + 1) * last_an / NUM_POINTS
    return ProposalMetrics(
        tiou_thresholds=thresholds,
        an=an,
        recall=recall,
        auc=float(np.trapezoid(recall.mean(axis=0), an) / an[-1]),
        top_k=top_k,
        top_k_recall=_recall(hit_rank, np.broadcast_to(top_k, (len(annotations), len(top_k)))),
        tied_scores=count_ties(ranked.video, ranked.score),
    )


def _kept_at_points(count: np.ndarray, num_proposals: int, last_an: float) -> np.ndarray:
    """Proposals that each video keeps at each of the 100 points, in the official order of
    operations.

    Args:
        count: (V,) proposals of each video with annotations.
        num_proposals: all proposals, also those of other videos.
        last_an: proposals per video, on average, at the last point.

    Returns:
        (V, 100) int64.
    """
    num_videos = len(count)
    kept = np.minimum((count * (last_an * num_videos / num_proposals)).astype(np.int64), count)
    total = int(kept.sum())
    if total == 0:
        raise InputError(
            f"AR@AN: of {num_proposals} proposals none is left in the {num_videos} videos with annotations;"
            f" do the video ids agree?"
        )
    share = np.arange(1, NUM_POINTS + 1) / NUM_POINTS * (last_an * num_videos / total)
    return np.minimum((kept[:, None] * share).astype(np.int64), kept[:, None])


def recall_of_best(
    annotations: Segments, proposals: Segments, k: Sequence[int], tiou_thresholds: Any
) -> np.ndarray:
    """Compute the plain recall of the k best proposals of each video, (T, K); not the official
    AR@AN.

    Raises:
        InputError: if there is no annotation.
    """
    if not len(annotations):
        raise InputError("recall at top k needs annotations, found none")
    hit_rank = _first_hit_rank(
        annotations, rank_predictions(proposals, proposals.video), check_thresholds(tiou_thresholds)
    )
    return _recall(hit_rank, np.broadcast_to(np.asarray(k), (len(annotations), len(k))))


def _blocks(ranked_video: np.ndarray, videos: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First row and number of rows of each video among rows sorted by video."""
    first = np.searchsorted(ranked_video, videos, side="left")
    return first, np.searchsorted(ranked_video, videos, side="right") - first


def _first_hit_rank(annotations: Segments, ranked: Segments, thresholds: np.ndarray) -> np.ndarray:
    """Rank (0, 1, ..) of the best proposal that overlaps each annotation enough, NEVER if none;
    T x N."""
    first, count = _blocks(ranked.video, annotations.video)
    hit_rank = np.full((len(thresholds), len(annotations)), NEVER)
    for rows, candidates in iterate_pairs(first, count):
        overlap = temporal_iou(
            annotations.start_s[rows],
            annotations.end_s[rows],
            ranked.start_s[candidates],
            ranked.end_s[candidates],
        )
        ranks = candidates - first[rows]
        for row, threshold in enumerate(thresholds):
            # Written backwards, so that the best-ranked proposal of each annotation is written
            # last.
            hits = np.flatnonzero(overlap >= threshold)[::-1]
            hit_rank[row, rows[hits]] = ranks[hits]
    return hit_rank


def _recall(hit_rank: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Share of annotations (T x points) recalled when each (annotations x points) keeps so many
    proposals."""
    return np.stack([(ranks[:, None] < kept).mean(axis=0) for ranks in hit_rank])
