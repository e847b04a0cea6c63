"""The price of a new backbone: one entry of SPECS, and every stage, the detector and Grad-CAM
take it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from classification.gradcam import grad_cam
from feature_extraction.backbone import load_backbone
from feature_extraction.store import FeatureStore
from pipeline import Detector
from tadaconv import VideoNetwork
from tadaconv.heads import ClassificationHead, NumClasses
from tadaconv.inputs import NetworkInput
from tadaconv.specs import SPECS
from tests.stages import stage_of_run

CONFIG = Path(__file__).resolve().parents[2] / "configs/hacs_mini.yaml"
CROP_PX = 48


class ToyNetwork(VideoNetwork):
    """A mean over patches, which knows no other size than its own."""

    def __init__(self, num_classes: NumClasses, side_px: int) -> None:
        super().__init__(
            nn.Conv3d(3, 12, kernel_size=(1, 16, 16), stride=(1, 16, 16)), ClassificationHead(12, num_classes)
        )
        self.side_px = side_px

    def forward_features(self, clips_BCTHW: Tensor) -> Tensor:
        if clips_BCTHW.shape[3:] != (self.side_px, self.side_px):
            raise ValueError(f"takes frames of {self.side_px} x {self.side_px} pixels")
        return self.backbone(clips_BCTHW).relu().mean((2, 3, 4))

    def feature_map(self) -> nn.Module:
        return self.backbone


@dataclass(frozen=True)
class ToySpec:
    input: NetworkInput = NetworkInput(  # noqa: RUF009
        clip=(8, 64, 64), mean=(0.5, 0.4, 0.3), std=(0.1, 0.2, 0.3), fixed_size=True
    )

    def build(self, num_classes: NumClasses, input_size: tuple[int, int, int] | None = None) -> VideoNetwork:
        return ToyNetwork(num_classes, (input_size or self.input.clip)[1])


def test_a_backbone_is_one_entry(tiny_mini: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SPECS, "toy", ToySpec())
    run = tmp_path / "run"
    words = [
        "--config",
        str(CONFIG),
        f"run_dir={run}",
        f"data.root={tiny_mini}",
        "data.mini=false",
        "model=toy",
    ]
    words += [
        "finetune.epochs=1",
        "finetune.batch_size=8",
        f"finetune.crop_px={CROP_PX}",
        "classification.source=video",
        "runtime.threads=1",
    ]
    words += [
        f"finetune.short_side_px=[{CROP_PX},56]",
        f"finetune.test_short_side_px={CROP_PX}",
        "finetune.test_crops=1",
    ]
    words += [f"features.short_side_px={CROP_PX}", "features.crops=centre", "evaluation.timelines=0"]
    words += [
        "bmn.epochs=1",
        "bmn.tscale=16",
        "bmn.dscale=16",
        "bmn.hidden_1d=8",
        "bmn.hidden_2d=8",
        "bmn.hidden_3d=8",
    ]
    for stage in ("classification.finetune", "feature_extraction", "bmn"):
        assert stage_of_run(stage, words) == 0

    backbone = load_backbone(run / "finetune/weights.pt")
    assert backbone.model.input.clip == (8, CROP_PX, CROP_PX)
    assert backbone.model.input.mean == (0.5, 0.4, 0.3)
    assert grad_cam(backbone.model, torch.rand(3, 8, CROP_PX, CROP_PX), 0).shape == (8, 3, 3)

    store = FeatureStore(run / "features/features.h5")
    name = next(iter(store))
    assert store[name].features.shape[1] == 12
    assert store.info(name).attributes["pixels"] == "mean 0.5 0.4 0.3, std 0.1 0.2 0.3"
    video = next((tiny_mini / "videos").rglob(f"*{name}*.mp4"))
    assert len(Detector(run).detect(video).scores)

    assert stage_of_run("feature_extraction", [*words, "--force", "features.crops=whole"]) == 2
