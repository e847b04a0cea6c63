"""Mistakes that people make, found by the plan of a run before anything is trained."""

from __future__ import annotations

import csv
import re
import shutil
import time
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.check import main
from pipeline.plan.reading import decoding_share, training_clip_s
from pipeline.plan.steps import REPEATED, seconds_per_item, work_s
from pipeline.run import main as run
from pipeline.stages import load_config
from video_datasets.dataset import load_dataset
from video_datasets.formats.activitynet import read_activitynet_json

CONFIG = str(Path(__file__).resolve().parents[2] / "configs/own_small.yaml")
SMALL = ("one_stage.channels=16", "runtime.threads=1")
HEADER = ("video", "start_s", "end_s", "label", "subset")
Row = tuple[object, ...]


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory, tiny_mini: Path) -> tuple[Path, list[Row]]:
    """A folder of videos, and the rows of its CSV."""
    table = read_activitynet_json(tiny_mini / "HACS_segments_v1.1.1.json")
    folder = tmp_path_factory.mktemp("own") / "videos"
    folder.mkdir()
    rows: list[Row] = []
    columns = zip(table.video_index, table.start_s, table.end_s, table.labels, strict=True)
    for index, start_s, end_s, label in columns:
        video_id, subset = table.video_ids[index], table.subsets[index]
        source = next((tiny_mini / "videos").rglob(f"v_{video_id}.mp4"))
        shutil.copy(source, folder / f"{video_id}.mp4")
        rows.append((video_id, start_s, end_s, label, subset))
    return folder, rows


def _check(tmp_path: Path, videos: Path, rows: list[Row], *words: str) -> int:
    (tmp_path / "videos").symlink_to(videos)
    with (tmp_path / "segments.csv").open("w", newline="") as file:
        csv.writer(file).writerows([HEADER, *rows])
    return main([CONFIG, f"data.root={tmp_path}", f"run_dir={tmp_path / 'run'}", *SMALL, *words])


@pytest.mark.parametrize(("head", "stage"), [("temporalmaxer", "one_stage"), ("bmn", "bmn")])
def test_a_plan_in_order_is_short_and_writes_nothing(
    tmp_path: Path, own: tuple[Path, list[Row]], capsys: pytest.CaptureFixture[str], head: str, stage: str
) -> None:
    words = ("grid.stride_frames=2", f"head={head}", "bmn.hidden_3d=16", "bmn.hidden_2d=8")
    assert _check(tmp_path, *own, *words) == 0
    plan = capsys.readouterr().out
    for words in (
        "8 on disk",
        "best recall",
        "disk: about",
        "time: about",
        f"{stage} (to do)",
        "plan: in order",
    ):
        assert words in plan
    assert len(plan.splitlines()) <= 30
    assert max(map(len, plan.splitlines())) <= 80
    assert not (tmp_path / "run").exists()


def _renamed(rows: list[Row]) -> list[Row]:
    return [(*row[:4], "val" if row[4] == "validation" else row[4]) for row in rows]


def _past_the_end(rows: list[Row]) -> list[Row]:
    return [*rows, (rows[0][0], 1.0, 999.0, rows[0][3], rows[0][4])]


def _other_capitals(rows: list[Row]) -> list[Row]:
    row = next(row for row in rows if row[4] == "training")
    return [*rows, (row[0], 0.1, 0.9, str(row[3]).upper(), row[4])]


def _missing(rows: list[Row]) -> list[Row]:
    return [*rows, ("nowhere", 1.0, 2.0, rows[0][3], "training")]


def _frame_numbers(rows: list[Row]) -> list[Row]:
    return [
        (name, round(float(str(a)) * 30), round(float(str(b)) * 30) + 1, *rest) for name, a, b, *rest in rows
    ]


MISTAKES = {
    "val": (_renamed, 2, "has no labelled segment"),
    "past the end": (_past_the_end, 1, "past the end"),
    "twice": (lambda rows: [*rows, rows[0]], 1, "more than once"),
    "capitals": (_other_capitals, 1, "are they one?"),
    "missing": (_missing, 1, "are not on disk"),
    "frame numbers": (_frame_numbers, 1, "look like frame numbers"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_in_the_csv_are_found(
    tmp_path: Path, own: tuple[Path, list[Row]], capsys: pytest.CaptureFixture[str], mistake: str
) -> None:
    change, code, words = MISTAKES[mistake]
    assert _check(tmp_path, own[0], change(own[1]), "grid.stride_frames=2") == code
    assert words in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("finetune.init_weights=nowhere.pyth",), 2, "there is no such weights file"),
        (("model=tada2d_r5",), 2, "tada2d_r50"),
        (("grid.stride_frames=64",), 1, "reaches"),
    ],
)
def test_what_cannot_run_or_reach_is_found(
    tmp_path: Path,
    own: tuple[Path, list[Row]],
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    code: int,
    said: str,
) -> None:
    assert _check(tmp_path, *own, *words) == code
    assert said in " ".join(capsys.readouterr().out.split())


def test_a_dry_run_is_the_plan(
    tmp_path: Path, own: tuple[Path, list[Row]], capsys: pytest.CaptureFixture[str]
) -> None:
    code = _check(tmp_path, *own)
    plan = capsys.readouterr().out.split("disk: ")[0]
    words = [CONFIG, "--dry-run", f"data.root={tmp_path}", f"run_dir={tmp_path / 'run'}", *SMALL]
    assert run(words) == code
    assert capsys.readouterr().out.split("disk: ")[0] == plan


def test_steps_grow_until_one_is_long_enough_and_the_shortest_counts() -> None:
    seen: list[int] = []
    assert seconds_per_item(seen.append, 5) < 0.1
    assert seen == [1, 1, 2, 4, 5, *[5] * REPEATED]  # the first sets things up


def test_what_others_do_with_the_processors_does_not_count() -> None:
    assert work_s(lambda: time.sleep(0.2)) < 0.1


def test_every_stage_has_an_estimate_with_decoding(
    tmp_path: Path, own: tuple[Path, list[Row]], capsys: pytest.CaptureFixture[str]
) -> None:
    words = (
        "finetune.init_weights=pretrain",
        "head=actionformer",
        "one_stage.channels=16",
        "pretrain.speeds=3",
    )
    _check(tmp_path, *own, *words, "one_stage.heads=2", "pretrain.window_px=32", "pretrain.picture_px=64")
    (line,) = re.findall("time: .*?[)]", " ".join(capsys.readouterr().out.split()))
    assert "decoding included" in line
    for stage in ("pretrain", "finetune", "features", "one_stage", "proposals", "classification"):
        assert re.search(rf"\b{stage} [0-9.]+ (s|min|h)\b", line)


def test_reading_takes_longer_without_a_cache(own: tuple[Path, list[Row]], tmp_path: Path) -> None:
    (tmp_path / "videos").symlink_to(own[0])
    with (tmp_path / "segments.csv").open("w", newline="") as file:
        csv.writer(file).writerows([HEADER, *own[1]])
    words = [f"data.root={tmp_path}", "run_dir=x"]
    cached = load_config(CONFIG, words)
    files = load_config(CONFIG, [*words, "finetune.frame_cache_step=0"])
    dataset = load_dataset(cached.data)
    videos = list(dataset.subset("training"))
    assert 0 < training_clip_s(dataset, videos, cached) < training_clip_s(dataset, videos, files)
    assert 0 < decoding_share(videos, cached) < 1
    nothing = [replace(video, path=tmp_path / "segments.csv") for video in videos]
    assert decoding_share(nothing, cached) == training_clip_s(dataset, nothing, files) == 0
