"""From a downloaded folder of features to average mAP with the shipped configurations: files in
the layouts of those who publish them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from classification.segment_classifier import SegmentSource, load_classifier
from feature_extraction import FeatureStore
from feature_extraction.zoo.__main__ import main as zoo
from pipeline.check import main as check
from tests.stages import stage_of_run
from video_datasets.formats.submission_json import read_detections_json
from video_datasets.predictions import read_predictions

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
LABELS = ("Long jump", "Shaving", "Playing drums")
SMALL = ("bmn.hidden_1d=16", "bmn.hidden_2d=8", "bmn.hidden_3d=16", "bmn.batch_size=4", "runtime.threads=1")
Segments = list[tuple[float, float, str]]


def features_of(segments: Segments, times_s: np.ndarray, channels: int, seed: int) -> np.ndarray:
    """Noise, and inside of segments also what tells their class."""
    rows = np.random.default_rng(seed).normal(scale=0.2, size=(len(times_s), channels))
    for start_s, end_s, label in segments:
        inside = (times_s >= start_s) & (times_s < end_s)
        rows[inside, 8 * LABELS.index(label) : 8 * LABELS.index(label) + 8] += 2
    return rows.astype(np.float32)


def segments_of(number: int, duration_s: float, labels: Sequence[str]) -> Segments:
    """Two or three segments that do not meet."""
    borders = np.sort(np.random.default_rng(number).uniform(0.05, 0.95, 2 * (2 + number % 2))) * duration_s
    pairs = borders.round(2).reshape(-1, 2)
    return [(float(a), float(b), labels[i % len(labels)]) for i, (a, b) in enumerate(pairs) if b - a > 1]


def activitynet_entry(subset: str, duration_s: float, segments: Segments) -> dict[str, Any]:
    return {
        "duration": duration_s,
        "subset": subset,
        "resolution": "320x240",
        "url": "https://example.org",
        "annotations": [{"segment": [a, b], "label": label} for a, b, label in segments],
    }


def write_activitynet(folder: Path) -> dict[str, Any]:
    """activity_net.v1-3.min.json, TSP features v_<id>.npy (T, 512), and CUHK's scores of whole
    videos."""
    (folder / "tsp").mkdir(parents=True)
    database: dict[str, Any] = {}
    results = {}
    for number in range(14):
        name, duration_s = f"{number:04d}-_aBcDeF", 60.0 + number
        label = LABELS[number % 3]
        subset = "training" if number < 10 else "validation"
        segments = segments_of(number, duration_s, [label])
        database[name] = activitynet_entry(subset, duration_s, segments)
        count = (int(duration_s * 15) - 16) // 16 + 1
        times_s = (np.arange(count) * 16 + 8) / 15
        np.save(folder / "tsp" / f"v_{name}.npy", features_of(segments, times_s, 512, number))
        results[name] = [0.8 if known == label else 0.1 for known in LABELS]
    database["00xx_test"] = {"duration": 50.0, "subset": "testing", "resolution": "320x240", "url": ""}
    table = {"taxonomy": [{"nodeName": "Root", "nodeId": 0}], "version": "VERSION 1.3", "database": database}
    (folder / "activity_net.v1-3.min.json").write_text(json.dumps(table))
    classes = [label.replace(" ", "_") for label in LABELS]
    (folder / "cuhk_val_simp_share.json").write_text(json.dumps({"class": classes, "results": results}))
    return database


def write_thumos(folder: Path) -> dict[str, Any]:
    """thumos14.json as it comes with ActionFormer, and I3D features <id>.npy (T, 2048)."""
    (folder / "i3d").mkdir(parents=True)
    database: dict[str, Any] = {}
    for number in range(9):
        subset = "Validation" if number < 6 else "Test"
        name = f"video_{subset.lower()}_{number:07d}"
        duration_s = 25.0 + 5 * number
        segments = segments_of(number, duration_s, LABELS)
        entry = activitynet_entry(subset, duration_s, segments)
        for annotation in entry["annotations"]:
            annotation["segment(frames)"] = [30 * time_s for time_s in annotation["segment"]]
            annotation["label_id"] = LABELS.index(annotation["label"])
        database[name] = {**entry, "fps": 30.0}
        times_s = (np.arange((int(duration_s * 30) - 16) // 4 + 1) * 4 + 8) / 30
        np.save(folder / "i3d" / f"{name}.npy", features_of(segments, times_s, 2048, number))
    (folder / "thumos14.json").write_text(json.dumps({"version": "Thumos14-30fps", "database": database}))
    return database


def run_stages(config: str, run: Path, words: Sequence[str], commands: Sequence[str]) -> dict[str, Any]:
    """Run stages; return the metrics."""
    for command in commands:
        assert stage_of_run(command, ["--config", str(CONFIGS / config), f"run_dir={run}", *words]) in (0, 1)
    found: dict[str, Any] = json.loads((run / "metrics.json").read_text())
    return found


def share_of_right_labels(run: Path, database: dict[str, Any], subset: str) -> float:
    """What the classifier says of the labelled segments of a subset."""
    source = SegmentSource(
        FeatureStore(run / "features"), load_classifier(run / "classification/classifier.pt")
    )
    hits = []
    for name, entry in database.items():
        if entry["subset"] == subset:
            segments_s = np.array([annotation["segment"] for annotation in entry["annotations"]])
            found = source(name, segments_s)["action"].argmax(axis=1)
            labels = source.classifier.classes["action"]
            hits += [labels[k] == a["label"] for k, a in zip(found, entry["annotations"], strict=True)]
    return float(np.mean(hits))


STAGES = ("feature_extraction", "bmn", "proposals", "classification", "evaluation")


def test_activitynet_from_tsp_features(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, run, store = tmp_path / "anet", tmp_path / "run", tmp_path / "anet.h5"
    database = write_activitynet(data)
    assert zoo(["import", str(data / "tsp"), "--out", str(store), "--preset", "actionformer-anet-tsp"]) == 0
    words = [f"data.root={data}", f"features.store={store}", "bmn.tscale=50", "bmn.dscale=50", *SMALL]
    words.append("bmn.epochs=4")
    assert check([str(CONFIGS / "anet_features.yaml"), f"run_dir={run}", *words]) == 0
    plan = capsys.readouterr().out
    assert "training: 10 videos, 21 labelled segments" in plan
    assert "plan: in order" in plan
    metrics = run_stages("anet_features.yaml", run, words, STAGES)
    assert metrics["protocol"] == "activitynet"
    assert metrics["average_mAP"]["action"] > 0
    assert share_of_right_labels(run, database, "validation") >= 0.9


def test_scores_of_others_make_detections_as_actionformer_does(tmp_path: Path) -> None:
    """sqrt(class score * segment score), two classes, whatever else the configuration says."""
    data, run, store = tmp_path / "anet", tmp_path / "run", tmp_path / "anet.h5"
    write_activitynet(data)
    zoo(["import", str(data / "tsp"), "--out", str(store), "--preset", "actionformer-anet-tsp"])
    scores = data / "cuhk_val_simp_share.json"
    words = [
        *(f"data.root={data}", f"features.store={store}", "bmn.tscale=50", "bmn.dscale=50", *SMALL),
        *("bmn.epochs=1", "classification.source=scores", f"classification.class_scores={scores}"),
        *("classification.top_classes=2", "classification.score_power=0.5"),
    ]
    run_stages("anet_features.yaml", run, words, STAGES)
    of_videos = json.loads(scores.read_text())["results"]
    proposals = read_predictions(run / "proposals/proposals.h5")
    found = read_detections_json(run / "classification/detections.json")
    for name, values in of_videos.items():
        if name not in found.videos:
            continue
        of_video = proposals.score[proposals.video_index == proposals.videos.index(name)]
        expected = np.sqrt(np.outer(of_video, sorted(values)[-2:])).ravel()
        kept = np.sort(found.score[found.video_index == found.videos.index(name)])
        np.testing.assert_allclose(kept, np.sort(expected)[-len(kept) :], rtol=1e-6)


def test_thumos_from_i3d_features(tmp_path: Path) -> None:
    data, run, store = tmp_path / "thumos", tmp_path / "run", tmp_path / "thumos.h5"
    database = write_thumos(data)
    words = "--files npy --fps 30 --stride-frames 4 --clip-frames 16 --interval-frames 1"
    asked = [*words.split(), "--convention", "no_padding", "--annotations", str(data / "thumos14.json")]
    assert zoo(["import", str(data / "i3d"), "--out", str(store), *asked]) == 0
    words_of_run = [f"data.root={data}", f"features.store={store}", "bmn.dscale=64", "bmn.epochs=3", *SMALL]
    metrics = run_stages("thumos_features.yaml", run, words_of_run, STAGES)
    assert metrics["protocol"] == "thumos"
    assert metrics["tiou_thresholds"] == pytest.approx([0.3, 0.4, 0.5, 0.6, 0.7])
    assert metrics["average_mAP"]["action"] > 0
    assert share_of_right_labels(run, database, "Test") >= 0.75
