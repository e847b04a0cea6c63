"""TAdaConv2d, TAdaConv3d, RouteFuncMLP against the released modules and a slow plain version."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from tadaconv import RouteFuncMLP, TAdaConv2d, TAdaConv3d
from tadaconv.operators import CAL_DIMS


def assert_close(got: Tensor | None, expected: np.ndarray) -> None:
    """Within 1e-5; gradients of weights, sums that reach 100 in float32, within 2e-6 of their
    maximum."""
    assert got is not None
    tolerance = max(1e-5, 2e-6 * float(np.abs(expected).max()))
    torch.testing.assert_close(got.detach(), torch.as_tensor(expected), atol=tolerance, rtol=0)


def build(operator: type[nn.Module], meta: dict) -> nn.Module:
    names = {"cin": "in_channels", "cout": "out_channels", "kernel": "kernel_size"}
    return operator(**{names.get(key, key): value for key, value in meta.items()})


@pytest.mark.parametrize(
    ("file", "case"),
    [
        ("tadaconv2d", "cin_s1"),
        ("tadaconv2d", "cin_s2"),
        ("tadaconv2d", "cin_bias"),
        ("tadaconv2d", "cout_s1"),
        ("tadaconv2d", "cout_g4_bias_s2"),  # odd height and width
        ("tadaconv3d", "cin_k333"),
        ("tadaconv3d", "cin_k311"),
        ("tadaconv3d", "cout_k333_s2"),
    ],
)
def test_operator_gives_the_released_results_and_gradients(golden: Path, file: str, case: str) -> None:
    data = {
        key.removeprefix(f"{case}/"): value
        for key, value in np.load(golden / f"{file}.npz").items()
        if key.startswith(f"{case}/")
    }
    conv = build(TAdaConv2d if file == "tadaconv2d" else TAdaConv3d, json.loads(str(data["meta"])))
    parameters = {name: torch.from_numpy(data[name]) for name in ("weight", "bias") if name in data}
    conv.load_state_dict(parameters)
    x = torch.from_numpy(data["x"]).requires_grad_()
    alpha = torch.from_numpy(data["alpha"]).requires_grad_()

    y = conv(x, alpha)
    y.backward(torch.from_numpy(data["grad_y"]))

    assert_close(y, data["y"])
    assert_close(x.grad, data["dx"])
    assert_close(alpha.grad, data["dalpha"])
    for name in parameters:
        assert_close(conv.get_parameter(name).grad, data[f"d{name}"])


def factors(conv: nn.Module, alpha: Tensor, o: int, seen: slice) -> Tensor:
    """What calibrates the kernel of output channel o, which sees these input channels, in one
    frame."""
    if conv.cal_dim == "k2":
        return alpha.reshape(1, *conv.kernel_size)
    if conv.cal_dim == "cout":
        return alpha[o]
    inputs = alpha[seen].reshape(-1, 1, 1, 1)
    return inputs if conv.cal_dim == "cin" else inputs * alpha[conv.in_channels + o]


def one_kernel_per_frame(x: Tensor, alpha: Tensor, conv: nn.Module) -> Tensor:
    """The definition: every frame's window convolved with its own calibrated kernel, one at a
    time."""
    weight = conv.weight[0, 0] if conv.weight.dim() == 7 else conv.weight[0, 0].unsqueeze(2)
    kernel_t, groups, cin = weight.shape[2], conv.groups, weight.shape[1]
    padded = F.pad(x, (0, 0, 0, 0, kernel_t // 2, kernel_t // 2))
    clips = []
    for b in range(x.shape[0]):
        frames = []
        for t in range(x.shape[2]):
            kernel = weight.clone()
            for o in range(weight.shape[0]):
                first = o // (weight.shape[0] // groups) * cin  # the input channels that output o sees
                kernel[o] = weight[o] * factors(conv, alpha[b, :, t].flatten(), o, slice(first, first + cin))
            frame = F.conv3d(
                padded[b : b + 1, :, t : t + kernel_t],
                kernel,
                stride=conv.stride,
                padding=(0, *conv.padding[1:]),
                dilation=conv.dilation,
                groups=groups,
            )
            frames.append(frame)
        clips.append(torch.cat(frames, dim=2))
    y = torch.cat(clips)
    return y if conv.bias is None else y + conv.bias.view(-1, 1, 1, 1)


@pytest.mark.parametrize("cal_dim", CAL_DIMS)
@pytest.mark.parametrize(
    ("operator", "arguments", "shape"),
    [
        (TAdaConv2d, {"kernel_size": [1, 3, 3], "padding": [0, 1, 1]}, (2, 4, 1, 5, 7)),  # one frame
        (TAdaConv2d, {"kernel_size": [1, 5, 1], "padding": [0, 2, 0]}, (1, 4, 3, 6, 5)),
        (TAdaConv2d, {"kernel_size": [1, 3, 3], "dilation": [1, 2, 2], "groups": 2}, (2, 4, 2, 7, 7)),
        (TAdaConv2d, {"kernel_size": 1, "stride": [1, 2, 2]}, (1, 4, 2, 5, 5)),
        (
            TAdaConv3d,
            {"kernel_size": 3, "padding": 1, "groups": 2},
            (2, 4, 2, 5, 4),
        ),  # fewer frames than taps
        (TAdaConv3d, {"kernel_size": [5, 1, 1], "padding": [2, 0, 0]}, (1, 4, 4, 3, 3)),
    ],
)
def test_operator_is_one_kernel_per_frame(
    operator: type, arguments: dict, shape: tuple, cal_dim: str
) -> None:
    conv = operator(4, 6, cal_dim=cal_dim, **arguments).double()
    x = torch.randn(shape, dtype=torch.float64)
    alpha = torch.randn(shape[0], conv.num_factors, shape[2], 1, 1, dtype=torch.float64)
    torch.testing.assert_close(conv(x, alpha), one_kernel_per_frame(x, alpha, conv))


@settings(max_examples=25, deadline=None)
@given(
    cal_dim=st.sampled_from(CAL_DIMS),
    kernel=st.tuples(st.sampled_from([1, 3]), st.integers(1, 4), st.integers(1, 3)),
    stride=st.integers(1, 3),
    dilation=st.integers(1, 2),
    padding=st.integers(0, 2),
    groups=st.sampled_from([1, 2]),
    channels=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    shape=st.tuples(st.integers(1, 2), st.integers(1, 4), st.integers(7, 9), st.integers(5, 8)),
    bias=st.booleans(),
)
def test_operator_is_one_kernel_per_frame_whatever_its_arguments(
    cal_dim: str,
    kernel: tuple[int, int, int],
    stride: int,
    dilation: int,
    padding: int,
    groups: int,
    channels: tuple[int, int],
    shape: tuple[int, int, int, int],
    bias: bool,
) -> None:
    operator = TAdaConv2d if kernel[0] == 1 else TAdaConv3d
    conv = operator(
        channels[0] * groups,
        channels[1] * groups,
        kernel_size=kernel,
        stride=(1, stride, stride),
        padding=(kernel[0] // 2, padding, padding),
        dilation=(1, dilation, dilation),
        groups=groups,
        bias=bias,
        cal_dim=cal_dim,
    ).double()
    n_clips, n_frames, height, width = shape
    x = torch.randn(n_clips, conv.in_channels, n_frames, height, width, dtype=torch.float64)
    alpha = torch.randn(n_clips, conv.num_factors, n_frames, 1, 1, dtype=torch.float64)
    torch.testing.assert_close(conv(x, alpha), one_kernel_per_frame(x, alpha, conv))


def test_readme_snippet_of_the_paper() -> None:
    conv_rf = RouteFuncMLP(c_in=64, ratio=4, kernels=[3, 3])
    conv = TAdaConv2d(
        in_channels=64,
        out_channels=64,
        kernel_size=[1, 3, 3],
        stride=[1, 1, 1],
        padding=[0, 1, 1],
        bias=False,
        cal_dim="cin",
    )
    x = torch.randn(2, 64, 4, 6, 6)
    alpha = conv_rf(x)
    assert torch.equal(alpha, torch.ones(2, 64, 4, 1, 1))  # before training it calibrates nothing
    plain = F.conv3d(x, conv.weight[0, 0].unsqueeze(2), padding=(0, 1, 1))
    torch.testing.assert_close(conv(x, alpha), plain, atol=1e-6, rtol=1e-5)


def test_initial_weights_have_the_released_bound() -> None:
    conv = TAdaConv2d(32, 48, kernel_size=[1, 3, 3], padding=[0, 1, 1])
    bound = (48 * 32 * 3 * 3) ** -0.5
    assert conv.weight.shape == (1, 1, 48, 32, 3, 3)
    assert conv.bias.shape == (1, 1, 48)
    assert 0.99 * bound < conv.weight.abs().max() <= bound
    assert conv.bias.abs().max() <= bound


@pytest.mark.parametrize(
    ("operator", "arguments", "message"),
    [
        (
            TAdaConv2d,
            {"kernel_size": 3, "padding": 1},
            r"kernel must be 1 and the padding 0, got .*\(3, 3, 3\)",
        ),
        (TAdaConv2d, {"kernel_size": [1, 3, 3], "padding": 1}, "kernel must be 1 and the padding 0"),
        (TAdaConv2d, {"kernel_size": [1, 3, 3], "stride": 2}, "stride and dilation must be 1"),
        (TAdaConv2d, {"kernel_size": [3, 3]}, "kernel_size must be one int or three"),
        (TAdaConv2d, {"kernel_size": 1, "groups": 3}, "groups = 3 must divide in_channels = 4"),
        (TAdaConv2d, {"kernel_size": 1, "cal_dim": "both"}, "cin, cout, cin_cout, k2, got 'both'"),
        (TAdaConv3d, {"kernel_size": [3, 1, 1]}, "odd and the padding half of it"),
        (TAdaConv3d, {"kernel_size": [2, 1, 1], "padding": [1, 0, 0]}, "odd and the padding half of it"),
    ],
)
def test_impossible_arguments_are_refused(operator: type, arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        operator(4, 6, **arguments)


def test_alpha_of_the_wrong_side_is_refused() -> None:
    conv = TAdaConv2d(4, 6, kernel_size=1, cal_dim="cout")
    expected = r"cal_dim = 'cout', alpha must have shape \(2, 6, 3, 1, 1\) .*output.* got \(2, 4, 3, 1, 1\)"
    with pytest.raises(ValueError, match=expected):
        conv(torch.zeros(2, 4, 3, 5, 5), torch.ones(2, 4, 3, 1, 1))


@pytest.mark.parametrize(("case", "ratio", "kernels"), [("c64r4k33", 4, [3, 3]), ("c16r2k31", 2, [3, 1])])
def test_router_gives_the_released_results_and_gradients(
    golden: Path, case: str, ratio: int, kernels: list[int]
) -> None:
    data = np.load(golden / "route_func_mlp.npz")
    prefix = f"{case}/param/"
    state = {
        key.removeprefix(prefix): torch.as_tensor(data[key]) for key in data.files if key.startswith(prefix)
    }
    x = torch.from_numpy(data[f"{case}/x"]).requires_grad_()
    router = RouteFuncMLP(x.shape[1], ratio, kernels)
    router.load_state_dict(state)

    assert_close(router.eval()(x), data[f"{case}/alpha_eval"])
    alpha = router.train()(x)
    alpha.backward(torch.from_numpy(data[f"{case}/grad_alpha"]))

    assert_close(alpha, data[f"{case}/alpha_train"])
    assert_close(x.grad, data[f"{case}/dx_train"])
    for name, parameter in router.named_parameters():
        assert_close(parameter.grad, data[f"{case}/dparam_train/{name}"])
    assert_close(router.bn.running_mean, data[f"{case}/bn_running_mean_after"])
    assert_close(router.bn.running_var, data[f"{case}/bn_running_var_after"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"c_in": 8, "ratio": 4, "kernels": [3, 2]}, r"two odd temporal sizes, got \[3, 2\]"),
        ({"c_in": 2, "ratio": 4, "kernels": [3, 3]}, "c_in = 2 leaves no channel at ratio = 4"),
        (
            {"c_in": 8, "ratio": 4, "kernels": [3, 3], "share": 0},
            "share must be above 0 and at most 1, got 0",
        ),
    ],
)
def test_router_refuses_impossible_arguments(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RouteFuncMLP(**arguments)


def plain_router(router: RouteFuncMLP, x: Tensor) -> Tensor:
    """The router in evaluation mode, layer by layer as Conv3d would do it."""

    def conv(h: Tensor, layer: nn.Conv3d) -> Tensor:
        return F.conv3d(h, layer.weight, layer.bias, padding=(layer.weight.shape[2] // 2, 0, 0))

    h = x.mean((3, 4), keepdim=True)
    if router.g is not None:
        h = h + conv(x.mean((2, 3, 4), keepdim=True), router.g)
    h = conv(h, router.a)[:, :, :, 0, 0]
    if router.bn is not None:
        bn = router.bn
        h = F.relu(F.batch_norm(h, bn.running_mean, bn.running_var, bn.weight, bn.bias, eps=bn.eps))
    return conv(h[..., None, None], router.b) + 1


@pytest.mark.parametrize("kernels", [(1, 1), (3, 1), (1, 3), (3, 3)])
@pytest.mark.parametrize("nonlinear", [True, False])
@pytest.mark.parametrize("global_context", [True, False])
def test_router_of_the_ablations(kernels: tuple[int, int], nonlinear: bool, global_context: bool) -> None:
    router = RouteFuncMLP(8, 2, kernels, nonlinear=nonlinear, global_context=global_context).double().eval()
    x = torch.randn(2, 8, 5, 3, 4, dtype=torch.float64)
    assert torch.equal(router(x), torch.ones(2, 8, 5, 1, 1, dtype=torch.float64))
    nn.init.normal_(router.b.weight)
    torch.testing.assert_close(router(x), plain_router(router, x))
    names = {name.split(".")[0] for name in router.state_dict()}
    assert names == {"a", "b"} | ({"bn"} if nonlinear else set()) | ({"g"} if global_context else set())


def test_router_calibrates_a_share_of_the_channels() -> None:
    router = RouteFuncMLP(16, 4, (3, 3), c_out=10, share=0.3)
    nn.init.normal_(router.b.weight)
    alpha = router(torch.randn(2, 16, 4, 3, 3))
    assert alpha.shape == (2, 10, 4, 1, 1)
    assert (alpha[:, :3] != 1).any(2).all()
    assert (alpha[:, 3:] == 1).all()
