"""TAdaConv v2, the ConvNeXts and TAdaFormer: the released results, and a plain version in
float64."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tadaconv import RouteFuncTransformer, TAdaConv2dV2, create_model, optimize_for_inference
from tadaconv.convnext import ConvNeXtSpec
from tadaconv.layers import DropPath, PatchConv
from tadaconv.network import VideoNetwork
from tadaconv.operators_v2 import SelfCalibratedConv2d
from tadaconv.specs import NetworkSpec
from tadaconv.tadaformer import TAdaFormerSpec

Recipe = Callable[..., dict[str, Tensor]]

CONVNEXT = {
    version: ConvNeXtSpec(depths=(1, 2), widths=(16, 32), head_dim=4, version=version) for version in (1, 2)
}
TADAFORMER = {
    "k400": TAdaFormerSpec(width=32, depth=2, heads=4, patch_px=8, router_head_dim=4),
    "ssv2": TAdaFormerSpec(
        width=32,
        depth=2,
        heads=4,
        patch_px=8,
        router_head_dim=4,
        temporal_projection=True,
        two_tadas=True,
    ),
}


def filled(module: nn.Module, recipe: Recipe) -> nn.Module:
    """The module in evaluation mode and float64, in which no parameter is trivial."""
    shapes = {key: tuple(tensor.shape) for key, tensor in module.state_dict().items()}
    module.load_state_dict(recipe(shapes, seed="v2"))
    return module.double().eval()


def test_operator_gives_the_released_results(golden: Path) -> None:
    data = np.load(golden / "tadaconv2d_v2.npz")
    prefix = "dw/param/"
    conv = SelfCalibratedConv2d(32, kernel=3, ratio=2, router_kernels=(3, 3), head_dim=8).eval()
    conv.load_state_dict(
        {key.removeprefix(prefix): torch.as_tensor(data[key]) for key in data.files if key.startswith(prefix)}
    )
    x = torch.from_numpy(data["dw/x"])
    with torch.inference_mode():
        alpha, beta = conv.rf_func(x)
        y = conv(x)
    for got, name in ((alpha, "alpha_w"), (beta, "alpha_b"), (y, "y")):
        torch.testing.assert_close(got, torch.as_tensor(data[f"dw/{name}"]), atol=1e-5, rtol=0)


@pytest.mark.parametrize(("cal_dim", "groups"), [("cin", 1), ("cout", 1), ("cout", 4)])
def test_weight_and_bias_are_calibrated_per_frame(cal_dim: str, groups: int) -> None:
    conv = TAdaConv2dV2(8, 8, kernel_size=(1, 3, 3), padding=(0, 1, 1), groups=groups, cal_dim=cal_dim)
    conv = conv.double()
    x = torch.randn(2, 8, 3, 5, 6, dtype=torch.float64)
    alpha, beta = torch.randn(2, 2, 8, 3, 1, 1, dtype=torch.float64)
    y = conv(x, (alpha, beta))
    for b in range(2):
        for t in range(3):
            factors = alpha[b, :, t].view((1, 8, 1, 1) if cal_dim == "cin" else (8, 1, 1, 1))
            weight, bias = conv.weight[0, 0] * factors, conv.bias[0, 0] * beta[b, :, t].flatten()
            expected = F.conv2d(x[b, :, t], weight, bias, padding=1, groups=groups)
            torch.testing.assert_close(y[b, :, t], expected)


def test_router_starts_at_one_unless_told_otherwise() -> None:
    x = torch.randn(2, 16, 3, 4, 4)
    for factors in RouteFuncTransformer(16, 2, (3, 3), head_dim=4)(x):
        assert torch.equal(factors, torch.ones(2, 16, 3, 1, 1))
    free = RouteFuncTransformer(16, 2, (3, 3), head_dim=4, start_at_one=False)
    assert free(x)[0].abs().max() > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kernels": [3, 2], "head_dim": 4}, r"two odd temporal sizes, got \[3, 2\]"),
        ({"kernels": [3, 3], "head_dim": 3}, r"head_dim = 3 does not divide the c_in // ratio = 8 channels"),
    ],
)
def test_impossible_routers_are_refused(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RouteFuncTransformer(16, 2, **arguments)


def layer_norm(state: Mapping[str, Tensor], name: str, x: Tensor, axis: int, eps: float) -> Tensor:
    """Normalise one axis, biased variance."""
    shape = [-1 if a == axis % x.dim() else 1 for a in range(x.dim())]
    mean, var = x.mean(axis, keepdim=True), x.var(axis, keepdim=True, unbiased=False)
    normed = (x - mean) / (var + eps).sqrt()
    return normed * state[f"{name}.weight"].view(shape) + state[f"{name}.bias"].view(shape)


def average(x: Tensor) -> Tensor:
    return F.avg_pool3d(x, (3, 1, 1), stride=1, padding=(1, 0, 0))


def plain_convnext(network: nn.Module, spec: ConvNeXtSpec, clips: Tensor) -> Tensor:
    """Conv3d and einsum; the routers and TAdaConvs, tested by themselves, are those of the
    network."""
    state, x = network.state_dict(), clips
    for i, depth in enumerate(spec.depths):
        down = f"backbone.downsample_layers.{i}"
        conv, stride, padding = (0, (2, 4, 4), (1, 0, 0)) if i == 0 else (1, (1, 2, 2), (0, 0, 0))
        if i > 0:
            x = layer_norm(state, f"{down}.0", x, 1, 1e-6)
        x = F.conv3d(x, state[f"{down}.{conv}.weight"], state[f"{down}.{conv}.bias"], stride, padding)
        if i == 0:
            x = layer_norm(state, f"{down}.1", x, 1, 1e-6)
        for j in range(depth):
            name = f"backbone.stages.{i}.{j}"
            block = network.get_submodule(name)
            y = block.dwconv(x, block.dwconv_rf(x))
            z = layer_norm(state, f"{name}.norm", y, 1, 1e-6)
            if spec.version == 2:
                z = z + layer_norm(state, f"{name}.norm_avgpool", average(y), 1, 1e-6)
            z = torch.einsum("oc,bcthw->bothw", state[f"{name}.pwconv1.weight"], z)
            z = z + state[f"{name}.pwconv1.bias"].view(-1, 1, 1, 1)
            z = z * torch.sigmoid(1.702 * z) if spec.version == 2 else F.gelu(z)
            z = torch.einsum("oc,bcthw->bothw", state[f"{name}.pwconv2.weight"], z)
            z = z + state[f"{name}.pwconv2.bias"].view(-1, 1, 1, 1)
            x = x + z * state[f"{name}.gamma"].view(-1, 1, 1, 1)
    return layer_norm(state, "backbone.norm", x.mean((2, 3, 4)), 1, 1e-6)


@pytest.mark.parametrize("version", [1, 2])
def test_convnext_is_the_plain_one(version: int, recipe: Recipe) -> None:
    network = filled(CONVNEXT[version].build(5), recipe)
    clips = torch.randn(2, 3, 5, 32, 40, dtype=torch.float64)
    with torch.inference_mode():
        feats = network.forward_features(clips)
        torch.testing.assert_close(feats, plain_convnext(network, CONVNEXT[version], clips))
    assert feats.shape == (2, network.num_features)


def attention(state: Mapping[str, Tensor], name: str, x: Tensor, heads: int) -> Tensor:
    """Over axis 0 of L x N x D."""
    length, n, width = x.shape
    qkv = x @ state[f"{name}.in_proj_weight"].T + state[f"{name}.in_proj_bias"]
    q, k, v = (t.reshape(length, n, heads, width // heads) for t in qkv.chunk(3, -1))
    scores = torch.einsum("inhd,jnhd->nhij", q, k) * (width // heads) ** -0.5
    mixed = torch.einsum("nhij,jnhd->inhd", scores.softmax(-1), v).reshape(length, n, width)
    return mixed @ state[f"{name}.out_proj.weight"].T + state[f"{name}.out_proj.bias"]


def plain_tada(network: nn.Module, name: str, x: Tensor, n_clips: int) -> Tensor:
    """The TAdaConv block on tokens L x (B * T) x D; projections as convolutions of 3 frames or
    1."""
    state, side = network.state_dict(), round(x.shape[0] ** 0.5)
    maps = x.reshape(side, side, n_clips, -1, x.shape[-1]).permute(2, 4, 3, 0, 1)
    for step in ("tada_pre_proj", "tada_proj"):
        weight, bias = state[f"{name}.{step}.weight"], state[f"{name}.{step}.bias"]
        weight = weight if weight.dim() == 5 else weight[:, :, None, None, None]
        maps = F.conv3d(maps, weight, bias, padding=(weight.shape[2] // 2, 0, 0))
        if step == "tada_pre_proj":
            maps = network.get_submodule(f"{name}.tadaconv")(maps)
            maps = maps * torch.sigmoid(1.702 * maps)
    return maps.permute(3, 4, 0, 2, 1).reshape(x.shape)


def plain_tadaformer(network: nn.Module, spec: TAdaFormerSpec, clips: Tensor) -> Tensor:
    """In the order of axes of the released code, (tokens, clips * frames, channels)."""
    state, n_clips = network.state_dict(), len(clips)
    stride = (2, spec.patch_px, spec.patch_px)
    maps = F.conv3d(clips, state["backbone.conv1.weight"], None, stride, (1, 0, 0))  # B D T h w
    n_frames = maps.shape[2]
    x = maps.permute(3, 4, 0, 2, 1).flatten(0, 1).flatten(1, 2)  # L x (B * T) x D
    x = torch.cat([state["backbone.class_embedding"].expand(1, x.shape[1], -1), x])
    x = layer_norm(state, "backbone.ln_pre", x + state["backbone.positional_embedding"][:, None], -1, 1e-5)
    for i in range(spec.depth):
        name = f"backbone.layers.{i}"
        x = torch.cat([x[:1], x[1:] + plain_tada(network, f"{name}.tada", x[1:], n_clips)])
        x = x + attention(state, f"{name}.attn", layer_norm(state, f"{name}.ln_1", x, -1, 1e-5), spec.heads)
        if spec.two_tadas:
            x = torch.cat([x[:1], x[1:] + plain_tada(network, f"{name}.tada2", x[1:], n_clips)])
        h = layer_norm(state, f"{name}.ln_2", x, -1, 1e-5)
        h = h @ state[f"{name}.mlp.c_fc.weight"].T + state[f"{name}.mlp.c_fc.bias"]
        h = h * torch.sigmoid(1.702 * h)
        x = x + h @ state[f"{name}.mlp.c_proj.weight"].T + state[f"{name}.mlp.c_proj.bias"]
    return layer_norm(state, "backbone.ln_post", x[0].view(n_clips, n_frames, -1).mean(1), -1, 1e-5)


@pytest.mark.parametrize("kind", TADAFORMER)
def test_tadaformer_is_the_plain_one(kind: str, recipe: Recipe) -> None:
    network = filled(TADAFORMER[kind].build(5, input_size=(8, 24, 24)), recipe)
    clips = torch.randn(2, 3, 7, 24, 24, dtype=torch.float64)
    with torch.inference_mode():
        feats = network.forward_features(clips)
        torch.testing.assert_close(feats, plain_tadaformer(network, TADAFORMER[kind], clips))
    assert feats.shape == (2, 32)


SMALL: list[NetworkSpec] = [*CONVNEXT.values(), *TADAFORMER.values()]


@pytest.mark.parametrize("spec", SMALL, ids=["convnext", "convnextv2", "k400", "ssv2"])
def test_networks_train_and_take_single_frames(spec: NetworkSpec) -> None:
    network: VideoNetwork = spec.build({"verb": 3, "noun": 4}, input_size=(4, 32, 32))
    network(torch.randn(2, 3, 4, 32, 32))["verb"].sum().backward()
    first_layer = next(layer for layer in network.modules() if isinstance(layer, PatchConv))
    assert first_layer.weight.grad is not None
    folded = optimize_for_inference(network)
    assert folded(torch.randn(1, 3, 1, 32, 32))["noun"].shape == (1, 4)


def test_tadaformer_starts_as_the_image_transformer() -> None:
    """Its TAdaConv blocks add nothing before they are trained."""
    network = TADAFORMER["ssv2"].build(5, input_size=(8, 24, 24)).eval()
    clips = torch.randn(1, 3, 8, 24, 24)
    before = network.forward_features(clips)
    for name, parameter in network.named_parameters():
        if ".tadaconv." in name:
            nn.init.normal_(parameter)
    assert torch.equal(network.forward_features(clips), before)


def test_tadaformer_is_particular_about_the_size() -> None:
    spec = TADAFORMER["k400"]
    with pytest.raises(ValueError, match="a multiple of 8 pixels wide; input_size has 24 x 32"):
        spec.build(5, input_size=(8, 24, 32))
    with pytest.raises(ValueError, match="multiple of 16 pixels wide; input_size has 40 x 40"):
        create_model("tadaformer_b16", input_size=(8, 40, 40))
    with pytest.raises(ValueError, match=r"takes frames of 24 x 24 pixels, got clips \(1, 3, 4, 32, 32\)"):
        spec.build(5, input_size=(8, 24, 24))(torch.zeros(1, 3, 4, 32, 32))


def test_drop_path_drops_whole_clips_and_keeps_the_mean() -> None:
    drop, ones = DropPath(0.25), torch.ones(4000, 2, 3)
    dropped = drop(ones)
    assert dropped.unique().tolist() == pytest.approx([0, 4 / 3])
    assert torch.equal(dropped.amin((1, 2)), dropped.amax((1, 2)))
    assert dropped.mean().item() == pytest.approx(1, abs=0.05)
    assert torch.equal(drop.eval()(ones), ones)
