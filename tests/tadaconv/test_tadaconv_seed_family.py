"""ir-CSN, S3D-G, the small ResNets of MoSI, ViViT, its factorised encoder, TimeSformer: the
released results."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tadaconv import VideoNetwork, create_model, optimize_for_inference
from tadaconv.layers import ClipConv
from tadaconv.vivit import TimeSformerSpec

Recipe = Callable[..., dict[str, Tensor]]
EK100 = {"verb": 97, "noun": 300}
GOLDEN = {  # file: name, tolerance of the released code's own float32
    "csn": ("csn_r152", 2e-6),
    "s3dg": ("s3dg", 2e-6),
    "r2d3ds": ("r2d3d_18", 2e-6),
    "r2p1d": ("r2p1d_10", 2e-6),
    "vivit": ("vivit_b16", 1e-5),
    "vivit_fac_enc": ("vivit_fac_enc_b16", 1e-5),
    "vivit_fac_enc_ek100": ("vivit_fac_enc_b16", 1e-5),
    "timesformer": ("timesformer_b16", 1e-5),
}

ALSO_COVERED = {"vivit", "vivit_fac_enc_ek100"}
"""Their layers are those of the factorised encoder; drawing 100 million parameters takes
seconds."""


def relative_error(got: Tensor, expected: np.ndarray) -> float:
    return float((got.double() - torch.from_numpy(expected)).abs().max() / np.abs(expected).max())


def golden_model(recipe: Recipe, name: str, meta: dict[str, Any]) -> VideoNetwork:
    """The network with the recipe's parameters; made without memory first, since drawing weights
    takes long."""
    with torch.device("meta"):
        model = create_model(name, EK100 if meta["two_head"] else 400, tuple(meta["input_shape"][2:]))
    shapes = {key: tuple(tensor.shape) for key, tensor in model.state_dict().items()}
    model.load_state_dict(recipe(shapes, seed=meta["seed"]), assign=True)
    return model.eval()


@pytest.mark.parametrize("file", [*GOLDEN, "csn_ek100"])
def test_names_and_shapes_are_the_released_ones(golden_keys: dict[str, Any], file: str) -> None:
    name = GOLDEN[file.removesuffix("_ek100")][0]
    with torch.device("meta"):
        model = create_model(name, EK100 if file.endswith("_ek100") else 400)
    shapes = {key: list(tensor.shape) for key, tensor in model.state_dict().items()}
    assert shapes == golden_keys[file]["state"]
    assert sum(parameter.numel() for parameter in model.parameters()) == golden_keys[file]["params"]


@pytest.mark.parametrize(
    "file",
    [pytest.param(file, marks=pytest.mark.slow if file in ALSO_COVERED else ()) for file in GOLDEN],
)
def test_features_and_logits_are_the_released_ones(golden: Path, recipe: Recipe, file: str) -> None:
    name, tolerance = GOLDEN[file]
    data = np.load(golden / f"{file}.npz")
    meta = json.loads(str(data["meta"]))
    model, x = golden_model(recipe, name, meta), torch.from_numpy(data["x"])
    with torch.inference_mode():
        feats = model.forward_features(x)
        logits = model.head(feats)
        folded = optimize_for_inference(model).forward_features(x)
        cropped = model.forward_features(x[..., 8:56, 8:56]) if "feature64_crop48" in data else None
    assert relative_error(feats, data["feature64"]) < tolerance
    assert relative_error(folded, data["feature64"]) < 1e-5
    for task, values in (logits if meta["two_head"] else {"": logits}).items():
        assert relative_error(values, data[f"logit64/{task}".rstrip("/")]) < tolerance
    if cropped is not None:  # positions are interpolated
        assert relative_error(cropped, data["feature64_crop48"]) < tolerance


@pytest.mark.parametrize("name", ["csn_r152", "s3dg", "r2d3d_18", "r2p1d_10"])
def test_the_mean_of_the_feature_map_is_the_feature(name: str) -> None:
    model = create_model(name, 3).eval()
    maps: list[Tensor] = []
    model.feature_map().register_forward_hook(lambda module, inputs, output: maps.append(output))
    with torch.inference_mode():
        feats = model.forward_features(torch.randn(1, 3, 6, 33, 40))
    torch.testing.assert_close(maps[0].mean((2, 3, 4)), feats)


@pytest.mark.parametrize(
    ("name", "size", "shape", "message"),
    [
        (
            "vivit_b16",
            (4, 32, 32),
            (6, 32, 32),
            "takes clips of 4 x 32 x 32 .frames, pixels.*got 6 x 32 x 32",
        ),
        ("timesformer_b16", (4, 32, 32), (4, 32, 48), "takes clips of 4 x 32 x 32"),
        ("vivit_fac_enc_b16", (4, 32, 32), (6, 32, 32), "takes clips of 4 frames, frames in multiples of 16"),
        ("vivit_fac_enc_b16", (4, 32, 32), (4, 40, 40), "frames in multiples of 16 pixels; got 4 x 40 x 40"),
        ("s3dg", None, (4, 32, 32), "at least 5 frames of 17 x 17 pixels, got .4, 32, 32."),
    ],
)
def test_clips_of_other_sizes_are_refused(name: str, size: Any, shape: tuple[int, ...], message: str) -> None:
    with torch.device("meta"), pytest.raises(ValueError, match=message):
        create_model(name, 3, size)(torch.empty(1, 3, *shape))


def test_sizes_that_cannot_be_cut_into_patches_are_refused() -> None:
    with pytest.raises(ValueError, match=r"patches of 2 x 16 x 16 .* got 3 x 40 x 32"):
        create_model("vivit_b16", 3, (3, 40, 32))


@settings(max_examples=40, deadline=None)
@given(
    frames=st.integers(1, 9),
    kernel=st.sampled_from([(1, 1), (1, 3), (3, 1), (3, 3), (7, 1), (3, 7)]),
    stride=st.integers(1, 2),
    stride_frames=st.integers(1, 3),
    depthwise=st.booleans(),
    clips=st.integers(1, 2),
)
def test_strides_and_groups_as_conv3d(
    frames: int, kernel: tuple[int, int], stride: int, stride_frames: int, depthwise: bool, clips: int
) -> None:
    conv = ClipConv(
        4, 8, kernel, stride, bias=True, stride_frames=stride_frames, groups=4 if depthwise else 1
    )
    x = torch.randn(clips, 4, frames, 9, 11)
    padding = tuple(size // 2 for size in conv.kernel_size)
    expected = F.conv3d(x, conv.weight, conv.bias, conv.stride, padding, groups=conv.groups)
    torch.testing.assert_close(conv(x), expected, atol=1e-5, rtol=1e-4)


def test_drop_path_and_dropout_act_in_training_only() -> None:
    torch.manual_seed(0)
    spec = TimeSformerSpec(width=64, depth=2, heads=2, drop_path=0.5)
    model = spec.build(3, (2, 32, 32))
    clip = torch.randn(1, 3, 2, 32, 32)
    with torch.no_grad():
        assert not torch.equal(model(clip), model(clip))
        assert torch.equal(model.eval()(clip), model(clip))
