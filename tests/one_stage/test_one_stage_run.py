"""A whole run with a one-stage head on two joined stores: every stage, and the report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from feature_extraction.store import merge_features, write_video_features
from one_stage.weights import load_one_stage
from pipeline.report import main as report
from pipeline.run import main as run
from runtime.config import load_config
from tests.stages import stage_of_run
from video_datasets.dataset import load_dataset
from video_datasets.time_grid import TimeGrid

ROOT = Path(__file__).resolve().parents[2]


def words(folder: Path, data: Path, head: str) -> list[str]:
    return [
        f"run_dir={folder / 'run'}", f"data.root={data}", "data.mini=false", f"head={head}", "runtime.threads=1",
        f"features.store={folder / 'store.h5'}", "classification.source=auto", "one_stage.epochs=2",
        "one_stage.channels=16", "one_stage.warmup_epochs=1", "one_stage.levels=4", "evaluation.timelines=1",
        "one_stage.sgp_mlp_channels=16", f"features.joined=[{folder / 'flow.h5'}]",
    ]  # fmt: skip


def _findings(content: dict[str, Any]) -> set[tuple[str, str, float, float]]:
    return {
        (video_id, row["label"], *row["segment"])
        for video_id, rows in content["results"].items()
        for row in rows
    }


def _scores(content: dict[str, Any]) -> float:
    return sum(row["score"] for rows in content["results"].values() for row in rows)


@pytest.mark.parametrize(
    "head",
    ["temporalmaxer", *(pytest.param(head, marks=pytest.mark.slow) for head in ("actionformer", "tridet"))],
)
def test_all_stages_run_and_are_reported(head: str, tiny_mini: Path, tmp_path: Path) -> None:
    settings = words(tmp_path, tiny_mini, head)
    config_file = str(ROOT / "configs/hacs_mini.yaml")
    config = load_config(config_file, settings)
    for video_id, video in load_dataset(config.data, for_training=False).videos.items():
        times_s = config.grid.times_s(int(video.duration_s * 30))
        features = np.random.default_rng(0).normal(0, 0.3, (len(times_s), 8))
        for segment in video.segments:
            features[(times_s > segment.start_s) & (times_s < segment.end_s), 0] += 2.0
        write_video_features(
            tmp_path / "parts", video_id, features, times_s, config.grid,
            attributes={"duration_s": video.duration_s},
        )  # fmt: skip
        denser = TimeGrid(fps=30, stride_frames=4)  # a second store, joined by time
        flow_s = denser.times_s(int(video.duration_s * 30))
        write_video_features(
            tmp_path / "flow", video_id, np.sin(flow_s)[:, None] * np.ones(3), flow_s, denser,
            attributes={"duration_s": video.duration_s},
        )  # fmt: skip
    merge_features(tmp_path / "parts", tmp_path / "store.h5")
    merge_features(tmp_path / "flow", tmp_path / "flow.h5")
    assert run([config_file, *settings]) in (0, 1)
    folder = tmp_path / "run"
    assert not (folder / "finetune").exists()
    assert not (folder / "bmn").exists()
    assert load_one_stage(folder / "one_stage/weights.pt").network.arch.in_channels == 8 + 3
    figures = json.loads((folder / "metrics.json").read_text())
    assert 0 <= figures["average_mAP"]["action"] <= 1
    detections = json.loads((folder / "classification/detections.json").read_text())
    assert any(detections["results"].values())
    weighed = [*settings, "classification.with_head=true"]  # by the classifier that auto trains then
    assert stage_of_run("classification", [config_file, *weighed, "--force"]) == 0
    again = json.loads((folder / "classification/detections.json").read_text())
    assert _findings(again) == _findings(detections)
    assert _scores(again) < _scores(detections)
    assert report(["--run", str(folder)]) == 0
    assert "any segment" in (folder / "report.html").read_text()
