"""Losses and gradient, against the original code."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from one_stage import from_released
from one_stage.labels import one_hot, point_labels, pyramid_points
from one_stage.layers import ScaledDropPath
from one_stage.losses import (
    OneStageLossConstants,
    diou_loss,
    learning_points,
    moved_normalizer,
    one_stage_losses,
    overlap,
)
from tests.golden_heads import Golden


@pytest.mark.parametrize("boundaries", ["everywhere", "where a point learns"])
def test_losses_and_gradient_equal_those_of_the_original(golden: Golden, boundaries: str) -> None:
    network = from_released(golden.settings, golden.weights).train()
    for module in network.modules():
        if isinstance(module, ScaledDropPath):
            module.probability = 0.0
    feats, valid = golden.batch
    points = pyramid_points(feats.shape[2], network.arch.regression_ranges)
    labels = [
        point_labels(
            points,
            golden.arrays[f"seg_{name}"],
            one_hot(golden.arrays[f"lab_{name}"][:, None], network.arch.class_towers),
        )
        for name in "ab"
    ]
    classes, offsets = (torch.from_numpy(np.stack(both)) for both in zip(*labels, strict=True))
    learning = learning_points(valid, classes, network.arch.levels)
    first_normalizer = torch.tensor(golden.first_normalizer, dtype=torch.float64)
    normalizer = moved_normalizer(first_normalizer, int(learning.sum()))
    constants = OneStageLossConstants(
        smoothing=golden.smoothing, iou_power=golden.settings.get("iou_weight_power", 0.0)
    )
    outputs = network(feats, valid, None if boundaries == "everywhere" else learning)
    losses = one_stage_losses(outputs, valid, classes, offsets, constants)
    (losses["loss"] / normalizer).backward()
    assert normalizer.item() == pytest.approx(float(golden.arrays["loss_normalizer"]), rel=1e-9)
    for ours, theirs in (("classes", "cls_loss"), ("boundaries", "reg_loss"), ("loss", "final_loss")):
        expected = float(golden.arrays[f"loss_{theirs}"])
        assert (losses[ours] / normalizer).item() == pytest.approx(expected, rel=1e-6)
    gradient = network.backbone.embd[0].conv.weight.grad.numpy()
    expected = golden.arrays["grad_embd0"]
    assert np.abs(gradient - expected).max() < 1e-5 * np.abs(expected).max()


reach = st.floats(0.0, 1e3, width=32)


@given(reach, reach, reach, reach)
def test_diou_of_plain_numbers(left: float, right: float, want_left: float, want_right: float) -> None:
    predicted, wanted = torch.tensor([[left, right]]), torch.tensor([[want_left, want_right]])
    shared = min(left, want_left) + min(right, want_right)
    union = max(left + right + want_left + want_right - shared, 1e-8)
    centres = (right - left) / 2 - (want_right - want_left) / 2
    hull = max(max(left, want_left) + max(right, want_right), 1e-8)
    assert overlap(predicted, wanted).item() == pytest.approx(shared / union, abs=1e-5)
    expected = 1 - shared / union + (centres / hull) ** 2
    assert diou_loss(predicted, wanted).item() == pytest.approx(expected, abs=1e-4)


def test_a_batch_without_segments_has_a_finite_loss_and_every_gradient(golden: Golden) -> None:
    network = from_released(golden.settings, golden.weights)
    feats, valid = golden.batch
    points = len(pyramid_points(feats.shape[2], network.arch.regression_ranges))
    classes = torch.zeros(len(feats), points, network.arch.num_classes, dtype=torch.bool)
    losses = one_stage_losses(
        network(feats, valid, learning_points(valid, classes, network.arch.levels)),
        valid,
        classes,
        torch.zeros(len(feats), points, 2),
        OneStageLossConstants(iou_power=0.2),
    )
    assert losses["boundaries"].item() == 0.0
    losses["loss"].backward()
    assert losses["loss"].isfinite()
    assert all(weight.grad is not None for weight in network.parameters() if weight.requires_grad)
