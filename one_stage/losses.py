"""The losses of the one-stage heads: focal loss of the classes, DIoU of the boundaries.

Axes: B batch, P points of all levels, K classes, M positives. Both losses are sums; a moving
average of the number of positive points divides them (`moved_normalizer`), which the caller keeps.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from one_stage.trident import boundary_distances

ALPHA, GAMMA = 0.25, 2.0
"""Of the focal loss (Lin et al., ICCV 2017)."""
MOMENTUM = 0.9
SMALL = 1e-8


@dataclass(frozen=True, kw_only=True)
class OneStageLossConstants:
    """What the published settings choose."""

    smoothing: float = 0.0
    """Share of every class target that is spread evenly."""
    regression_weight: float = 1.0
    iou_power: float = 0.0
    """TriDet: positive class entries weigh as this power of the IoU of prediction and target."""


def one_stage_losses(
    outputs: Mapping[str, list[Tensor]],
    valid_BT: Tensor,
    classes_BPK: Tensor,
    offsets_BP2: Tensor,
    constants: OneStageLossConstants,
) -> dict[str, Tensor]:
    """Sum the losses over the points of a batch.

    Source: ActionFormer, Sec. 3.4; TriDet, Sec. 3.4; arithmetic of the released code.

    Args:
        outputs: of `OneStageNetwork`; boundaries where `learning_points` says so are enough.
        valid_BT: bool, rows to learn from.
        classes_BPK: bool, of `one_stage.labels.point_labels`.
        offsets_BP2: likewise.
        constants: weights.

    Returns:
        Scalars "classes", "boundaries" and "loss", their weighted sum; not yet divided by the
        normaliser.
    """
    logits_BPK = torch.cat([level.transpose(1, 2) for level in outputs["logits"]], dim=1).float()
    valid_BP = points_valid(valid_BT, len(outputs["logits"]))
    positive_BPK = classes_BPK & valid_BP[..., None]
    spread = constants.smoothing / (logits_BPK.shape[2] + 1)
    targets_BPK = classes_BPK * (1.0 - constants.smoothing) + spread
    focal_BPK = focal_loss(logits_BPK, targets_BPK) * valid_BP[..., None]
    predicted, wanted, entries = _positives(outputs, positive_BPK, offsets_BP2)
    if constants.iou_power and len(predicted):
        weights_BPK = torch.ones_like(focal_BPK)
        weights_BPK[entries] = overlap(predicted, wanted) ** constants.iou_power
        focal_BPK = focal_BPK * weights_BPK
    classes, boundaries = focal_BPK.sum(), diou_loss(predicted, wanted).sum()
    loss = classes + constants.regression_weight * boundaries
    return {"loss": loss, "classes": classes, "boundaries": boundaries}


def points_valid(valid_BT: Tensor, levels: int) -> Tensor:
    """Tell which points of all levels lie on a feature, (B, P)."""
    return torch.cat([valid_BT[:, :: 2**level] for level in range(levels)], dim=1)


def learning_points(valid_BT: Tensor, classes_BPK: Tensor, levels: int) -> Tensor:
    """Tell which points of a batch learn a segment, (B, P)."""
    return classes_BPK.any(2) & points_valid(valid_BT, levels)


def moved_normalizer(normalizer: Tensor, positives: int) -> Tensor:
    """Return the moving average after a batch with so many positive points."""
    return MOMENTUM * normalizer + (1.0 - MOMENTUM) * max(positives, 1)


def focal_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Sigmoid focal loss of every entry; targets may lie between 0 and 1."""
    probability = logits.sigmoid()
    cross_entropy = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    right = probability * targets + (1.0 - probability) * (1.0 - targets)
    balance = ALPHA * targets + (1.0 - ALPHA) * (1.0 - targets)
    return balance * cross_entropy * (1.0 - right) ** GAMMA


def overlap(predicted_M2: Tensor, wanted_M2: Tensor) -> Tensor:
    """IoU of segments around a common point, given by their distances to start and end, (M,)."""
    shared = torch.minimum(predicted_M2, wanted_M2).sum(1)
    union = predicted_M2.sum(1) + wanted_M2.sum(1) - shared
    return shared / union.clamp(min=SMALL)


def diou_loss(predicted_M2: Tensor, wanted_M2: Tensor) -> Tensor:
    """1 - IoU + (distance of centres / length of the hull)^2, (M,) (Zheng et al., AAAI 2020, in
    one dimension)."""
    hull = torch.maximum(predicted_M2, wanted_M2).sum(1)
    apart = ((predicted_M2[:, 1] - predicted_M2[:, 0]) - (wanted_M2[:, 1] - wanted_M2[:, 0])) / 2
    return 1.0 - overlap(predicted_M2, wanted_M2) + (apart / hull.clamp(min=SMALL)).square()


def _positives(
    outputs: Mapping[str, list[Tensor]], positive_BPK: Tensor, offsets_BP2: Tensor
) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor, Tensor]]:
    """Predicted and wanted distances (M, 2) of the positives, and where they stand in (B, P, K).

    A positive is a point; with boundary maps, which differ by class, a point and one of its
    classes.
    """
    predicted, wanted, places = [], [], []
    for level, first, last in _level_bounds(outputs):
        positive = positive_BPK[:, first:last]
        if "start" in outputs:
            videos, points, classes = positive.nonzero(as_tuple=True)
            found = boundary_distances(
                outputs["offsets"][level],
                outputs["start"][level],
                outputs["end"][level],
                (videos, classes, points),
            )
        else:
            videos, points = positive.any(2).nonzero(as_tuple=True)
            classes = torch.zeros_like(videos)
            found = outputs["offsets"][level][videos, :, points].float()
        predicted.append(found)
        wanted.append(offsets_BP2[videos, points + first])
        places.append((videos, points + first, classes))
    videos, points, classes = (torch.cat(axis) for axis in zip(*places, strict=True))
    return torch.cat(predicted), torch.cat(wanted), (videos, points, classes)


def _level_bounds(outputs: Mapping[str, list[Tensor]]) -> Iterator[tuple[int, int, int]]:
    first = 0
    for level, logits in enumerate(outputs["logits"]):
        yield level, first, first + logits.shape[2]
        first += logits.shape[2]
