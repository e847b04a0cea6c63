"""Weight decay touches weights only."""

from __future__ import annotations

import torch
from torch import nn

from runtime.schema import TrainingConfig
from tadaconv import create_model
from training.optimizer import build_optimizer, split_parameters


def test_norms_biases_and_frozen_weights_are_not_decayed() -> None:
    model = nn.Sequential(nn.Conv1d(3, 4, 3), nn.BatchNorm1d(4), nn.Flatten(), nn.Linear(4, 2))
    model[3].weight.requires_grad = False
    decayed, plain = split_parameters(model)
    assert [id(p) for p in decayed] == [id(model[0].weight)]
    assert {id(p) for p in plain} == {id(p) for p in (model[0].bias, *model[1].parameters(), model[3].bias)}


def test_every_trainable_parameter_of_a_video_model_is_in_one_group() -> None:
    model = create_model("tada2d_mini", num_classes=3)
    optimizer = build_optimizer(model, TrainingConfig(weight_decay=0.5, learning_rate=0.1))
    groups = {group["weight_decay"]: {id(p) for p in group["params"]} for group in optimizer.param_groups}
    assert groups.keys() == {0.5, 0.0}
    assert not groups[0.5] & groups[0.0]
    assert len(groups[0.5]) + len(groups[0.0]) == len(list(model.parameters()))
    norms = (m for m in model.modules() if isinstance(m, (nn.BatchNorm3d, nn.LayerNorm)))
    assert {id(p) for norm in norms for p in norm.parameters()} <= groups[0.0]
    assert id(model.head.out.weight) in groups[0.5]


def test_a_step_without_gradient_shrinks_weights_only() -> None:
    model = nn.Linear(2, 2)
    nn.init.ones_(model.weight)
    nn.init.ones_(model.bias)
    optimizer = build_optimizer(model, TrainingConfig(weight_decay=0.5, learning_rate=0.1))
    (0 * model(torch.zeros(1, 2))).sum().backward()
    optimizer.step()
    torch.testing.assert_close(model.weight, torch.full((2, 2), 1 - 0.1 * 0.5))
    torch.testing.assert_close(model.bias, torch.ones(2))
