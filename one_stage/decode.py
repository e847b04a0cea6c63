"""From the outputs of a one-stage network to candidate segments with scores and classes, level by
level.

Axes: K classes of all towers, T positions of a level, M candidates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from one_stage.trident import boundary_distances

PAIRED = 10
"""Best classes of each tower at a position that are paired with each other."""


class Told(NamedTuple):
    """What one network says about one video."""

    outputs: Mapping[str, list[Tensor]]
    """Of the network for a batch of one."""
    towers: tuple[int, ...]
    """Classes of each of its class towers."""


class Found(NamedTuple):
    """Candidates of one video, before suppression."""

    rows: NDArray[np.float64]
    """(M, 2) start and end in rows of the features; may lie outside the video."""
    scores: NDArray[np.float64]
    """(M,)"""
    classes: NDArray[np.int64]
    """(M,) class; of two towers first * size of the second + second."""


def decode(
    told: Sequence[Told], valid_T: Tensor, *, min_score: float, top_candidates: int, min_length: float
) -> Found:
    """Take the best candidates of every level of one video.

    Source: ActionFormer, Sec. 3.4, as released: the best are taken level by level. With two class
    towers a candidate is a pair, whose score is the geometric mean of its two probabilities; where
    they are of two networks, its boundaries are the mean of theirs.

    Args:
        told: by one network with one or two class towers, or by two networks with one each.
        valid_T: bool, rows with a feature.
        min_score: candidates at or below it are left out.
        top_candidates: of each level.
        min_length: in rows.
    """
    towers = tuple(size for network in told for size in network.towers)
    levels = []
    for level in range(len(told[0].outputs["logits"])):
        valid = valid_T[:: 2**level]
        logits_KT = torch.cat([network.outputs["logits"][level][0] for network in told])
        scores, positions, classes = _scored(logits_KT.float().sigmoid() * valid, towers)
        above = scores > min_score
        best = torch.topk(torch.where(above, scores, -1.0).flatten(), min(top_candidates, int(above.sum())))[
            1
        ]
        position, chosen = positions.flatten()[best], classes.flatten(0, 1)[best]
        distances = _distances(told, level, position, chosen).double()
        stride = 2.0**level
        rows = stride * torch.stack([position - distances[:, 0], position + distances[:, 1]], dim=1)
        long = rows[:, 1] - rows[:, 0] > min_length
        levels.append((rows[long], scores.flatten()[best][long].double(), _joined(chosen, towers)[long]))
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


def _distances(told: Sequence[Told], level: int, position_M: Tensor, classes_MG: Tensor) -> Tensor:
    """Return the distances (M, 2) to start and end in strides: the mean over networks, and over
    the classes of a pair."""
    first = np.cumsum([0, *(len(network.towers) for network in told)])
    sides = [
        _network_distances(network, level, position_M, classes_MG[:, start:stop])
        for network, start, stop in zip(told, first[:-1], first[1:], strict=True)
    ]
    return torch.stack(sides).mean(dim=0)


def _network_distances(told: Told, level: int, position_M: Tensor, classes_MG: Tensor) -> Tensor:
    outputs = told.outputs
    offsets = outputs["offsets"][level]
    if "start" not in outputs:
        return offsets[0, :, position_M].T.float()
    first = np.cumsum([0, *told.towers])[:-1]
    video = torch.zeros_like(position_M)
    sides = [
        boundary_distances(
            offsets,
            outputs["start"][level],
            outputs["end"][level],
            (video, classes_MG[:, tower] + int(first[tower]), position_M),
        )
        for tower in range(len(told.towers))
    ]
    return torch.stack(sides).mean(dim=0)


def _joined(classes_MG: Tensor, towers: tuple[int, ...]) -> Tensor:
    return classes_MG[:, 0] if len(towers) == 1 else classes_MG[:, 0] * towers[1] + classes_MG[:, 1]
