"""The price of a new head: one entry of HEADS, defined in this test, through the stages,
detection and a bundle."""

from __future__ import annotations

import importlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from feature_extraction import FeatureStore
from pipeline import Detector
from pipeline.bundle import main as bundle
from proposals.heads import HEADS, Head
from runtime.config import config_to_dict, config_to_yaml, load_config
from runtime.sections import RunConfig
from runtime.stage import StageRun, StageSpec, run_stage
from training import checkpoint
from video_datasets.dataset import load_dataset
from video_datasets.formats.submission_json import read_detections_json
from video_datasets.predictions import Candidates, read_predictions
from video_datasets.time_grid import TimeGrid

LENGTH_S = 2.0


@dataclass(frozen=True)
class Toy:
    """Says that an action lasts two seconds around every feature, of the class that its largest
    channel names."""

    grid: TimeGrid
    in_channels: int
    labels: tuple[str, ...]
    looks_at: str = "single features"

    def candidates(self, store: FeatureStore, video_id: str) -> Candidates:
        record = store[video_id]
        segments_s = np.stack([record.times - LENGTH_S / 2, record.times + LENGTH_S / 2], axis=1).clip(0)
        channel = record.features.argmax(axis=1)
        score = record.features.max(axis=1) / (1 + record.features.max())
        return Candidates(segments_s, score, 1.0, store.duration_s(video_id), channel % len(self.labels))


def train(run: StageRun) -> None:
    """Learn the names of the classes."""
    store = FeatureStore(run.upstream("features"))
    info = store.info(next(iter(store)))
    content = {
        "model": {"nothing": torch.zeros(1)},
        "grid": info.grid.to_dict(),
        "channels": info.shape[1],
        "labels": list(load_dataset(run.config.data).labels),
        "config": config_to_dict(run.config),
    }
    checkpoint.save(run.folder / "weights.pt", content)


def load(folder: Path, config: RunConfig, device: torch.device) -> Toy:
    content = checkpoint.load(folder / "weights.pt")
    return Toy(TimeGrid.from_dict(content["grid"]), content["channels"], tuple(content["labels"]))


def suppress(candidates: Candidates, config: RunConfig) -> Candidates:
    """Keep the five best."""
    best = np.argsort(-candidates.scores, kind="stable")[:5]
    assert candidates.classes is not None
    return candidates._replace(
        segments=candidates.segments[best], scores=candidates.scores[best], classes=candidates.classes[best]
    )


TOY = Head(
    name="toy",
    title="Toy",
    stage="toy",
    command="toy",
    section="seed",
    load=load,
    suppress=suppress,
    settings=(),
    tells_classes=lambda config: True,
)


@pytest.fixture
def toy_run(tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run whose stages from proposals on know the toy by its entry alone."""
    monkeypatch.setitem(HEADS, "toy", TOY)
    folder = tmp_path / "run"
    for stage in ("finetune", "features"):
        shutil.copytree(tiny_run / stage, folder / stage)
    words = ["head=toy", "classification.source=auto", f"run_dir={folder}"]
    config = load_config(tiny_run / "config.yaml", words)
    (tmp_path / "toy.yaml").write_text(config_to_yaml(config))
    spec = StageSpec(name="toy", command="toy", work=train, reads=("features",), weights="weights.pt")
    run_stage(spec, config)
    for stage in ("proposals", "classification", "evaluation"):
        main = importlib.import_module(f"{stage}.__main__").main
        assert main(["--config", str(tmp_path / "toy.yaml")]) == 0
    return folder


def test_a_toy_head_goes_through_the_pipeline(toy_run: Path, tiny_mini: Path, tmp_path: Path) -> None:
    proposals = read_predictions(toy_run / "proposals/proposals.h5")
    assert (np.bincount(proposals.video_index) <= 5).all()
    assert json.loads((toy_run / "classification/source.json").read_text())["source"] == "head"
    detections = read_detections_json(toy_run / "classification/detections.json")
    assert set(detections.labels) <= set(proposals.labels)
    metrics = json.loads((toy_run / "metrics.json").read_text())
    assert 0 <= metrics["average_mAP"]["action"] <= 1

    assert bundle(["--run", str(toy_run), "--out", str(tmp_path / "toy.zip")]) == 0
    video_id = detections.videos[0]
    video = next((tiny_mini / "videos").rglob(f"v_{video_id}.mp4"))
    expected = detections.score[detections.video_index == 0]
    for source in (toy_run, tmp_path / "toy.zip"):
        found = Detector(source, device="cpu").detect(video)
        np.testing.assert_allclose(found.scores, expected, rtol=1e-2)
        assert set(found.labels) <= set(proposals.labels)
