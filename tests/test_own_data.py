"""One's own data set, from a CSV and a folder of videos, through every stage; and what cannot be
scored is said."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest

from tests.stages import stage_of_run
from video_datasets.formats.activitynet import read_activitynet_json
from video_datasets.formats.own_csv import COLUMNS, read_own_csv

STAGES = (
    "classification.finetune",
    "feature_extraction",
    "one_stage",
    "proposals",
    "classification",
    "evaluation",
)
TINY = (
    "model=tada2d_mini",
    "finetune.init_weights=null",
    "finetune.epochs=1",
    "finetune.batch_size=8",
    "finetune.short_side_px=[64,64]",
    "finetune.crop_px=64",
    "finetune.test_short_side_px=64",
    "features.short_side_px=64",
    "one_stage.epochs=1",
    "one_stage.warmup_epochs=0",
    "one_stage.channels=16",
    "evaluation.timelines=1",
    "runtime.threads=1",
    "runtime.loader_workers=0",
)


def _write_csv(path: Path, rows: list[tuple[object, ...]]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *rows])


def _own_data(folder: Path, mini: Path, classes: int | None = None, subsets: tuple[str, ...] = ()) -> Path:
    """Make an own data set of the mini set's videos: plain file names, segments in a CSV."""
    table = read_activitynet_json(mini / "HACS_segments_v1.1.1.json")
    kept_labels = sorted(set(table.labels))[:classes]
    rows: list[tuple[object, ...]] = []
    (folder / "videos").mkdir(parents=True)
    for index, start_s, end_s, label in zip(
        table.video_index, table.start_s, table.end_s, table.labels, strict=True
    ):
        video_id, subset = table.video_ids[index], table.subsets[index]
        if label in kept_labels and (not subsets or subset in subsets):
            rows.append((f"clip{index}", start_s, end_s, label, subset))
            source = next((mini / "videos").rglob(f"v_{video_id}.mp4"))
            shutil.copy(source, folder / "videos" / f"clip{index}.mp4")
    _write_csv(folder / "segments.csv", rows)
    return folder


def _run(folder: Path, stages: tuple[str, ...] = STAGES, *more: str) -> list[int]:
    words = [*TINY, f"data.root={folder}", f"run_dir={folder / 'run'}", *more]
    codes = []
    for stage in stages:
        codes.append(stage_of_run(stage, ["--config", "configs/own.yaml", *words]))
        if codes[-1] > 1:
            break
    return codes


@pytest.fixture
def at_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).resolve().parents[1])


@pytest.mark.usefixtures("at_root")
def test_own_data_runs_end_to_end(tmp_path: Path, tiny_mini: Path) -> None:
    folder = _own_data(tmp_path / "own", tiny_mini)
    assert _run(folder) == [0] * len(STAGES)
    metrics = json.loads((folder / "run" / "metrics.json").read_text())
    assert 0.0 <= metrics["average_mAP"]["action"] <= 1.0
    assert set(metrics["per_class"]["action"]) == set(read_own_csv(folder / "segments.csv").labels)


@pytest.mark.usefixtures("at_root")
def test_one_class_and_one_video_a_subset_give_figures(tmp_path: Path, tiny_mini: Path) -> None:
    folder = _own_data(tmp_path / "own", tiny_mini, classes=1)
    assert len(list((folder / "videos").iterdir())) == 2
    assert _run(folder) == [0] * len(STAGES)
    assert len(json.loads((folder / "run" / "metrics.json").read_text())["per_class"]["action"]) == 1


@pytest.mark.usefixtures("at_root")
@pytest.mark.parametrize("cache_step", [0, 4])
def test_a_segment_after_the_end_is_left_out_and_listed(
    tmp_path: Path, tiny_mini: Path, cache_step: int
) -> None:
    folder = _own_data(tmp_path / "own", tiny_mini)
    with (folder / "segments.csv").open("a") as file:
        video = sorted(path.stem for path in (folder / "videos").iterdir())[0]
        subset = dict(zip(*_subsets(folder), strict=True))[video]
        file.write(f"{video},500,505,Rising,{subset}\n")
    codes = _run(folder, STAGES[:3], f"finetune.frame_cache_step={cache_step}")
    assert codes == [1, 0, 1]
    finetune = json.loads((folder / "run" / "finetune" / "stage.json").read_text())["skipped"]
    assert "segment 500-505 s lies after the end of the video" in finetune[video]
    skipped = json.loads((folder / "run" / "one_stage" / "stage.json").read_text())["skipped"]
    assert "lies outside the video (0-" in skipped[f"{video}, segment 500-505 s"]


def _subsets(folder: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    table = read_own_csv(folder / "segments.csv")
    return table.video_ids, table.subsets


@pytest.mark.usefixtures("at_root")
def test_no_ground_truth_to_score_is_said(
    tmp_path: Path, tiny_mini: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = _own_data(tmp_path / "own", tiny_mini, subsets=("training",))
    assert _run(folder)[-1] == 2
    message = capsys.readouterr().err
    assert "validation" in message
    assert "nan" not in message.lower()


HEADER = "video,start_s,end_s,label,subset\n"
BAD_FILES = {
    "video,start\n": r"missing: end_s \(or end, end_frame\), label",
    HEADER + "a,x,2,run,training\n": "line 2: 'start_s' must be a number of seconds, found 'x'",
    HEADER + "a,1,2,,training\n": "line 2: a segment without a label",
    HEADER + ",1,2,run,training\n": "line 2: 'video' must not be empty",
    HEADER + "a,1,2,run,training\na,3,4,run,validation\n": "line 3: video 'a' is in subset 'validation' here",
    "<html>": "HTML",
    "": "empty",
}


@pytest.mark.parametrize(("content", "message"), BAD_FILES.items())
def test_bad_csv_files_are_named(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "segments.csv"
    path.write_text(content)
    with pytest.raises(ValueError, match=message):
        read_own_csv(path)


def test_videos_without_segments_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "segments.csv"
    path.write_text(HEADER + "a,1,2.5,run,training\nb,,,,validation\n")
    table = read_own_csv(path)
    assert table.video_ids == ("a", "b")
    assert table.subsets == ("training", "validation")
    assert table.end_s.tolist() == [2.5]
    assert table.video_index.tolist() == [0]
