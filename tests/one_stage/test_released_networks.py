"""Networks from released settings and weights, against the outputs of the original code."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from one_stage import from_released, layers
from one_stage.architecture import Architecture, Kind
from one_stage.network import OneStageNetwork
from tests.golden_heads import Golden

NAMES = {"logits": "cls", "offsets": "reg", "start": "start", "end": "end"}


def relative(found: Tensor, expected: np.ndarray) -> float:
    """Largest difference over the largest value."""
    return float(np.abs(found.detach().numpy() - expected).max() / np.abs(expected).max())


def test_maps_equal_those_of_the_original(golden: Golden) -> None:
    network = from_released(golden.settings, golden.weights)
    with torch.no_grad():
        outputs, pyramid = network(*golden.batch), network.pyramid(*golden.batch)
    assert set(outputs) == set(NAMES) if network.arch.bins else {"logits", "offsets"}
    for name, levels in outputs.items():
        for found, expected in zip(levels, golden.levels(NAMES[name]), strict=True):
            assert relative(found, expected) < 1e-5
    for (found_BTC, _), expected in zip(pyramid, golden.levels("fpn"), strict=True):
        assert relative(found_BTC.transpose(1, 2), expected) < 1e-5


def test_moving_average_of_a_checkpoint_is_preferred(golden: Golden) -> None:
    weights = {f"module.{name}": value for name, value in golden.weights.items()}
    other = {name: value + 1.0 for name, value in weights.items()}
    checkpoint = {"epoch": 3, "state_dict": other, "state_dict_ema": weights}
    network = from_released(golden.settings, checkpoint)
    plain = from_released(golden.settings, golden.weights)
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), plain.parameters(), strict=True))


def test_names_of_opentad_are_understood(golden: Golden) -> None:
    weights = {
        f"module.{_opentad_name(name)}": value.reshape(-1) if re.search(r"norm|\.ln\d?\.", name) else value
        for name, value in golden.weights.items()
    }
    weights["module.rpn_head.loss_normalizer"] = torch.tensor(123.0)
    network = from_released(golden.settings, weights)
    assert network.arch.padding == "opentad"
    plain = from_released(golden.settings, golden.weights)
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), plain.parameters(), strict=True))


def _opentad_name(name: str) -> str:
    """Say the name that OpenTAD gives a parameter of the originals (facts sheet, 1.8)."""
    for pattern, replacement in (
        (r"backbone\.embd\.(\d)\.conv", r"projection.embed.\1.conv"),
        (r"backbone\.embd_norm\.(\d)", r"projection.embed.\1.norm"),
        (r"backbone", "projection"),
        (r"(cls|reg|start|end)_head\.head\.(\d)\.conv", r"rpn_head.\1_convs.\2.conv"),
        (r"(cls|reg|start|end)_head\.norm\.(\d)", r"rpn_head.\1_convs.\2.norm"),
        (r"reg_head\.offset_head\.conv", "rpn_head.reg_head"),
        (r"reg_head\.scale", "rpn_head.scale"),
        (r"(cls|start|end)_head\.cls_head\.conv", r"rpn_head.\1_head"),
    ):
        if re.match(pattern, name):
            return re.sub(pattern, replacement, name)
    return name


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fpn_type": "fpn"}, r"fpn_type=fpn \(known: identity\)"),
        ({"backbone_type": "conv"}, "backbone_type=conv"),
        ({"backbone_arch": [2, 2, 9]}, "entries for the 10 levels"),
        ({"head_num_layers": 4}, "missing .*cls_head.head.2"),
        ({"embd_dim": 64, "fpn_dim": 64, "head_dim": 64}, "of other shape"),
    ],
)
def test_settings_that_do_not_fit_are_refused(golden: Golden, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        from_released(golden.settings | change, golden.weights)


def test_other_weights_are_refused(golden: Golden) -> None:
    with pytest.raises(ValueError, match="no weights of a one-stage network"):
        from_released(golden.settings, {"fc.weight": torch.zeros(2, 2)})


def test_padded_rows_have_no_influence_by_default(golden: Golden) -> None:
    released = from_released(golden.settings, golden.weights)
    network = OneStageNetwork(dataclasses.replace(released.arch, padding="right")).eval()
    network.load_state_dict(released.state_dict())
    alone_1CT = torch.from_numpy(golden.arrays["feats_a"])[None]
    length = alone_1CT.shape[2]
    with torch.no_grad():
        alone = network(alone_1CT, torch.ones(1, length, dtype=torch.bool))
        in_batch = network(*golden.batch)
    for name, levels in alone.items():
        for found, padded in zip(levels, in_batch[name], strict=True):
            torch.testing.assert_close(found[0], padded[0, :, : found.shape[2]], rtol=1e-4, atol=1e-5)


def test_several_class_towers_stand_one_behind_the_other() -> None:
    arch = Architecture(
        kind="actionformer",
        in_channels=6,
        class_towers=(2, 3),
        channels=8,
        regression_ranges=((0, 4), (4, 10000)),
        windows=(5, 5),
    )
    network = OneStageNetwork(arch)
    network.silence([1, 4])
    outputs = network(torch.zeros(1, 6, 9), torch.ones(1, 9, dtype=torch.bool))
    assert [tuple(level.shape) for level in outputs["logits"]] == [(1, 5, 9), (1, 5, 5)]
    biases = torch.cat([head.cls_head.conv.bias for head in network.class_heads()])
    torch.testing.assert_close(
        biases.detach(), torch.tensor([-4.59512, -13.81551, -4.59512, -4.59512, -13.81551])
    )


def test_other_shapes_are_refused(golden: Golden) -> None:
    network = from_released(golden.settings, golden.weights)
    with pytest.raises(ValueError, match=r"expected features \(B, "):
        network(torch.zeros(1, 3, 8), torch.ones(1, 8, dtype=torch.bool))


@pytest.mark.parametrize("kind", ["actionformer", "tridet"])
@pytest.mark.parametrize("padding", ["right", "as_released"])
def test_long_videos_give_the_same_in_pieces(
    kind: Kind, padding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    arch = Architecture(
        kind=kind, in_channels=6, class_towers=(2,), channels=16,
        regression_ranges=((0, 4), (4, 8), (8, 10000)), windows=(5, 9, 5), sgp_init_std=0.2,
        bins=4 if kind == "tridet" else 0, padding=padding,
    )  # fmt: skip
    network, feats = OneStageNetwork(arch).eval(), torch.randn(1, 6, 151)
    for scale in (each for name, each in network.named_parameters() if name.endswith("scale")):
        scale.data.fill_(1.0)  # 1e-4 at the start: attention would not show
    valid = torch.arange(151)[None] < 133
    feats = feats * valid[:, None]
    with torch.inference_mode():
        whole = network(feats, valid)
        monkeypatch.setattr(layers, "LONG", 64)  # more than four reaches
        pieces = network(feats, valid)
    for name, levels in whole.items():
        for expected, found in zip(levels, pieces[name], strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
