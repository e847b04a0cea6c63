"""Weight decay touches weights only."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import pipeline.stages  # noqa: F401 (settings of all packages)
from classification.finetune.settings import FinetuneConfig
from classification.finetune.train import rate_factors
from runtime.errors import InputError
from runtime.sections import run_config
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
    with pytest.raises(
        ValueError, match=r"no parameters \['head\.weight'\] that could learn at another rate"
    ):
        build_optimizer(nn.Linear(2, 2), TrainingConfig(), {"weight", "head.weight"})


def test_deep_blocks_learn_faster_by_their_depth() -> None:
    """Against the published table of TAdaFormer: factor d ** (L + 1 - id), id 0 the stem, i + 1 the
    layer i, L + 1 what stands behind; and its new parameters 10 times as fast."""
    with torch.device("meta"):
        model = create_model("tadaformer_b16", num_classes=3)
    config = run_config(
        finetune=FinetuneConfig(layer_rate_decay=0.7, new_layer_rate_factor=10.0), run_dir="x"
    )
    rates = rate_factors(model, config)
    names = dict(model.named_parameters())
    assert rates.keys() == names.keys()
    for name in names:
        if ".layers." in name:
            layer = int(name.split(".layers.")[1].split(".")[0])
            expected = 0.7 ** (12 + 1 - (layer + 1))
        else:
            expected = 1.0 if name.startswith(("head.", "backbone.ln_post")) else 0.7**13
        assert rates[name] == pytest.approx(expected), name
    new = {name for name in names if ".tada." in name or name.startswith("head.")}
    optimizer = build_optimizer(model, config.finetune, new, rates)
    found = {id(p): group["rate_factor"] for group in optimizer.param_groups for p in group["params"]}
    assert len(found) == len(names)
    for name, parameter in names.items():
        assert found[id(parameter)] == pytest.approx(rates[name] * (10 if name in new else 1))


def test_blocks_of_a_resnet_have_an_order_and_those_of_two_pathways_none() -> None:
    rates = rate_factors(
        create_model("tada2d_mini", 3), run_config(finetune=FinetuneConfig(layer_rate_decay=0.5), run_dir="x")
    )
    found = [rates[f"backbone.conv{stage}.res_1.conv_branch.b.weight"] for stage in (2, 3, 4, 5)]
    assert found == [0.5**6, 0.5**5, 0.5**4, 0.5**2]  # stages 4 and 5 have two blocks
    assert rates["head.out.weight"] == 1
    config = run_config(model="slowfast_8x8", finetune=FinetuneConfig(layer_rate_decay=0.5), run_dir="x")
    with torch.device("meta"):
        model = create_model("slowfast_8x8", 3)
    with pytest.raises(
        InputError, match=r"finetune\.layer_rate_decay=0\.5 with model=slowfast_8x8.*in a row"
    ):
        rate_factors(model, config)


@pytest.mark.parametrize(("model", "count"), [("tada2d_mini", 42), ("r2d_mini", 0)])
def test_routers_learn_at_their_own_rate(model: str, count: int) -> None:
    """The layers G, a and b of each of six routers with their biases, and the norm between."""
    network = create_model(model, 3)
    settings = FinetuneConfig(router_rate_factor=0.1, layer_rate_decay=0.5)
    rates = rate_factors(network, run_config(finetune=settings, run_dir="x"))
    by_depth = rate_factors(network, run_config(finetune=FinetuneConfig(layer_rate_decay=0.5), run_dir="x"))
    changed = {name for name in rates if rates[name] != by_depth[name]}
    assert changed == {name for name in rates if ".b_rf." in name}
    assert len(changed) == count
    assert all(rates[name] == pytest.approx(0.1 * by_depth[name]) for name in changed)


def test_rates_alike_leave_the_groups_as_they_were() -> None:
    model = create_model("tada2d_mini", num_classes=3)
    plain, named = (
        build_optimizer(model, TrainingConfig(), {"head.out.weight"}, factors) for factors in (None, {})
    )
    assert len(plain.param_groups) == len(named.param_groups) == 3
