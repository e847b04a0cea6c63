"""R3D, R(2+1)D, SlowOnly, SlowFast and their TAdaConv forms, against a plain version in float64."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tadaconv import create_model, load_weights, optimize_for_inference
from tadaconv.branches import R2D, TADA2D, Calibration
from tadaconv.layers import ClipConv
from tadaconv.network import VideoNetwork
from tadaconv.resnet import ResidualBlock, ResNet, ResNetSpec
from tadaconv.slowfast import SlowFastSpec
from tadaconv.specs import SPECS, NetworkSpec

Recipe = Callable[..., dict[str, Tensor]]
State = Mapping[str, Tensor]
PLAIN = ["r3d_r50", "r2p1d_r50", "slowonly_8x8", "slowfast_4x16", "slowfast_8x8"]
TADA = {
    "r3d_r50_tada": "r3d_r50",
    "r2p1d_r50_tada": "r2p1d_r50",
    "r2p1d_r50_tada_2d1d": "r2p1d_r50",
    "slowonly_8x8_tada": "slowonly_8x8",
    "slowfast_4x16_tada": "slowfast_4x16",
    "slowfast_8x8_tada": "slowfast_8x8",
}


def thin(spec: NetworkSpec) -> NetworkSpec:
    """The network with an eighth of the channels (in the fast path half) and one or two blocks a
    stage."""
    if isinstance(spec, SlowFastSpec):
        fast = replace(spec.fast, widths=(4, 8, 8, 8), stem_width=4, depths=(1, 1, 2, 1))
        return replace(spec, slow=thin(spec.slow), fast=fast)
    assert isinstance(spec, ResNetSpec)
    return replace(spec, widths=(8, 16, 16, 24), stem_width=8, depths=(1, 1, 2, 1))


def thin_model(name: str, recipe: Recipe, num_classes: Any = 5) -> VideoNetwork:
    """A thin network in evaluation mode in which no parameter is trivial."""
    model = thin(SPECS[name]).build(num_classes)
    shapes = {key: tuple(tensor.shape) for key, tensor in model.state_dict().items()}
    model.load_state_dict(recipe(shapes, seed="thin"))
    return model.eval()


def conv_bn(state: State, conv: str, bn: str, x: Tensor, stride: tuple[int, int, int] = (1, 1, 1)) -> Tensor:
    weight = state[f"{conv}.weight"].double()
    y = F.conv3d(x, weight, stride=stride, padding=tuple(size // 2 for size in weight.shape[2:]))
    mean, var, scale, shift = (
        state[f"{bn}.{name}"].double() for name in ("running_mean", "running_var", "weight", "bias")
    )
    return F.batch_norm(y, mean, var, scale, shift, eps=1e-5)


def stem(state: State, name: str, x: Tensor, pool: bool) -> Tensor:
    x = conv_bn(state, f"{name}.a", f"{name}.a_bn", x, (1, 2, 2)).relu()
    return F.max_pool3d(x, (1, 3, 3), (1, 2, 2), (0, 1, 1)) if pool else x


def stage(state: State, name: str, x: Tensor, stride: int) -> Tensor:
    n = 1
    while f"{name}.res_{n}.conv_branch.a.weight" in state:
        block, strides = f"{name}.res_{n}", (1, stride, stride) if n == 1 else (1, 1, 1)
        y, branch = x, f"{block}.conv_branch"
        for layer in ("a", "b", "b1", "b2", "c"):
            if f"{branch}.{layer}.weight" in state:
                step = strides if layer in ("b", "b1") else (1, 1, 1)
                y = conv_bn(state, f"{branch}.{layer}", f"{branch}.{layer}_bn", y, step)
                y = y if layer == "c" else y.relu()
        if f"{block}.short_cut.weight" in state:
            x = conv_bn(state, f"{block}.short_cut", f"{block}.short_cut_bn", x, strides)
        x, n = (x + y).relu(), n + 1
    return x


def plain_resnet(state: State, clips: Tensor, pool: bool) -> Tensor:
    x = stem(state, "backbone.conv1", clips.double(), pool)
    for s in range(2, 6):
        x = stage(state, f"backbone.conv{s}", x, stride=1 if pool and s == 2 else 2)
    return x.mean((2, 3, 4))


def plain_slowfast(state: State, clips: Tensor, alpha: int) -> Tensor:
    fast = clips.double()
    n_frames = clips.shape[2]
    indices = torch.linspace(0, n_frames, n_frames // alpha + 1).long()[:-1]  # as the released code
    slow = stem(state, "backbone.slow_conv1", fast[:, :, indices], pool=True)
    fast = stem(state, "backbone.fast_conv1", fast, pool=True)
    for s in range(2, 6):
        fusion = f"backbone.slowfast_fusion{s - 1}"
        fused = conv_bn(state, f"{fusion}.conv_fast_to_slow", f"{fusion}.bn", fast, (alpha, 1, 1)).relu()
        stride = 1 if s == 2 else 2
        slow = stage(state, f"backbone.slow_conv{s}", torch.cat([slow, fused], 1), stride)
        fast = stage(state, f"backbone.fast_conv{s}", fast, stride)
    return torch.cat([slow.mean((2, 3, 4)), fast.mean((2, 3, 4))], 1)


def plain_version(name: str, state: State, clips: Tensor) -> Tensor:
    if name.startswith("slowfast"):
        return plain_slowfast(state, clips, alpha={"slowfast_4x16": 8, "slowfast_8x8": 4}[name])
    return plain_resnet(state, clips, pool=name.startswith("slowonly"))


def relative_error(got: Tensor, expected: Tensor) -> float:
    return ((got.double() - expected.double()).abs().max() / expected.abs().max()).item()


@pytest.mark.parametrize("name", PLAIN)
def test_network_is_the_plain_one(name: str, recipe: Recipe) -> None:
    model = thin_model(name, recipe)
    clips = torch.randn(2, 3, 16, 64, 48)
    with torch.inference_mode():
        feats = model.forward_features(clips)
        assert feats.shape == (2, model.num_features)
        assert relative_error(feats, plain_version(name, model.state_dict(), clips)) < 2e-6
        assert model(clips).shape == (2, 5)


@pytest.mark.parametrize("name", [*PLAIN, *TADA])
def test_optimized_network_gives_the_same_features(name: str, recipe: Recipe) -> None:
    model = thin_model(name, recipe, {"verb": 3, "noun": 4})
    folded = optimize_for_inference(model)
    clips = torch.randn(1, 3, 16, 48, 48)
    with torch.inference_mode():
        assert relative_error(folded.forward_features(clips), model.forward_features(clips)) < 1e-5
        assert folded(clips)["noun"].shape == (1, 4)
    assert not any(isinstance(module, torch.nn.BatchNorm3d) for module in folded.modules())


@pytest.mark.parametrize(("name", "plain_name"), TADA.items())
def test_plugged_in_tadaconv_starts_as_the_plain_network(name: str, plain_name: str, recipe: Recipe) -> None:
    plain, tada = thin_model(plain_name, recipe), thin(SPECS[name]).build(5).eval()
    report = load_weights(tada, plain.state_dict())
    clips = torch.randn(1, 3, 16, 48, 48)
    with torch.inference_mode():
        before = tada.forward_features(clips)
        assert relative_error(before, plain.forward_features(clips)) < 1e-6
        for key, parameter in tada.named_parameters():
            if key.endswith("_rf.b.weight"):
                torch.nn.init.normal_(parameter)
        assert relative_error(tada.forward_features(clips), before) > 1e-2
    assert report.missing
    assert all("_rf." in key for key in report.missing)


def test_calibrated_convolutions_of_the_paper() -> None:
    """Table 2: 2d, 2d+1d and 3d; in SlowFast both paths."""
    keys = {name: thin(SPECS[name]).build(5).state_dict() for name in TADA}
    routers = {name: {key.split(".")[-3] for key in keys[name] if "_rf.b." in key} for name in TADA}
    assert routers["r2p1d_r50_tada"] == {"b1_rf"}
    assert routers["r2p1d_r50_tada_2d1d"] == {"b1_rf", "b2_rf"}
    assert routers["r3d_r50_tada"] == routers["slowfast_8x8_tada"] == {"b_rf"}
    for path in ("slow", "fast"):
        assert f"backbone.{path}_conv2.res_1.conv_branch.b_rf.b.weight" in keys["slowfast_8x8_tada"]


def test_slowfast_feature_and_initial_blocks() -> None:
    model = create_model("slowfast_8x8", {"verb": 97, "noun": 300})
    assert model.num_features == 2304
    blocks = [module for module in model.modules() if isinstance(module, ResidualBlock)]
    assert len(blocks) == 32
    assert not any(block.conv_branch.c_bn.weight.any() for block in blocks)


def test_slowfast_refuses_clips_without_whole_slow_frames(recipe: Recipe) -> None:
    with pytest.raises(ValueError, match="T must be a multiple of 8; got a clip of 12 frames"):
        thin_model("slowfast_4x16", recipe)(torch.zeros(1, 3, 12, 32, 32))


def test_calibration_in_some_stages_only() -> None:
    cout = replace(TADA2D, calibration=Calibration(cal_dim="cin_cout", kernels=(3, 1), share=0.5))
    spec = thin(ResNetSpec(branches=(R2D, R2D, cout, cout)))
    assert isinstance(spec, ResNetSpec)
    model = ResNet(spec, 5)
    stages = {key.split(".")[1] for key in model.state_dict() if "b_rf" in key}
    assert stages == {"conv4", "conv5"}
    assert model.get_parameter("backbone.conv5.res_1.conv_branch.b_rf.b.weight").shape == (24, 6, 1, 1, 1)
    clips = torch.randn(2, 3, 4, 32, 32)
    model(clips).sum().backward()
    assert relative_error(optimize_for_inference(model.eval())(clips), model(clips).detach()) < 1e-5


@pytest.mark.parametrize("name", ["r3d_r50", "slowfast_8x8"])
def test_feature_maps_stay_channels_last(name: str, recipe: Recipe) -> None:
    model, strays = thin_model(name, recipe), []

    def check(module: torch.nn.Module, inputs: Any, output: Tensor) -> None:
        if not output.is_contiguous(memory_format=torch.channels_last_3d):
            strays.append(module)

    for module in model.modules():
        if isinstance(module, ClipConv | torch.nn.BatchNorm3d | ResidualBlock):
            module.register_forward_hook(check)
    model(torch.randn(1, 3, 8, 64, 64).contiguous(memory_format=torch.channels_last_3d))
    assert not strays
