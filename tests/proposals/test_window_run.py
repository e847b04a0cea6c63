"""BMN on sliding windows, from a feature store to proposals by the commands: learns, resumes,
starts from weights."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import bmn.head
import bmn.train
from evaluation.command import main as evaluate
from feature_extraction.store import write_video_features
from tests.stages import stage_of_run
from video_datasets.predictions import Predictions, read_predictions
from video_datasets.time_grid import TimeGrid

GRID = TimeGrid(fps=60, stride_frames=8)
VIDEOS = {"P01": "training", "P02": "training", "P03": "training", "P04": "validation", "P05": "test"}
DURATION_S = 30.03
CONFIG = """
grid: {fps: 60, stride_frames: 8}
data: {format: csv, annotations: segments.csv}
bmn:
  mode: windows
  tscale: 20
  dscale: 10
  epochs: 2
  batch_size: 8
  learning_rate: 5.0e-3
  hidden_1d: 16
  hidden_2d: 16
  hidden_3d: 16
  validate_every_epochs: 100
proposals:
  soft_nms_low_threshold: 0.25
  soft_nms_high_threshold: 0.9
  soft_nms_iou_power: 2.0
  proposals_per_s: 1.0
runtime: {threads: 1, device: cpu}
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set whose features say when an action goes on, and the features stage of a run,
    complete."""
    root = tmp_path_factory.mktemp("windows")
    rng = np.random.default_rng(0)
    rows = ["video,start_s,end_s,label,subset", "missing,1,2,act,training", "P01,29.5,29.9,act,training"]
    rows += ["P01,40,41,act,training", "P02,1,9,act,training"]  # after the end; longer than a window
    for video_id, subset in VIDEOS.items():
        times_s = GRID.times_s(round(DURATION_S * 60))
        features = rng.normal(0.0, 0.3, size=(len(times_s), 8))
        starts_s = np.arange(12.0, 28.0, 2.5) + rng.uniform(0, 0.8, 7)
        for start_s, length_s in zip(starts_s, rng.uniform(0.6, 1.6, 7), strict=True):
            features[(times_s >= start_s) & (times_s < start_s + length_s), :4] += 3.0
            if subset != "test":
                rows.append(f"{video_id},{start_s},{start_s + length_s},act,{subset}")
        if subset == "test":
            rows.append(f"{video_id},,,,test")
        attributes = {"duration_s": DURATION_S}
        folder = root / "run" / "features"
        write_video_features(folder, video_id, features, times_s, GRID, attributes=attributes)
    record = {"state": "complete", "fingerprint": "features", "fingerprint_parts": {}}
    (folder / "stage.json").write_text(json.dumps(record))
    (root / "segments.csv").write_text("\n".join(rows))
    (root / "config.yaml").write_text(CONFIG)
    return root


def new_run(source: Path, folder: Path) -> Path:
    shutil.copytree(source / "run", folder)
    return folder


def words(source: Path, run: Path, *more: str) -> list[str]:
    return ["--config", str(source / "config.yaml"), f"data.root={source}", f"run_dir={run}", *more]


def record(run: Path, stage: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((run / stage / "stage.json").read_text())
    return content


def same_rows(one: Predictions, other: Predictions) -> bool:
    columns = ("video_index", "start_s", "end_s", "score")
    return one.videos == other.videos and all(
        np.array_equal(getattr(one, name), getattr(other, name)) for name in columns
    )


@pytest.fixture(scope="module")
def learnt(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run long enough to learn."""
    run = new_run(source, tmp_path_factory.mktemp("learnt") / "run")
    assert stage_of_run("bmn", words(source, run, "bmn.epochs=6")) == 1
    assert stage_of_run("proposals", words(source, run, "bmn.epochs=6")) == 0
    return run


@pytest.fixture(scope="module")
def short(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = new_run(source, tmp_path_factory.mktemp("short") / "run")
    assert stage_of_run("bmn", words(source, run)) == 1
    assert stage_of_run("proposals", words(source, run)) == 0
    return run


def test_what_is_left_out_is_listed_or_counted(learnt: Path) -> None:
    found = record(learnt, "bmn")
    assert found["skipped"].keys() == {"missing", "P01, segment 40-41 s"}
    assert found["counts"]["training_videos"] == 3
    assert found["counts"]["training_segments_in_no_window"] >= 1  # P02, 1-9 s
    assert (
        f"epochs on {found['counts']['training_windows']} windows, segments that none of them holds: 1, loss"
        in found["summary"]
    )


def test_it_finds_the_actions_of_a_video_that_it_has_not_seen(
    learnt: Path, source: Path, tmp_path: Path
) -> None:
    rows = [line.split(",") for line in (source / "segments.csv").read_text().splitlines()]
    truth = {"subset": "validation", "annotations": []}
    for video_id, start_s, end_s, label, _ in rows:
        if video_id == "P04":
            truth["annotations"].append({"label": label, "segment": [float(start_s), float(end_s)]})
    (tmp_path / "truth.json").write_text(json.dumps({"database": {"P04": truth}}))
    command = ["--task", "proposals", "--protocol", "hacs", "--ground-truth", str(tmp_path / "truth.json")]
    command += [
        "--predictions",
        str(learnt / "proposals/proposals.h5"),
        "--json",
        str(tmp_path / "metrics.json"),
    ]
    assert evaluate(command) == 0
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    recall_at_05 = metrics["AR"]["recall"][0][-1]
    assert recall_at_05 > 0.8


def test_proposals_are_those_of_all_other_videos_one_a_second(learnt: Path) -> None:
    found = read_predictions(learnt / "proposals/proposals.h5")
    assert found.videos == ("P04", "P05")
    assert np.bincount(found.video_index).max() <= int(DURATION_S) + 1
    assert (found.start_s >= 0).all()
    assert (found.end_s <= DURATION_S).all()
    assert (found.end_s > found.start_s).all()
    longest_s = 10 * 2 * GRID.stride_s
    assert (found.end_s - found.start_s).max() <= longest_s + 1e-9


class CutOffError(Exception):
    """Stands for `kill -9`."""


def test_training_that_was_cut_off_ends_with_the_same_weights(
    short: Path, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = new_run(source, tmp_path / "run")
    calls = 0
    original = bmn.train.bmn_loss

    def failing(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 6:
            raise CutOffError
        return original(*arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr("bmn.train.bmn_loss", failing)
        assert stage_of_run("bmn", words(source, run, "runtime.checkpoint_every_s=0")) == 3
    assert record(run, "bmn")["state"] == "cut off"
    assert stage_of_run("bmn", words(source, run, "runtime.checkpoint_every_s=0")) == 1
    one, other = (torch.load(folder / "bmn/weights.pt", weights_only=True) for folder in (short, run))
    for key, value in one["model"].items():
        assert torch.equal(value, other["model"][key]), key
    assert (short / "bmn/metrics.jsonl").read_bytes() == (run / "bmn/metrics.jsonl").read_bytes()


def test_proposals_that_were_cut_off_go_on_with_the_next_video(
    short: Path, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    shutil.copytree(short, run, ignore=shutil.ignore_patterns("proposals"))
    original, asked = bmn.head.video_maps, []

    def failing(bmn: Any, store: Any, video_id: str, device: Any) -> Any:
        asked.append(video_id)
        if len(asked) == 2:
            raise CutOffError
        return original(bmn, store, video_id, device)

    monkeypatch.setattr("bmn.head.video_maps", failing)
    assert stage_of_run("proposals", words(source, run)) == 3
    assert stage_of_run("proposals", words(source, run)) == 0
    assert asked == ["P04", "P05", "P05"]
    found, expected = (read_predictions(folder / "proposals/proposals.h5") for folder in (run, short))
    assert same_rows(found, expected)
    assert not (run / "proposals/videos").exists()


@pytest.mark.parametrize("form", ["run", "original"])
def test_weights_are_used_as_they_are_without_training(
    learnt: Path, source: Path, tmp_path: Path, form: str
) -> None:
    weights = learnt / "bmn/weights.pt"
    if form == "original":
        state = torch.load(weights, weights_only=True)["model"]
        weights = tmp_path / "released.pyth"
        torch.save({"epoch": 9, "model_state": {**state, "head.sample_mask": torch.zeros(3)}}, weights)
    run = new_run(source, tmp_path / "run")
    settings = ("bmn.epochs=0", f"bmn.init_weights={weights}")
    assert stage_of_run("bmn", words(source, run, *settings)) == 0
    assert {path.name for path in (run / "bmn").iterdir()} == {"weights.pt", "stage.json"}
    assert "not trained further" in record(run, "bmn")["summary"]
    assert stage_of_run("proposals", words(source, run, *settings)) == 0
    assert same_rows(
        read_predictions(run / "proposals/proposals.h5"), read_predictions(learnt / "proposals/proposals.h5")
    )


def test_training_starts_from_weights(learnt: Path, source: Path, tmp_path: Path) -> None:
    run = new_run(source, tmp_path / "run")
    settings = ("bmn.epochs=1", "bmn.learning_rate=1e-9", "bmn.warmup_start_learning_rate=0")
    assert (
        stage_of_run("bmn", words(source, run, *settings, f"bmn.init_weights={learnt / 'bmn/weights.pt'}"))
        == 1
    )
    found, expected = (
        json.loads((folder / "bmn/metrics.jsonl").read_text().splitlines()[-1]) for folder in (run, learnt)
    )
    assert found["validation_loss"] == pytest.approx(expected["validation_loss"], rel=1e-5)


def test_other_weights_change_the_fingerprint(
    learnt: Path, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, weights = new_run(source, tmp_path / "run"), tmp_path / "weights.pt"
    shutil.copy(learnt / "bmn/weights.pt", weights)
    settings = ("bmn.epochs=0", f"bmn.init_weights={weights}")
    assert stage_of_run("bmn", words(source, run, *settings)) == 0
    with weights.open("ab") as file:
        file.write(b" ")
    assert stage_of_run("bmn", words(source, run, *settings)) == 2
    assert "input.init_weights was weights.pt (" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "there is no such weights file"),
        (lambda path: path.write_bytes(b"<html>404</html>"), "an HTML page, such as a sign-in"),
        (
            lambda path: torch.save({"model_state": {"head.weight": torch.zeros(2)}}, path),
            "does not fit the features",
        ),
    ],
    ids=["missing", "damaged", "other_network"],
)
def test_bad_weights_are_refused(
    make: Any, message: str, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = tmp_path / "weights.pt"
    make(weights)
    run = new_run(source, tmp_path / "run")
    assert stage_of_run("bmn", words(source, run, f"bmn.init_weights={weights}")) == 2
    screen = capsys.readouterr().err
    assert message in screen
    assert str(weights) in screen


def test_weights_of_other_sizes_are_refused_even_where_every_shape_fits(
    learnt: Path, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = new_run(source, tmp_path / "run")
    settings = ("bmn.epochs=0", "bmn.tscale=24", f"bmn.init_weights={learnt / 'bmn/weights.pt'}")
    assert stage_of_run("bmn", words(source, run, *settings)) == 2
    assert "it was trained with tscale=20 (here: 24)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("bmn.epochs=0", "bmn.epochs must be at least 1, found 0, unless bmn.init_weights are"),
        ("bmn.epochs=-1", "bmn.epochs must be at least 0, found -1"),
        ("bmn.window_step_cells=21", "bmn.window_step_cells=21 must not exceed bmn.tscale=20"),
        ("bmn.cell_features=0", "bmn.cell_features must be at least 1"),
        ("proposals.proposals_per_s=-1", "proposals.proposals_per_s must be at least 0"),
        ("proposals.soft_nms_iou_power=0", "proposals.soft_nms_iou_power must be positive"),
        ("finetune.epochs=-1", "finetune.epochs must be at least 0"),
        ("one_stage.heads=0", "one_stage.heads must be at least 1"),
    ],
)
def test_settings_out_of_range_are_refused(
    word: str, message: str, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert stage_of_run("bmn", words(source, tmp_path / "run", word)) == 2
    assert message in capsys.readouterr().err


def test_a_video_on_another_grid_or_without_features_is_listed(source: Path, tmp_path: Path) -> None:
    run = new_run(source, tmp_path / "run")
    other = TimeGrid(fps=30, stride_frames=8)
    for video_id, grid, count in (("P02", other, 40), ("P05", GRID, 0)):
        write_video_features(
            run / "features",
            video_id,
            np.zeros((count, 8)),
            grid.feature_to_seconds(np.arange(count)),
            grid,
            attributes={"duration_s": 10.0},
        )
    assert stage_of_run("bmn", words(source, run)) == 1
    assert "on another time grid" in record(run, "bmn")["skipped"]["P02"]
    assert stage_of_run("proposals", words(source, run)) == 1
    assert "shorter than a clip" in record(run, "proposals")["skipped"]["P05"]
