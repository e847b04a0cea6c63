"""Grad-CAM: heat where the evidence is, and the command that draws it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from matplotlib import image as pictures
from torch import Tensor, nn

from classification.gradcam import grad_cam, main
from feature_extraction.backbone import save_backbone
from pipeline.stages import load_config
from runtime.config import config_to_yaml
from runtime.errors import InputError
from tadaconv import VideoNetwork, create_model

CONFIGS = Path(__file__).resolve().parents[2] / "configs"


class BrightAndDark(nn.Module):
    """Feature map of two channels, 8 x 8 pixels a cell: how bright a cell is, and how dark."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, clips: Tensor) -> Tensor:
        bright = F.avg_pool3d(clips.mean(dim=1, keepdim=True), (1, 8, 8)) * self.scale
        return torch.cat([F.relu(bright), F.relu(-bright)], dim=1)


def _planted() -> VideoNetwork:
    """Class 0 for darkness, class 1 for brightness; verbs and nouns would be no different."""
    model = create_model("r2d_mini", num_classes=2).eval()
    model.backbone = BrightAndDark()
    model.head.out = nn.Linear(2, 2, bias=False)
    model.head.out.weight.data = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    return model


def test_the_heat_is_where_and_when_the_evidence_is() -> None:
    clip = torch.zeros(3, 4, 32, 48)
    clip[:, 2, :8, -8:] = 1.0  # bright, only in the third frame, upper right corner
    clip[:, 1, -8:, :8] = -1.0  # dark, in the second frame, lower left corner
    model = _planted()
    for class_index, place in ((1, (2, 0, 5)), (0, (1, 3, 0))):
        cam = grad_cam(model, clip, class_index)
        assert cam.shape == (4, 4, 6)
        expected = torch.zeros(4, 4, 6)
        expected[place] = 1.0
        torch.testing.assert_close(cam, expected)


def test_nothing_speaks_for_a_class_without_evidence() -> None:
    assert grad_cam(_planted(), torch.ones(3, 2, 16, 16), class_index=0).abs().max() == 0


@pytest.mark.parametrize(
    ("name", "frames", "map_shape"),
    [("tada2d_mini", 4, (4, 1, 1)), ("slowfast_8x8", 32, (8, 1, 1)), ("tadaconvnextv2_tiny", 4, (2, 1, 1))],
)
def test_networks_with_a_feature_map(name: str, frames: int, map_shape: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    model = create_model(name, num_classes={"verb": 3, "noun": 4}).eval()
    assert grad_cam(model, torch.rand(3, frames, 32, 32), 2, head="noun").shape == map_shape


def test_a_network_without_a_feature_map_is_refused() -> None:
    model = create_model("r2d_mini", num_classes=2)
    with pytest.raises(InputError, match="Grad-CAM needs a feature map, which Identity does not have"):
        grad_cam(VideoNetwork(nn.Identity(), model.head), torch.rand(3, 2, 16, 16), 0)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    config = load_config(CONFIGS / "hacs_mini.yaml", [f"run_dir={tmp_path}"])
    (tmp_path / "config.yaml").write_text(config_to_yaml(config))
    torch.manual_seed(0)
    model = create_model("tada2d_mini", num_classes=2)
    save_backbone(tmp_path / "finetune/weights.pt", model, "tada2d_mini", {"action": ("rise", "fall")}, {})
    return tmp_path


def test_the_command_draws_a_strip(run: Path, tiny_mini: Path, capsys: pytest.CaptureFixture[str]) -> None:
    video = next((tiny_mini / "videos").rglob("*.mp4"))
    out = run / "cam.png"
    words = ["--run", str(run), "--video", str(video), "--out", str(out)]
    assert main([*words, "--at", "1.5", "--label", "fall"]) == 0
    assert f"cam.png: {video.name}: evidence for action 'fall' (" in capsys.readouterr().out
    height, width = pictures.imread(out).shape[:2]
    assert width > 2 * height  # eight frames side by side, in two rows
    assert main([*words, "--at", "1.5"]) == 0
    assert main([*words, "--at", "100"]) == 2
    assert "--at must lie within 0 and " in capsys.readouterr().err
    assert main([*words, "--at", "1.5", "--label", "rize"]) == 2
    assert "the model has no class 'rize'; closest known: rise" in capsys.readouterr().err


def test_the_frames_shown_are_those_of_the_clip(run: Path, tiny_mini: Path) -> None:
    from classification.gradcam import explain
    from feature_extraction.backbone import load_backbone

    video = next((tiny_mini / "videos").rglob("*.mp4"))
    backbone = load_backbone(run / "finetune/weights.pt")
    config = load_config(run / "config.yaml")
    shown = explain(backbone, config, video, 2.0, None)
    np.testing.assert_allclose(shown.times_s, 2.0 + np.arange(-28, 29, 8) / 30)
    assert shown.heat.shape == shown.frames.shape[:3]
    by_segments = load_config(run / "config.yaml", ["finetune.sampling=segments"])
    spread = explain(backbone, by_segments, video, None, None).times_s
    assert len(set(np.diff(spread).round(2))) <= 2
    assert spread[-1] - spread[0] > 3
