"""All stage commands, one after the other, on a tiny data set with one damaged and one missing
video."""

from __future__ import annotations

import importlib
import json
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from classification.labelling import features_inside
from evaluation.command import main as evaluate_files
from feature_extraction import FeatureStore
from feature_extraction.backbone import load_backbone
from tests.stages import stage_of_run
from video_datasets.formats.activitynet import read_activitynet_json
from video_datasets.formats.submission_json import read_detections_json
from video_datasets.predictions import read_predictions, select_videos, write_predictions

ROOT = Path(__file__).resolve().parents[1]
CONFIG = str(ROOT / "configs/hacs_mini.yaml")
ANNOTATIONS = "HACS_segments_v1.1.1.json"
STAGES = {
    "classification.finetune": "finetune",
    "feature_extraction": "features",
    "bmn": "bmn",
    "proposals": "proposals",
    "classification": "classification",
    "evaluation": "evaluation",
}
"""Command -> its folder in the run."""
SETTINGS = (
    "data.mini=false",
    "finetune.epochs=1",
    "finetune.batch_size=8",
    "finetune.clips_per_segment=1",
    "bmn.epochs=1",
    "bmn.tscale=16",
    "bmn.dscale=16",
    "evaluation.timelines=2",
    "runtime.threads=1",
    "classification.source=proposals",
)
FILES = {
    "config.yaml",
    "headers.json",
    "metrics.json",
    "finetune/best.pt",
    *(
        f"{folder}/{name}"
        for folder in ("finetune", "bmn")
        for name in ("weights.pt", "checkpoint.pt", "metrics.jsonl", "timing.jsonl", "curves.png")
    ),
    "features/features.h5",
    "proposals/proposals.h5",
    "classification/detections.json",
    "classification/detections_testing.json",
    "evaluation/report.html",
    "evaluation/summary.txt",
    "evaluation/tables.txt",
    *(f"{folder}/stage.json" for folder in STAGES.values()),
}

METRICS = {"protocol", "task", "tiou_thresholds", "mAP", "average_mAP", "per_class", "AR"}
"""Keys that metrics.json has at least."""


@dataclass
class Run:
    """A run, its data, and the exit code of every stage."""

    folder: Path
    data: Path
    damaged: str  # id of a validation video
    missing: str  # id of a training video
    codes: dict[str, int]

    def words(self, *more: str) -> list[str]:
        return ["--config", CONFIG, *SETTINGS, f"data.root={self.data}", f"run_dir={self.folder}", *more]

    def stage(self, command: str, *more: str) -> int:
        return stage_of_run(command, self.words(*more))

    def record(self, command: str) -> dict[str, dict[str, str]]:
        content: dict[str, dict[str, str]] = json.loads(
            (self.folder / STAGES[command] / "stage.json").read_text()
        )
        return content

    def changes(self) -> dict[Path, int]:
        """When each file was last changed."""
        files = (path for path in self.folder.rglob("*") if path.is_file() and path.name != ".lock")
        return {path: path.stat().st_mtime_ns for path in files}


@pytest.fixture(scope="module")
def run(tiny_mini: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("pipeline")
    data = folder / "data"
    shutil.copytree(tiny_mini, data)
    table = read_activitynet_json(data / ANNOTATIONS)
    damaged = table.video_ids[table.subsets.index("validation")]
    missing = table.video_ids[table.subsets.index("training")]
    next(data.rglob(f"v_{damaged}.mp4")).write_text("<html>404</html>")
    next(data.rglob(f"v_{missing}.mp4")).unlink()
    run = Run(folder / "runs" / "tiny", data, damaged, missing, {})
    for command in STAGES:
        run.codes[command] = run.stage(command)
    return run


def test_skipped_videos_make_the_code_1(run: Run) -> None:
    assert run.codes == {
        "classification.finetune": 1,
        "feature_extraction": 1,
        "bmn": 1,
        "proposals": 1,
        "classification": 0,
        "evaluation": 0,
    }


def test_every_skipped_video_is_recorded_with_its_reason(run: Run) -> None:
    skipped = {command: run.record(command)["skipped"] for command in STAGES}
    assert skipped["classification.finetune"].keys() == {run.damaged, run.missing}
    for command in ("classification.finetune", "feature_extraction"):
        assert "not a video" in skipped[command][run.damaged]
        assert skipped[command][run.missing] == "video file not found"
    assert skipped["bmn"].keys() == {run.damaged, run.missing}
    assert skipped["proposals"] == {run.damaged: "no features (the features stage says why)"}


def test_the_run_folder_is_complete_and_holds_nothing_else(run: Run) -> None:
    found = {str(path.relative_to(run.folder)) for path in run.changes()}
    timelines = {name for name in found if name.startswith("evaluation/timeline_")}
    assert len(timelines) == 2
    assert found - timelines == FILES


def test_records_are_complete(run: Run) -> None:
    for command in STAGES:
        record = run.record(command)
        assert record["state"] == "complete"
        assert record["config"]["run_dir"] == str(run.folder)
        assert record["duration_s"] > 0
        assert record["peak_memory_mb"] > 0
        assert record["versions"]["torch"] == torch.__version__


def test_weights_load_without_pickle(run: Run) -> None:
    for name in ("finetune/weights.pt", "finetune/checkpoint.pt", "bmn/weights.pt", "bmn/checkpoint.pt"):
        content = torch.load(run.folder / name, weights_only=True)
        assert content["config"]["bmn"]["tscale"] == 16
        assert all(torch.isfinite(tensor).all() for tensor in content["model"].values())


def test_every_good_video_has_features_on_its_grid(run: Run) -> None:
    table = read_activitynet_json(run.data / ANNOTATIONS)
    store = FeatureStore(run.folder / "features")
    assert set(store) == set(table.video_ids) - {run.damaged, run.missing}
    for video_id, record in store.items():
        duration_s = table.durations_s[table.video_ids.index(video_id)]
        assert record.features.shape == (-(-round(duration_s * 30) // 16), 256)
    with h5py.File(run.folder / "features/features.h5") as file:
        assert all(file[video_id].dtype == np.float16 for video_id in store)


def test_proposals_cover_all_videos_outside_training(run: Run) -> None:
    table = read_activitynet_json(run.data / ANNOTATIONS)
    proposals = read_predictions(run.folder / "proposals/proposals.h5")
    outside = {v for v, subset in zip(table.video_ids, table.subsets, strict=True) if subset != "training"}
    assert set(proposals.videos) == outside
    with_rows = {proposals.videos[index] for index in proposals.video_index}
    assert with_rows == outside - {run.damaged}
    durations_s = np.array([table.durations_s[table.video_ids.index(v)] for v in proposals.videos])
    assert (proposals.start_s >= 0).all()
    assert (proposals.end_s <= durations_s[proposals.video_index] + 0.05).all()
    assert (proposals.start_s < proposals.end_s).all()


def test_detections_are_split_by_subset_and_use_known_labels(run: Run) -> None:
    table = read_activitynet_json(run.data / ANNOTATIONS)
    subset_of = dict(zip(table.video_ids, table.subsets, strict=True))
    for name, subset, count in (("detections", "validation", 7), ("detections_testing", "testing", 2)):
        detections = read_detections_json(run.folder / f"classification/{name}.json")
        assert {subset_of[video_id] for video_id in detections.videos} == {subset}
        assert len(detections.videos) == count
        assert set(detections.labels) <= set(table.labels)
        assert np.bincount(detections.video_index).max() <= 200


def test_detections_of_a_video_are_those_of_a_plain_recomputation(run: Run) -> None:
    proposals = read_predictions(run.folder / "proposals/proposals.h5")
    detections = read_detections_json(run.folder / "classification/detections.json")
    backbone = load_backbone(run.folder / "finetune/weights.pt")
    video_id = detections.videos[0]
    rows = proposals.video_index == proposals.videos.index(video_id)
    start_s, end_s, score = proposals.start_s[rows], proposals.end_s[rows], proposals.score[rows]
    assert (np.diff(score) <= 0).all()
    record = FeatureStore(run.folder / "features")[video_id]
    inside = features_inside(record.times, np.stack([start_s, end_s], axis=1)[:3])
    with torch.no_grad():
        logits = backbone.model.head(torch.from_numpy(record.features[inside])).mean(dim=0)
    probabilities = torch.softmax(2 * logits.double(), dim=0)
    expected = sorted(
        (
            (float(probability) * score[k], backbone.labels[c], start_s[k], end_s[k])
            for c, probability in enumerate(probabilities)
            if c in probabilities.topk(3).indices
            for k in range(len(score))
        ),
        reverse=True,
    )[:200]
    rows = detections.video_index == 0
    np.testing.assert_allclose(detections.score[rows], [entry[0] for entry in expected], rtol=1e-4)
    found = {
        (detections.labels[label], start_s, end_s)
        for label, start_s, end_s in zip(
            detections.label[rows], detections.start_s[rows], detections.end_s[rows], strict=True
        )
    }
    assert len(found & {entry[1:] for entry in expected}) >= 198  # the last ones may be tied


def test_metrics_have_the_documented_form(run: Run) -> None:
    metrics = json.loads((run.folder / "metrics.json").read_text())
    assert metrics.keys() >= METRICS
    assert (metrics["protocol"], metrics["task"]) == ("hacs", "detection")
    assert metrics["tiou_thresholds"] == pytest.approx(np.arange(0.5, 0.96, 0.05).tolist())
    assert len(metrics["mAP"]["action"]) == 10
    assert metrics["average_mAP"]["action"] == pytest.approx(np.mean(metrics["mAP"]["action"]))
    assert len(metrics["per_class"]["action"]) == 8
    for entry in metrics["per_class"]["action"].values():
        assert len(entry["ap"]) == 10
        assert entry["count"] > 0
    recall = np.array(metrics["AR"]["recall"])
    assert recall.shape == (10, 100)
    assert metrics["AR"]["an"] == list(range(1, 101))
    np.testing.assert_allclose(metrics["AR"]["average"], recall.mean(axis=0))
    assert ((recall >= 0) & (recall <= 1)).all()


def test_metrics_are_those_of_the_command_on_files(run: Run, tmp_path: Path) -> None:
    truth = ["--protocol", "hacs", "--ground-truth", str(run.data / ANNOTATIONS)]
    out = tmp_path / "metrics.json"
    detections = str(run.folder / "classification/detections.json")
    assert evaluate_files([*truth, "--predictions", detections, "--json", str(out)]) == 0
    expected = json.loads(out.read_text())
    # The official recall counts proposals of any video; those of the testing videos must not dilute
    # it.
    table = read_activitynet_json(run.data / ANNOTATIONS)
    validation = [
        v for v, subset in zip(table.video_ids, table.subsets, strict=True) if subset == "validation"
    ]
    proposals = select_videos(read_predictions(run.folder / "proposals/proposals.h5"), validation)
    write_predictions(tmp_path / "validation.h5", proposals)
    recall = ["--predictions", str(tmp_path / "validation.h5"), "--task", "proposals"]
    assert evaluate_files([*truth, *recall, "--json", str(out)]) == 0
    expected["AR"] = json.loads(out.read_text())["AR"]
    metrics = json.loads((run.folder / "metrics.json").read_text())
    assert {key: metrics[key] for key in METRICS} == {key: expected[key] for key in METRICS}


def test_a_second_run_recomputes_nothing_lists_the_same_and_is_quick(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    before = run.changes()
    for command, code in run.codes.items():
        capsys.readouterr()
        began = time.monotonic()
        assert run.stage(command) == code
        assert time.monotonic() - began < 1
        screen = capsys.readouterr()
        assert "complete, nothing to do" in screen.err
        for item, reason in run.record(command)["skipped"].items():
            assert f"  {item}: {reason}" in screen.err
        assert (screen.out != "") == (command == "evaluation")
    assert run.changes() == before


def test_every_command_runs_as_a_module_without_loading_torch(run: Run) -> None:
    """A finished stage is skipped before anything heavy is imported."""
    before = run.changes()
    for command, code in run.codes.items():
        config = str(run.folder / "config.yaml")
        arguments = [sys.executable, "-X", "importtime", "-m", command, "--config", config]
        found = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=False)
        assert found.returncode == code, found.stderr[-2000:]
        imported = {line.split("|")[-1].strip() for line in found.stderr.splitlines() if "|" in line}
        assert "runtime.stage" in imported
        assert "torch" not in imported
        assert "matplotlib" not in imported
    assert run.changes() == before


@pytest.mark.parametrize(
    ("command", "word", "message"),
    [
        ("classification.finetune", "finetune.epochs=2", "config.finetune.epochs was 1, is now 2"),
        ("classification.finetune", "model=r2d_mini", "config.model was tada2d_mini, is now r2d_mini"),
        ("feature_extraction", "grid.stride_frames=8", "config.grid.stride_frames was 16, is now 8"),
        ("bmn", "bmn.batch_size=2", "config.bmn.batch_size was 4, is now 2"),
        ("proposals", "proposals.max_proposals=5", "config.proposals.max_proposals was 100, is now 5"),
        (
            "classification",
            "classification.top_classes=1",
            "config.classification.top_classes was 3, is now 1",
        ),
        ("evaluation", "evaluation.timelines=0", "config.evaluation.timelines was 2, is now 0"),
    ],
)
def test_another_config_is_refused_and_nothing_is_touched(
    run: Run, command: str, word: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = run.changes()
    assert run.stage(command, word) == 2
    screen = capsys.readouterr().err
    assert message in screen
    assert f"python -m {command} ... --force" in screen
    assert run.changes() == before


def test_a_video_that_changed_is_noticed(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    path = next(run.data.rglob(f"v_{run.damaged}.mp4"))
    content = path.read_bytes()
    path.write_bytes(content + b" ")
    try:
        assert run.stage("feature_extraction") == 2
        assert "input.videos was 17 files" in capsys.readouterr().err
    finally:
        path.write_bytes(content)


def test_a_stage_before_its_turn_says_what_is_missing(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run.stage("proposals", f"run_dir={run.folder.parent / 'other'}") == 2
    assert "stage 'features' must be complete first, found: not started" in capsys.readouterr().err


@pytest.mark.parametrize("command", STAGES)
def test_the_help_of_every_stage_shows_examples(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    module = importlib.import_module(f"{command}.__main__")
    with pytest.raises(SystemExit) as caught:
        module.main(["--config", CONFIG, "--help"])  # --config: the stage's help, where there is another
    assert caught.value.code == 0
    screen = capsys.readouterr().out
    assert f"python -m {command} --config configs/hacs_mini.yaml" in screen
    assert "exit codes" in screen
