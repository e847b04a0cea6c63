"""Blocks and whole networks: the released results, names and shapes; what holds before training."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tadaconv import TAdaConv2d, create_model, list_models, optimize_for_inference
from tadaconv.branches import TADA2D
from tadaconv.layers import ClipConv
from tadaconv.resnet import ResidualBlock

Recipe = Callable[..., dict[str, Tensor]]
EK100 = {"verb": 97, "noun": 300}


def relative_error(got: Tensor, expected: np.ndarray) -> float:
    """Largest difference over the largest magnitude."""
    return float((got.detach().double() - torch.from_numpy(expected)).abs().max() / np.abs(expected).max())


@pytest.mark.parametrize(
    ("block", "in_channels", "stride"), [("stage2_block1", 64, 2), ("stage2_block2", 256, 1)]
)
def test_block_gives_the_released_results_and_gradients(
    golden: Path, recipe: Recipe, block: str, in_channels: int, stride: int
) -> None:
    data = {
        key.removeprefix(f"{block}/"): value
        for key, value in np.load(golden / "tada2d_block.npz").items()
        if key.startswith(f"{block}/")
    }
    module = ResidualBlock(TADA2D, in_channels, 64, 256, stride)
    module.load_state_dict(recipe(json.loads(str(data["keys"])), seed="1", prefix=f"{block}."))
    x = torch.from_numpy(data["x"])

    with torch.no_grad():
        assert relative_error(module.eval()(x), data["y_eval"]) < 1e-6
    x.requires_grad_()
    y = module.train()(x)
    y.backward(torch.from_numpy(data["grad_y"]))

    assert relative_error(y, data["y_train"]) < 1e-6
    assert relative_error(x.grad, data["dx"]) < 3e-6
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None
        if f"dparam/{name}" not in data:
            assert parameter.grad.norm().item() == pytest.approx(float(data[f"dparam_norm/{name}"]), rel=1e-5)
        elif name != "conv_branch.b_rf.a.bias":
            assert relative_error(parameter.grad, data[f"dparam/{name}"]) < 1e-5, name


RELEASED = [
    *("tada2d_r50", "tada2d_r50_ek100", "r2d_r50", "r3d_r50", "r2p1d_r50"),
    *("slowfast_4x16", "slowfast_8x8", "slowfast_8x8_ek100"),
    *("tadaconvnextv2_tiny", "tadaconvnextv2_small", "tadaconvnextv2_base"),
    *("tadaformer_b16", "tadaformer_b16_ssv2", "tadaformer_l14"),
]


@pytest.mark.parametrize("golden_name", RELEASED)
def test_state_dict_has_the_released_names_and_shapes(golden_keys: dict[str, Any], golden_name: str) -> None:
    num_classes: Any = EK100 if golden_name.endswith("_ek100") else 174 if "ssv2" in golden_name else 400
    with torch.device("meta"):
        model = create_model(golden_name.removesuffix("_ek100"), num_classes)
    shapes = {key: list(tensor.shape) for key, tensor in model.state_dict().items()}
    assert shapes == golden_keys[golden_name]["state"]
    assert sum(parameter.numel() for parameter in model.parameters()) == golden_keys[golden_name]["params"]


def golden_model(
    golden: Path, golden_keys: dict[str, Any], recipe: Recipe, file: str, name: str
) -> tuple[torch.nn.Module, Any, Tensor]:
    """The network with the recipe's parameters, the golden data, and its input."""
    data = np.load(golden / f"{file}.npz")
    meta = json.loads(str(data["meta"]))
    model = create_model(name, EK100 if meta["two_head"] else meta["num_classes"])
    model.load_state_dict(recipe(golden_keys[file]["state"], seed=meta["seed"]))
    return model.eval(), data, torch.from_numpy(data["x"])


@pytest.mark.parametrize("name", ["tada2d_r50", "r2d_r50"])
def test_network_gives_the_released_features_and_logits(
    golden: Path, golden_keys: dict[str, Any], recipe: Recipe, name: str
) -> None:
    model, data, x = golden_model(golden, golden_keys, recipe, name, name)
    with torch.inference_mode():
        feats = model.forward_features(x)
        assert relative_error(feats, data["feature64"]) < 2e-6
        assert relative_error(model(x), data["logit64"]) < 2e-6
        folded = optimize_for_inference(model)
        assert relative_error(folded.forward_features(x), data["feature64"]) < 1e-5
    assert feats.shape == (1, model.num_features)


def test_network_with_two_heads_gives_the_released_logits(
    golden: Path, golden_keys: dict[str, Any], recipe: Recipe
) -> None:
    model, data, x = golden_model(golden, golden_keys, recipe, "tada2d_r50_ek100", "tada2d_r50")
    with torch.inference_mode():
        feats = model.forward_features(x)  # clips that are not square
        logits = model.head(feats)
    assert relative_error(feats, data["feature64"]) < 2e-6
    assert list(logits) == ["verb", "noun"]
    for task in logits:
        assert relative_error(logits[task], data[f"logit64/{task}"]) < 2e-6


def test_names_of_the_networks() -> None:
    assert set(list_models()) >= {
        *(name for name in RELEASED if not name.endswith("_ek100")),
        *("tada2d_mini", "r2d_mini", "slowonly_8x8", "slowonly_8x8_tada", "slowfast_4x16_tada"),
        *("slowfast_8x8_tada", "r3d_r50_tada", "r2p1d_r50_tada", "r2p1d_r50_tada_2d1d"),
        *("tadaconvnext_tiny", "tadaconvnext_small", "tadaconvnext_base"),
    }
    with pytest.raises(ValueError, match=r"no network named 'tada2d_r51'; did you mean tada2d_r50"):
        create_model("tada2d_r51")


@pytest.mark.parametrize(
    ("num_classes", "message"),
    [
        (0, "at least 1"),
        ({"verb": 97}, '"verb": n, "noun": m'),
        ({"verb": 97, "noun": 0}, "at least 1"),
    ],
)
def test_impossible_numbers_of_classes_are_refused(num_classes: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        create_model("r2d_mini", num_classes)


def test_tada2d_starts_as_r2d_with_the_same_weights() -> None:
    tada, r2d = create_model("tada2d_mini", 10), create_model("r2d_mini", 10)
    shapes = {key: tensor.shape for key, tensor in r2d.state_dict().items()}
    r2d.load_state_dict({key: tada.state_dict()[key].reshape(shape) for key, shape in shapes.items()})
    clips = torch.randn(2, 3, 4, 32, 32)
    torch.testing.assert_close(
        tada.forward_features(clips), r2d.forward_features(clips), atol=1e-6, rtol=1e-5
    )


def test_initial_calibrated_weights_are_drawn_like_plain_ones() -> None:
    model = create_model("tada2d_mini", 10)
    weight = model.get_parameter("backbone.conv5.res_1.conv_branch.b.weight")
    fan_out = weight.shape[2] * 3 * 3
    assert weight.std().item() == pytest.approx((2 / fan_out) ** 0.5, rel=0.02)
    assert not model.get_parameter("backbone.conv5.res_1.conv_branch.b_rf.b.weight").any()


@pytest.mark.parametrize("name", ["tada2d_mini", "r2d_mini"])
@pytest.mark.parametrize("shape", [(2, 3, 1, 32, 32), (1, 3, 2, 37, 50), (2, 3, 8, 64, 64)])
def test_any_number_of_frames_and_any_size(name: str, shape: tuple[int, ...]) -> None:
    model = create_model(name, EK100).eval()
    with torch.inference_mode():
        assert model.forward_features(torch.randn(shape)).shape == (shape[0], model.num_features)
        assert model(torch.randn(shape))["noun"].shape == (shape[0], 300)


def test_feature_maps_stay_channels_last() -> None:
    """A layer that broke the memory format would make every following layer copy its input."""
    model = create_model("tada2d_mini", 10)
    strays = []

    def check(module: torch.nn.Module, inputs: Any, output: Tensor) -> None:
        if not output.is_contiguous(memory_format=torch.channels_last_3d):
            strays.append(module)

    for module in model.backbone.modules():
        if isinstance(module, ClipConv | TAdaConv2d | torch.nn.BatchNorm3d | ResidualBlock):
            module.register_forward_hook(check)
    model(torch.randn(2, 3, 4, 64, 64))
    assert not strays


def test_mini_network_learns_the_direction_of_time() -> None:
    """Clips and their reversals: only a network that sees the order of frames can tell them
    apart."""
    clips = torch.randn(8, 3, 8, 32, 32).cumsum(2)
    clips = clips * torch.linspace(0.2, 1.5, 8).view(8, 1, 1)
    x, y = torch.cat([clips, clips.flip(2)]), torch.arange(16) // 8
    losses = {}
    for name in ("tada2d_mini", "r2d_mini"):
        torch.manual_seed(0)
        model = create_model(name, 2)
        optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3)
        for _ in range(15):
            loss = F.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        losses[name] = loss.item()
    assert losses["tada2d_mini"] < 0.3
    assert losses["r2d_mini"] > 0.6  # chance is 0.69


@pytest.mark.parametrize("name", ["tada2d_mini", "r2d_mini"])
def test_optimized_network_gives_the_same_features(name: str, recipe: Recipe) -> None:
    model = create_model(name, 10)
    shapes = {key: tuple(tensor.shape) for key, tensor in model.state_dict().items()}
    model.load_state_dict(recipe(shapes, seed="any"))  # no normalisation is trivial
    folded = optimize_for_inference(model)
    model.eval()
    for shape in [(2, 3, 8, 48, 64), (1, 3, 1, 33, 33), (1, 3, 2, 40, 40)]:
        clips = torch.randn(shape)
        with torch.inference_mode():
            expected = model.forward_features(clips).double().numpy()
            assert relative_error(folded.forward_features(clips), expected) < 1e-5
    assert folded.num_features == model.num_features
    assert not any(isinstance(module, torch.nn.BatchNorm3d) for module in folded.modules())


def test_optimized_network_computes_in_bfloat16_on_request(recipe: Recipe) -> None:
    model = create_model("tada2d_mini", 10).eval()
    shapes = {key: tuple(tensor.shape) for key, tensor in model.state_dict().items()}
    model.load_state_dict(recipe(shapes, seed="any"))
    clips = torch.randn(1, 3, 4, 48, 48)
    with torch.inference_mode():
        expected = model.forward_features(clips)
        feats = optimize_for_inference(model, dtype=torch.bfloat16).forward_features(clips)
    assert feats.dtype == torch.float32
    assert 1e-5 < relative_error(feats, expected.double().numpy()) < 2e-2


def test_optimizing_leaves_the_model_as_it_is() -> None:
    model = create_model("tada2d_mini", 10)
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    optimize_for_inference(model)
    assert model.training
    assert all(torch.equal(tensor, before[key]) for key, tensor in model.state_dict().items())
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_the_device_of_the_copy_is_not_that_of_the_model() -> None:
    """The head goes on answering for stored features, on the CPU."""
    model = create_model("tada2d_mini", 10)
    folded = optimize_for_inference(model, device=torch.device("meta"))
    assert {tensor.device.type for tensor in folded.buffers()} == {"meta"}
    assert {tensor.device.type for tensor in model.state_dict().values()} == {"cpu"}
