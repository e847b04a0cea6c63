"""The three losses of BMN, finite for every batch.

Axes: B batch, T positions, D durations. All statistics run over the whole batch, valid cells only.

Written as means over classes, the balanced cross-entropy of BMN needs no ratios: with r = n /
n_pos, its weights 0.5 r and 0.5 r / (r - 1) make each class contribute half of its own mean. An
empty class then contributes 0 where the original yields NaN.

Labels that are NaN are unknown and enter no statistic.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from bmn.labels import validity_mask


@dataclass(frozen=True, kw_only=True)
class LossConstants:
    """Weights and thresholds; defaults of the original (`localization_losses.py` of the TAdaConv
    code)."""

    tem_weight: float = 1.0
    """Weight of the start and end loss."""
    pem_reg_weight: float = 10.0
    """Weight of the IoU regression loss."""
    pem_cls_weight: float = 1.0
    """Weight of the IoU classification loss."""
    boundary_positive: float = 0.5
    """A position is a start (end) if its label exceeds this."""
    cls_positive: float = 0.9
    """A cell is positive for classification if its IoU exceeds this."""
    reg_high: float = 0.7
    """Cells above this IoU all enter the regression; the two lower bands are thinned to their
    number."""
    reg_low: float = 0.3
    """Border between the middle band and the low band (0 < IoU <= reg_low)."""


def bmn_loss(
    outputs: Mapping[str, Tensor],
    start: Tensor,
    end: Tensor,
    iou_map: Tensor,
    *,
    generator: torch.Generator,
    constants: LossConstants | None = None,
) -> dict[str, Tensor]:
    """Compute the loss of BMN and its parts.

    Source: BMN (Lin et al., ICCV 2019), Sec. 5.1; arithmetic of the TAdaConv code, equal to it
    wherever that is well defined. Where it is not:

    a) no start (end) label above 0.5, or all: the class that exists counts, with its usual half;
    b) no cell above IoU 0.9: the classification loss is 0, as in the original; no cell below: see
        a);
    c) fewer cells in the middle (low) band than in the high band: all of them are kept; the
       original then lets every cell of the map in, invalid ones included;
    d) no cell above IoU 0.7: the bands are thinned to the smaller one that is not empty; no
       overlapping cell at all: the regression loss is 0.

    Args:
        outputs: of `BMN`: "start" (B, T), "end" (B, T), "confidence_map" (B, 2, D, T),
            probabilities.
        start: (B, T) labels, as `boundary_labels` makes them.
        end: (B, T) labels.
        iou_map: (B, D, T) labels.
        generator: source of the thinning of the bands; may live on the CPU whatever the device, so
            that a run can be repeated on another.
        constants: weights and thresholds; None: the original's.

    Returns:
        Scalars "loss" (weighted sum, to be minimised), "tem", "pem_reg", "pem_cls".

    Raises:
        ValueError: if the shapes of outputs and labels do not match.
    """
    constants = constants or LossConstants()
    confidence_map = outputs["confidence_map"]
    _check_shapes(outputs, start, end, iou_map)
    valid = torch.from_numpy(validity_mask(iou_map.shape[2], iou_map.shape[1])).to(iou_map.device)
    u_mid, u_low = (_uniform(iou_map, generator) for _ in range(2))
    tem = boundary_loss(outputs["start"], start, constants) + boundary_loss(outputs["end"], end, constants)
    pem_reg = regression_loss(confidence_map[:, 0], iou_map, valid, u_mid, u_low, constants)
    pem_cls = classification_loss(confidence_map[:, 1], iou_map, valid, constants)
    loss = (
        constants.tem_weight * tem + constants.pem_reg_weight * pem_reg + constants.pem_cls_weight * pem_cls
    )
    return {"loss": loss, "tem": tem, "pem_reg": pem_reg, "pem_cls": pem_cls}


def boundary_loss(probability_BT: Tensor, label_BT: Tensor, constants: LossConstants) -> Tensor:
    """Balanced cross-entropy of the start (or end) probability, a scalar."""
    positive = label_BT > constants.boundary_positive
    return _balanced_cross_entropy(probability_BT, positive, label_BT <= constants.boundary_positive)


def classification_loss(
    probability_BDT: Tensor, iou_BDT: Tensor, valid_DT: Tensor, constants: LossConstants
) -> Tensor:
    """Balanced cross-entropy of "this cell's IoU exceeds 0.9" over valid cells; 0 if none does."""
    positive = (iou_BDT > constants.cls_positive) & valid_DT
    negative = (iou_BDT <= constants.cls_positive) & valid_DT
    loss = _balanced_cross_entropy(probability_BDT, positive, negative)
    return loss * positive.any()


def regression_loss(
    predicted_BDT: Tensor,
    iou_BDT: Tensor,
    valid_DT: Tensor,
    u_mid_BDT: Tensor,
    u_low_BDT: Tensor,
    constants: LossConstants,
) -> Tensor:
    """Half the mean squared error of the predicted IoU over a balanced choice of cells.

    Args:
        predicted_BDT: predicted IoU (B, D, T).
        iou_BDT: true IoU.
        valid_DT: bool, which cells are valid.
        u_mid_BDT: uniform numbers in [0, 1) that decide which cells of the middle band are kept.
        u_low_BDT: likewise for the low band.
        constants: the bands' borders.
    """
    high = valid_DT & (iou_BDT > constants.reg_high)
    mid = valid_DT & (iou_BDT > constants.reg_low) & (iou_BDT <= constants.reg_high)
    low = valid_DT & (iou_BDT > 0) & (iou_BDT <= constants.reg_low)
    n_high, n_mid, n_low = (band.sum() for band in (high, mid, low))
    # Where the high band is empty, aim at the smaller band that is not (case d of `bmn_loss`).
    n_smaller = torch.where((n_mid > 0) & (n_low > 0), torch.minimum(n_mid, n_low), n_mid + n_low)
    target = torch.where(n_high > 0, n_high, n_smaller)
    kept = high | (mid & _keep(u_mid_BDT, target, n_mid)) | (low & _keep(u_low_BDT, target, n_low))
    squared_error = (predicted_BDT - iou_BDT.nan_to_num()).square() * kept
    return 0.5 * squared_error.sum() / kept.sum().clamp(min=1)


def _keep(uniform: Tensor, target: Tensor, count: Tensor) -> Tensor:
    """Choose about `target` of `count` cells."""
    ratio = (target / count.clamp(min=1)).clamp(max=1.0)
    return uniform > 1.0 - ratio


def _balanced_cross_entropy(probability: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
    eps = 1e-6  # the original's; keeps the logarithm finite at 0 and 1
    log_positive = torch.log(probability + eps) * positive
    log_negative = torch.log(1.0 - probability + eps) * negative
    mean_positive = log_positive.sum() / positive.sum().clamp(min=1)
    mean_negative = log_negative.sum() / negative.sum().clamp(min=1)
    return -0.5 * (mean_positive + mean_negative)


def _uniform(like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.rand(like.shape, generator=generator, device=generator.device).to(like.device)


def _check_shapes(outputs: Mapping[str, Tensor], start: Tensor, end: Tensor, iou_map: Tensor) -> None:
    confidence_shape = tuple(outputs["confidence_map"].shape)
    batch, _, dscale, tscale = confidence_shape
    expected = {"start": (batch, tscale), "end": (batch, tscale), "iou_map": (batch, dscale, tscale)}
    found = {"start": tuple(start.shape), "end": tuple(end.shape), "iou_map": tuple(iou_map.shape)}
    if found != expected:
        raise ValueError(f"labels for a confidence map {confidence_shape} must be {expected}, got {found}")
