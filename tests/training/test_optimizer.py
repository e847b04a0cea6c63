"""Weight decay touches weights only."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tadaconv import create_model
from training.optimizer import build_optimizer, set_learning_rate, split_parameters
from training.settings import TrainingConfig


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


def test_sgd_is_nesterovs_by_hand() -> None:
    """Against the definition, v = 0.9 v + g; w -= rate (g + 0.9 v), with weight decay in g."""
    model = nn.Linear(3, 1, bias=False).double()
    w = model.weight.detach().clone()
    optimizer = build_optimizer(model, TrainingConfig(optimizer="sgd", weight_decay=0.1, learning_rate=1.0))
    v = torch.zeros_like(w)
    for step in range(5):
        x = torch.full((1, 3), step + 1.0, dtype=torch.float64)
        rate = 0.01 / (step + 1)
        set_learning_rate(optimizer, rate)
        optimizer.zero_grad()
        model(x).square().sum().backward()
        optimizer.step()
        g = 2 * (w @ x.T) * x + 0.1 * w
        v = 0.9 * v + g
        w = w - rate * (g + 0.9 * v)
        torch.testing.assert_close(model.weight.detach(), w)


def test_new_layers_learn_at_a_multiple_of_the_rate() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    config = TrainingConfig(weight_decay=0.5, new_layer_rate_factor=5.0)
    optimizer = build_optimizer(model, config, {"1.weight", "1.bias"})
    set_learning_rate(optimizer, 0.1)
    groups = {
        id(parameter): (group["lr"], group["weight_decay"])
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    rates = [groups[id(parameter)] for parameter in model.parameters()]
    assert rates == [(0.1, 0.5), (0.1, 0.0), (0.5, 0.5), (0.5, 0.0)]


def test_a_new_parameter_that_is_not_there_is_named() -> None:
    with pytest.raises(ValueError, match=r"no parameters \['head\.weight'\] that could be new"):
        build_optimizer(nn.Linear(2, 2), TrainingConfig(), {"weight", "head.weight"})
