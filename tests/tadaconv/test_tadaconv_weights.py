"""load_weights, its report and its errors; weights_sha256."""

from __future__ import annotations

import argparse
import json
import pickle
import sys
import zipfile
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tadaconv import create_model, load_weights, weights_sha256
from tadaconv.torchvision_names import from_torchvision


def random_state(name: str = "tada2d_mini", num_classes: Any = 10) -> dict[str, Tensor]:
    """Weights in which no tensor is that of a fresh network."""
    state = create_model(name, num_classes).state_dict()
    return {key: torch.rand(tensor.shape) for key, tensor in state.items()}


def assert_loaded(model: torch.nn.Module, state: dict[str, Tensor]) -> None:
    loaded = model.state_dict()
    for key in state:
        assert torch.equal(loaded[key], state[key].reshape(loaded[key].shape).to(loaded[key].dtype)), key


def test_own_files_load(tmp_path: Path) -> None:
    state = random_state()
    for content in (state, {"model": state, "step": 7}):
        torch.save(content, tmp_path / "weights.pt")
        model = create_model("tada2d_mini", 10)
        report = load_weights(model, tmp_path / "weights.pt")
        assert_loaded(model, state)
        assert set(report.matched) == set(state)
        assert (report.reshaped, report.missing, report.unexpected) == ((), (), ())


def test_released_checkpoint_loads_with_or_without_moving_average(tmp_path: Path) -> None:
    state, ema = random_state(), random_state()
    checkpoint = {
        "epoch": 3,
        "model_state": state,
        "model_ema_state": {f"module.{key}": tensor for key, tensor in ema.items()},
        "optimizer_state": {"param_groups": [{"lr": 0.1}]},
        "cfg": "{}",
    }
    torch.save(checkpoint, tmp_path / "checkpoint_epoch_00003.pyth")
    for use_ema, expected in ((False, state), (True, ema)):
        model = create_model("tada2d_mini", 10)
        load_weights(model, str(tmp_path / "checkpoint_epoch_00003.pyth"), use_ema=use_ema)
        assert_loaded(model, expected)


def test_names_of_torchvision_follow_the_golden_map(golden: Path) -> None:
    renaming = json.loads((golden / "resnet50_to_tada2d.json").read_text())["map"]
    assert {key: from_torchvision(key) for key in renaming} == {
        key: to["key"] for key, to in renaming.items()
    }


def test_torchvision_weights_go_into_tada2d(golden: Path) -> None:
    content = json.loads((golden / "resnet50_to_tada2d.json").read_text())
    state = {key: torch.rand(to["src_shape"]) for key, to in content["map"].items()}
    classifier = {"fc.weight": torch.rand(1000, 2048), "fc.bias": torch.rand(1000)}
    model = create_model("tada2d_r50", 10)

    with pytest.raises(ValueError, match="drop_mismatched_head=True keeps the model's own"):
        load_weights(model, {**state, **classifier})
    report = load_weights(model, {**state, **classifier}, drop_mismatched_head=True)

    assert_loaded(model, {to["key"]: state[key] for key, to in content["map"].items()})
    assert set(report.missing) == set(content["not_in_imagenet"])
    assert set(report.unexpected) == set(classifier)
    assert "backbone.conv2.res_1.conv_branch.b.weight" in report.reshaped


def image_resnet50(golden: Path) -> dict[str, Tensor]:
    """A state dict as torchvision's, without its classifier."""
    content = json.loads((golden / "resnet50_to_tada2d.json").read_text())
    return {key: torch.rand(to["src_shape"]) for key, to in content["map"].items()}


def test_image_weights_are_inflated_for_r3d(golden: Path) -> None:
    state, model = image_resnet50(golden), create_model("r3d_r50", 10)
    report = load_weights(model, state, drop_mismatched_head=True)
    got = model.state_dict()
    for ours, theirs in (
        ("backbone.conv1.a.weight", "conv1.weight"),
        ("backbone.conv3.res_2.conv_branch.b.weight", "layer2.1.conv2.weight"),
    ):
        assert ours in report.inflated
        assert got[ours].shape[2] == 3
        for frame in got[ours].unbind(2):  # summed over time, a still image sees the image network
            torch.testing.assert_close(3 * frame, state[theirs])
    assert len(report.inflated) == 17
    assert set(report.missing) == {"head.out.weight", "head.out.bias"} | {
        key for key in got if "num_batches" in key
    }
    assert "repeated over the frames of the kernel and divided: 17 (" in str(report)


@pytest.mark.parametrize("name", ["r2p1d_r50", "r2p1d_r50_tada_2d1d"])
def test_image_weights_go_into_the_spatial_convolutions_of_r2p1d(golden: Path, name: str) -> None:
    state, model = image_resnet50(golden), create_model(name, 10)
    report = load_weights(model, state, drop_mismatched_head=True)
    got = model.state_dict()
    for ours, theirs in (("b1.weight", "conv2.weight"), ("b1_bn.running_mean", "bn2.running_mean")):
        loaded = got[f"backbone.conv4.res_3.conv_branch.{ours}"]
        assert torch.equal(loaded.flatten(), state[f"layer3.2.{theirs}"].flatten())
    assert "backbone.conv4.res_3.conv_branch.b2.weight" in report.missing  # said, not silent
    assert not report.inflated


def test_a_checkpoint_without_temporal_convolutions_is_refused_by_r2p1d() -> None:
    state = {
        key: tensor for key, tensor in create_model("r2p1d_r50", 10).state_dict().items() if ".b2." not in key
    }
    with pytest.raises(ValueError, match=r"not in the file: 16 \(.*b2\.weight"):
        load_weights(create_model("r2p1d_r50", 10), state)


def test_tada_with_three_frames_takes_inflated_weights(golden: Path) -> None:
    state, model = image_resnet50(golden), create_model("r3d_r50_tada", 10)
    load_weights(model, state, drop_mismatched_head=True)
    weight = model.get_parameter("backbone.conv3.res_2.conv_branch.b.weight")
    assert weight.shape == (1, 1, 128, 128, 3, 3, 3)
    torch.testing.assert_close(weight[0, 0].sum(2), state["layer2.1.conv2.weight"])


def test_safetensors_files_load_where_the_package_is_installed(tmp_path: Path) -> None:
    safetensors = pytest.importorskip("safetensors.torch")
    state = random_state()
    safetensors.save_file(state, tmp_path / "model.safetensors")
    model = create_model("tada2d_mini", 10)
    load_weights(model, tmp_path / "model.safetensors")
    assert_loaded(model, state)
    (tmp_path / "text.safetensors").write_text("not weights")
    with pytest.raises(ValueError, match=r"text\.safetensors: cannot be read as a \.safetensors file"):
        load_weights(model, tmp_path / "text.safetensors")


def test_safetensors_files_ask_for_the_package_where_it_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "safetensors", None)
    (tmp_path / "model.safetensors").touch()
    with pytest.raises(ValueError, match=r"model\.safetensors: to read this file, install safetensors"):
        load_weights(create_model("r2d_mini", 10), tmp_path / "model.safetensors")


def test_r2d_weights_make_tada2d_equal_to_r2d() -> None:
    r2d, tada = create_model("r2d_mini", 10), create_model("tada2d_mini", 10)
    load_weights(r2d, random_state("r2d_mini"))
    report = load_weights(tada, r2d.state_dict())
    clips = torch.randn(1, 3, 4, 32, 32)
    with torch.inference_mode():
        torch.testing.assert_close(tada.eval()(clips), r2d.eval()(clips))
    assert all(".b_rf." in key or ".b_avgpool_bn." in key for key in report.missing)
    assert len(report.reshaped) == 6  # one 3x3 kernel a block
    assert "not in the file, kept as they were: " in str(report)


@pytest.mark.parametrize("num_classes", [7, {"verb": 3, "noun": 4}])
def test_head_for_other_classes_is_left_out_on_request_only(num_classes: Any) -> None:
    state = random_state(num_classes=num_classes)
    model = create_model("tada2d_mini", 10)
    own_head = model.head.out.weight.clone()
    with pytest.raises(ValueError, match=r"does not fit the network; .*head\..*drop_mismatched_head=True"):
        load_weights(model, state)
    report = load_weights(model, state, drop_mismatched_head=True)
    assert torch.equal(model.head.out.weight, own_head)
    assert set(report.missing) == {"head.out.weight", "head.out.bias"}
    assert set(report.unexpected) == {key for key in state if key.startswith("head.")}
    assert "in the file, not used: " in str(report)


def test_fitting_head_is_loaded_even_if_it_might_be_left_out() -> None:
    state = random_state()
    model = create_model("tada2d_mini", 10)
    load_weights(model, state, drop_mismatched_head=True)
    assert_loaded(model, state)


def without(state: dict[str, Tensor], part: str) -> dict[str, Tensor]:
    return {key: tensor for key, tensor in state.items() if part not in key}


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({}, "expected tensors by name"),
        ({"epoch": 3}, r"expected tensors by name.*found 1 \(epoch\)"),
        (
            {"layer.weight": torch.zeros(3)},
            r"no tensor in it belongs to this network; it holds 1 \(layer.weight\)",
        ),
        (without(random_state(), "conv3"), r"not in the file: \d+ \(backbone.conv3.res_1.*another network\?"),
        (
            random_state("tada2d_r50"),
            r"other shapes: \d+ \(backbone.conv1.a.weight \[64, 3, 1, 7, 7\] \(the network",
        ),
    ],
    ids=["empty", "no tensors", "nothing fits", "a stage is missing", "larger network"],
)
def test_weights_that_do_not_fit_are_refused(state: dict[str, Any], message: str) -> None:
    model = create_model("tada2d_mini", 10)
    before = weights_sha256(model.state_dict())
    with pytest.raises(ValueError, match=message):
        load_weights(model, state)
    assert weights_sha256(model.state_dict()) == before


def test_tada2d_weights_are_refused_by_r2d() -> None:
    with pytest.raises(ValueError, match=r"unknown to the network: \d+ \(.*b_rf.*another network\?"):
        load_weights(create_model("r2d_mini", 10), random_state("tada2d_mini"))


def test_unreadable_files_are_named(tmp_path: Path) -> None:
    model = create_model("r2d_mini", 10)
    with pytest.raises(FileNotFoundError, match=r"none\.pyth: there is no such weights file"):
        load_weights(model, tmp_path / "none.pyth")
    (tmp_path / "text.pyth").write_text("not weights")
    with pytest.raises(ValueError, match=r"text\.pyth: cannot be read as a file of weights"):
        load_weights(model, tmp_path / "text.pyth")
    torch.save([1, 2], tmp_path / "list.pyth")
    with pytest.raises(ValueError, match=r"list\.pyth: expected a state dict or a checkpoint, found a list"):
        load_weights(model, tmp_path / "list.pyth")
    with pytest.raises(ValueError, match=r'has no "model_ema_state"'):
        load_weights(model, random_state("r2d_mini"), use_ema=True)


def test_fingerprint_depends_on_content_only() -> None:
    state = {"a": torch.randn(2, 3, 4, 5), "b": torch.tensor(3), "c": torch.ones(3, dtype=torch.bfloat16)}
    fingerprint = weights_sha256(state)
    assert len(fingerprint) == 64
    assert weights_sha256({key: state[key] for key in "cba"}) == fingerprint
    assert weights_sha256({**state, "a": state["a"].to(memory_format=torch.channels_last)}) == fingerprint
    for change in (
        {"a": state["a"] + 1e-6},
        {"a": state["a"].reshape(3, 2, 4, 5)},
        {"a": state["a"].double()},
        {"d": torch.zeros(1)},
    ):
        assert weights_sha256({**state, **change}) != fingerprint


def test_only_time_is_inflated() -> None:
    """A depthwise kernel lacks the axis of the input channels; that is another network's."""
    state = create_model("tada2d_mini", 10).state_dict()
    key = "backbone.conv2.res_1.conv_branch.b.weight"
    with pytest.raises(ValueError, match=r"other shapes: 1 \(backbone.conv2.res_1.conv_branch.b.weight"):
        load_weights(create_model("tada2d_mini", 10), {**state, key: state[key][:, :, :, :1]})


@pytest.mark.parametrize(
    ("content", "entry", "prefix"),
    [
        (lambda state: state, "", ""),
        (lambda state: {f"module.{key}": value for key, value in state.items()}, "", "module."),
        (lambda state: {f"_orig_mod.{key}": value for key, value in state.items()}, "", "_orig_mod."),
        (
            lambda state: {"state_dict": {f"module.model.{key}": value for key, value in state.items()}},
            "state_dict",
            "module.model.",
        ),
        (lambda state: {"model_state_dict": state, "epoch": 3}, "model_state_dict", ""),
        (lambda state: {"state_dict_ema": state, "optimizer": {}}, "state_dict_ema", ""),
    ],
)
def test_wrappings_of_other_trainings_are_taken_off_and_reported(
    content: Any, entry: str, prefix: str
) -> None:
    state, model = random_state(), create_model("tada2d_mini", 10)
    report = load_weights(model, content(state))
    assert_loaded(model, state)
    assert (report.entry, report.prefix) == (entry, prefix)
    assert (f"taken from the entry {entry}" in str(report)) == bool(entry)
    assert (f"without the prefix {prefix}" in str(report)) == bool(prefix)


def test_settings_and_numbers_beside_the_tensors_are_skipped(tmp_path: Path) -> None:
    state, model = random_state(), create_model("tada2d_mini", 10)
    beside = {"args": argparse.Namespace(rate=0.1, out=PurePosixPath("/x")), "best": np.float64(0.7)}
    torch.save({"model": state, **beside}, tmp_path / "checkpoint.pth")
    load_weights(model, tmp_path / "checkpoint.pth")
    assert_loaded(model, state)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused_by_name(value: float) -> None:
    state, model = random_state(), create_model("tada2d_mini", 10)
    before = weights_sha256(model.state_dict())
    key = "backbone.conv3.res_1.conv_branch.b_bn.running_var"
    state[key][0] = value
    with pytest.raises(ValueError, match=rf"not finite \(nan or infinity\): 1 \({key}\)"):
        load_weights(model, state)
    assert weights_sha256(model.state_dict()) == before


def _zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "weights are in weights.pt")


def _cut(path: Path) -> None:
    torch.save(random_state("r2d_mini"), path)
    path.write_bytes(path.read_bytes()[:20000])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.write_bytes(b""), "it is empty"),
        (lambda path: path.write_text("<!DOCTYPE html>\n<html>Sign in</html>"), "it is an HTML page"),
        (lambda path: path.write_text("version https://git-lfs.github.com/spec/v1\noid"), "Git LFS pointer"),
        (lambda path: path.write_bytes(pickle.dumps({"a": 1})), "it is a plain pickle"),
        (lambda path: path.write_text("a,b\n1,2\n"), r"it is a table \(CSV\), beginning 'a,b'"),
        (lambda path: path.write_text('{"a": 1}'), "it is JSON"),
        (_zip, r"a zip archive without tensors \(1 members: readme.txt\)"),
        (_cut, "it is cut off"),
        (lambda path: path.write_bytes(b"\x93NUMPY\x01\x00v\x00{"), "it is a NumPy array"),
        (lambda path: path.write_bytes(b"\x01\xff\x00\xfe" * 9), "it may be damaged: download it again"),
        (
            lambda path: torch.save(create_model("r2d_mini", 3), path),
            "object of the class tadaconv.resnet.ResNet",
        ),
    ],
    ids=["empty", "html", "lfs", "pickle", "csv", "json", "zip", "cut", "npy", "noise", "whole module"],
)
def test_files_that_are_no_weights_are_called_what_they_are(tmp_path: Path, make: Any, message: str) -> None:
    make(tmp_path / "file.pth")
    with pytest.raises(ValueError, match=message) as caught:
        load_weights(create_model("r2d_mini", 3), tmp_path / "file.pth")
    assert "weights_only" not in str(caught.value)
    assert caught.value.__cause__ is None
