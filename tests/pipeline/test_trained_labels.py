"""Labels by a classifier on stored features: the stage, detection and a bundle give the same."""

from __future__ import annotations

import importlib
import shutil
from pathlib import Path

import numpy as np

from pipeline import Detector
from pipeline.bundle import main as bundle
from runtime.config import config_to_yaml, load_config
from video_datasets.formats.submission_json import read_detections_json


def test_the_classifier_goes_where_the_run_goes(tiny_run: Path, tiny_mini: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run, ignore=shutil.ignore_patterns("classification", "evaluation"))
    words = [f"run_dir={run}", "classification.source=trained", "classification.video_prior=1"]
    config = load_config(run / "config.yaml", words)
    (tmp_path / "trained.yaml").write_text(config_to_yaml(config))
    classify = importlib.import_module("classification.__main__").main
    assert classify(["--config", str(tmp_path / "trained.yaml")]) == 0
    detections = read_detections_json(run / "classification/detections.json")
    video = next((tiny_mini / "videos").rglob(f"v_{detections.videos[0]}.mp4"))
    expected = detections.score[detections.video_index == 0]
    assert bundle(["--run", str(run), "--out", str(tmp_path / "run.zip")]) == 0
    for source in (run, tmp_path / "run.zip"):
        found = Detector(source, device="cpu").detect(video)
        np.testing.assert_allclose(found.scores, expected, rtol=1e-2)
