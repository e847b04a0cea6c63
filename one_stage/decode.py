"""From the outputs of a one-stage network to candidate segments with scores and classes, level by
level.

Axes: K classes of all towers, T positions of a level, M candidates.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from one_stage.trident import boundary_distances

PAIRED = 10
"""Best classes of each tower at a position that are paired with each other."""


class Found(NamedTuple):
    """Candidates of one video, before suppression."""

    rows: NDArray[np.float64]
    """(M, 2) start and end in rows of the features; may lie outside the video."""
    scores: NDArray[np.float64]
    """(M,)"""
    classes: NDArray[np.int64]
    """(M,) class; of two towers first * size of the second + second."""


def decode(
    outputs: Mapping[str, list[Tensor]],
    valid_T: Tensor,
    class_towers: tuple[int, ...],
    *,
    min_score: float,
    top_candidates: int,
    min_length: float,
) -> Found:
    """Take the best candidates of every level of one video.

    Source: ActionFormer, Sec. 3.4, as released: the best are taken level by level. With two class
    towers a candidate is a pair, whose score is the geometric mean of its two probabilities.

    Args:
        outputs: of the network for a batch of one.
        valid_T: bool, rows with a feature.
        class_towers: classes of each tower, one or two.
        min_score: candidates at or below it are left out.
        top_candidates: of each level.
        min_length: in rows.
    """
    levels = []
    for level, logits_1KT in enumerate(outputs["logits"]):
        valid = valid_T[:: 2**level]
        scores, positions, classes = _scored(logits_1KT[0].float().sigmoid() * valid, class_towers)
        above = scores > min_score
        best = torch.topk(torch.where(above, scores, -1.0).flatten(), min(top_candidates, int(above.sum())))[
            1
        ]
        position, chosen = positions.flatten()[best], classes.flatten(0, 1)[best]
        distances = _distances(outputs, level, position, chosen, class_towers).double()
        stride = 2.0**level
        rows = stride * torch.stack([position - distances[:, 0], position + distances[:, 1]], dim=1)
        long = rows[:, 1] - rows[:, 0] > min_length
        levels.append(
            (rows[long], scores.flatten()[best][long].double(), _joined(chosen, class_towers)[long])
        )
    return Found(*(torch.cat(column).cpu().numpy() for column in zip(*levels, strict=True)))


def _scored(probability_KT: Tensor, towers: tuple[int, ...]) -> tuple[Tensor, Tensor, Tensor]:
    """Return scores (T, N), their positions (T, N) and classes within each tower (T, N, towers)."""
    length = probability_KT.shape[1]
    rows = torch.arange(length, device=probability_KT.device)
    if len(towers) == 1:
        classes = torch.arange(towers[0], device=rows.device).expand(length, -1)
        return probability_KT.T, rows[:, None].expand(-1, towers[0]), classes[..., None]
    best = [tower.T.topk(min(PAIRED, tower.shape[0])) for tower in probability_KT.split(list(towers))]
    scores_TAB = (best[0].values[:, :, None] * best[1].values[:, None]).sqrt()
    pairs_TAB2 = torch.stack(
        torch.broadcast_tensors(best[0].indices[:, :, None], best[1].indices[:, None]), dim=-1
    )
    count = scores_TAB[0].numel()
    return scores_TAB.flatten(1), rows[:, None].expand(-1, count), pairs_TAB2.flatten(1, 2)


def _distances(
    outputs: Mapping[str, list[Tensor]],
    level: int,
    position_M: Tensor,
    classes_MG: Tensor,
    towers: tuple[int, ...],
) -> Tensor:
    """Return the distances (M, 2) to start and end in strides; of a pair's two classes the mean."""
    offsets = outputs["offsets"][level]
    if "start" not in outputs:
        return offsets[0, :, position_M].T.float()
    first = np.cumsum([0, *towers])[:-1]
    video = torch.zeros_like(position_M)
    sides = [
        boundary_distances(
            offsets,
            outputs["start"][level],
            outputs["end"][level],
            (video, classes_MG[:, tower] + int(first[tower]), position_M),
        )
        for tower in range(len(towers))
    ]
    return torch.stack(sides).mean(dim=0)


def _joined(classes_MG: Tensor, towers: tuple[int, ...]) -> Tensor:
    return classes_MG[:, 0] if len(towers) == 1 else classes_MG[:, 0] * towers[1] + classes_MG[:, 1]
