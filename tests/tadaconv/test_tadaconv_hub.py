"""Networks of others: features equal their own library's forward, and folders that do not fit."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch

from tadaconv import create_model, optimize_for_inference
from tadaconv.hub.folder import model_folder
from tadaconv.hub.video import pixel_statistics
from tadaconv.inputs import NetworkInput
from tests.hub_folders import MEAN, STD, save_image_network, save_preprocessing, save_video_network


@pytest.mark.parametrize("kind", ["videomae", "vjepa2", "vivit", "timesformer"])
def test_features_are_those_of_transformers(kind: str, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    theirs = save_video_network(tmp_path, kind, transformers)
    ours = create_model(f"hf:{tmp_path}", num_classes=3).eval()
    clips = torch.randn(2, 3, 4, 32, 32)
    with torch.no_grad():
        if kind == "vjepa2":
            expected = theirs.get_vision_features(clips.transpose(1, 2)).mean(1)
        else:
            tokens = theirs(pixel_values=clips.transpose(1, 2)).last_hidden_state
            expected = tokens.mean(1) if kind == "videomae" else tokens[:, 0]
        torch.testing.assert_close(ours.forward_features(clips), expected, atol=1e-5, rtol=0)
        folded = optimize_for_inference(ours).forward_features(clips)
    torch.testing.assert_close(folded, expected, atol=1e-5, rtol=0)
    assert (ours.num_features, ours.weights) == (expected.shape[1], f"hf:{tmp_path}")
    assert (ours.input.clip, ours.input.mean, ours.input.std) == ((4, 32, 32), MEAN, STD)
    assert ours(clips).shape == (2, 3)


def test_the_size_of_a_folder_is_the_only_one(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    save_video_network(tmp_path, "videomae", transformers)
    assert create_model(f"hf:{tmp_path}", input_size=(4, 32, 32)).input.clip == (4, 32, 32)
    with pytest.raises(ValueError, match=r"takes clips of 4x32x32 \(frames x pixels\) only, not of 8x32x32"):
        create_model(f"hf:{tmp_path}", input_size=(8, 32, 32))


def test_missing_weights_are_refused(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    from safetensors.torch import load_file, save_file

    save_video_network(tmp_path, "videomae", transformers)
    state = load_file(tmp_path / "model.safetensors")
    del state["encoder.layer.0.attention.output.dense.weight"]
    save_file(state, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ValueError, match="1 weights are missing, the first: encoder"):
        create_model(f"hf:{tmp_path}")


def test_image_features_are_averaged_over_the_clip(tmp_path: Path) -> None:
    timm = pytest.importorskip("timm")
    theirs = save_image_network(tmp_path / "net", timm)
    clips = torch.randn(2, 3, 5, 32, 32)
    with torch.no_grad():
        frames = torch.stack([theirs(clips[:, :, t]) for t in range(5)], dim=1)
        ours = create_model(f"timm:{tmp_path}/net").eval()
        torch.testing.assert_close(ours.forward_features(clips), frames.mean(1), atol=1e-5, rtol=0)
        both = create_model(f"timm-diff:{tmp_path}/net").eval()
        expected = torch.cat([frames.mean(1), frames.diff(dim=1).mean(1)], dim=1)
        torch.testing.assert_close(both.forward_features(clips), expected, atol=1e-5, rtol=0)
        assert both.forward_features(clips[:, :, :1])[:, both.num_features // 2 :].abs().max() == 0
    assert (ours.input.mean, ours.input.std, ours.input.fixed_size) == (MEAN, STD, False)


def test_pixels_of_a_preprocessor_with_an_offset(tmp_path: Path) -> None:
    """ViViT's: pixels are brought to -1 .. 1, and normalised then."""
    save_preprocessing(tmp_path, rescale_factor=1 / 127.5, offset=True)
    mean, std = pixel_statistics(tmp_path)
    clip = torch.rand(3, 1, 2, 2)
    expected = (clip * 255 / 127.5 - 1 - torch.tensor(MEAN).view(3, 1, 1, 1)) / torch.tensor(STD).view(
        3, 1, 1, 1
    )
    torch.testing.assert_close(NetworkInput(mean=mean, std=std).normalise(clip), expected)


def folder_of(tmp_path: Path, config: dict[str, object]) -> Path:
    """A folder whose weights are never read."""
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "model.safetensors").write_bytes(b"")
    return tmp_path


def test_folders_that_are_no_network_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"holds no config\.json"):
        model_folder(str(tmp_path))
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(ValueError, match=r"holds no \*\.safetensors; no other kind of weights is read"):
        create_model(f"hf:{tmp_path}")
    folder_of(tmp_path, {"model_type": "bert"})
    with pytest.raises(
        ValueError, match="expected a network of videomae, vjepa2, vivit, timesformer, found 'bert'"
    ):
        create_model(f"hf:{tmp_path}")
    folder_of(tmp_path, {"model_type": "videomae", "num_frames": 16, "image_size": 224})
    with pytest.raises(ValueError, match=r"no preprocessor_config\.json, so that mean and deviation"):
        create_model(f"hf:{tmp_path}")
    with pytest.raises(ValueError, match="expected pretrained_cfg with input_size, mean and std"):
        create_model(f"timm:{tmp_path}")


def test_without_the_extra_its_command_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("transformers", "timm", "huggingface_hub"):
        monkeypatch.setitem(sys.modules, name, None)
    save_preprocessing(folder_of(tmp_path, {"model_type": "videomae", "num_frames": 16, "image_size": 224}))
    with pytest.raises(ValueError, match=r"needs the package transformers .*: pip install 'tadaloc\[hub\]'"):
        create_model(f"hf:{tmp_path}")
    with pytest.raises(ValueError, match="needs the package huggingface_hub"):
        create_model("hf:MCG-NJU/videomae-base")


def test_a_name_that_was_not_downloaded_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("huggingface_hub")
    with pytest.raises(
        ValueError, match="neither a folder nor in the hub's cache; download it first: hf download"
    ):
        create_model("hf:no-such-owner/no-such-network")
