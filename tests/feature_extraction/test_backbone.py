"""Networks to extract with: random, finetuned, released, from images; and files that do not fit."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch

from feature_extraction.backbone import RANDOM_WEIGHTS, load_network, save_backbone
from runtime.errors import InputError
from tadaconv import create_model


def test_random_weights_are_the_same_every_time_and_leave_the_generator_alone() -> None:
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    first, second = load_network("tada2d_mini", None), load_network("tada2d_mini", None)
    assert torch.equal(torch.rand(3), expected)
    assert first.sha256 == second.sha256
    assert (first.weights, first.file_sha256, first.labels) == (RANDOM_WEIGHTS, "", ())
    assert not first.model.training


def test_finetuned_weights(tmp_path: Path) -> None:
    model = create_model("tada2d_mini", num_classes=3)
    save_backbone(tmp_path / "w.pt", model, "tada2d_mini", {"action": ("a", "b", "c")}, {})
    backbone = load_network("tada2d_mini", tmp_path / "w.pt")
    assert backbone.labels == ("a", "b", "c")
    assert backbone.weights == "w.pt"
    assert backbone.file_sha256 == hashlib.sha256((tmp_path / "w.pt").read_bytes()).hexdigest()
    with pytest.raises(InputError, match=r"w\.pt: holds the weights of tada2d_mini, asked for r2d_mini"):
        load_network("r2d_mini", tmp_path / "w.pt")


@pytest.mark.parametrize("content", [b"hi", b"hello world", b"<html>404</html>", b"", b"\x80\x02K"])
def test_files_that_hold_no_weights(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(InputError, match=r"w\.pth: cannot be read as a file of weights"):
        load_network("tada2d_mini", tmp_path / "w.pth")


def test_a_checkpoint_with_another_head(tmp_path: Path) -> None:
    model = create_model("tada2d_mini", num_classes=3)
    torch.save({"model_state": model.state_dict(), "epoch": 3}, tmp_path / "k400.pyth")
    backbone = load_network("tada2d_mini", tmp_path / "k400.pyth")
    assert (backbone.weights, backbone.labels) == ("k400.pyth", ())
    clip = torch.randn(1, 3, 8, 32, 32)
    with torch.no_grad():
        expected = model.eval().forward_features(clip)
        assert torch.equal(backbone.model.forward_features(clip), expected)


def test_files_that_do_not_fit(tmp_path: Path) -> None:
    torch.save({"some": torch.zeros(2)}, tmp_path / "other.pt")
    with pytest.raises(InputError, match=r"other\.pt: .*no tensor in it belongs to this network"):
        load_network("tada2d_mini", tmp_path / "other.pt")
    (tmp_path / "text.pt").write_text("no weights")
    with pytest.raises(InputError, match=r"text\.pt: cannot be read as a file of weights"):
        load_network("tada2d_mini", tmp_path / "text.pt")


def test_weights_of_a_run_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    """Fused convolutions would hide them: the features would be finite, and wrong."""
    model = create_model("tada2d_mini", num_classes=3)
    model.get_parameter("backbone.conv1.a.weight").data[0, 0, 0, 0, 0] = float("nan")
    save_backbone(tmp_path / "w.pt", model, "tada2d_mini", {"action": ("a", "b", "c")}, {})
    with pytest.raises(InputError, match=r"w\.pt: .*not finite .*backbone\.conv1\.a\.weight"):
        load_network("tada2d_mini", tmp_path / "w.pt")
