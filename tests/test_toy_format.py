"""The price of a new data format: a reader and one line of the table, and it runs through the
whole pipeline."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from pipeline.stages import load_config, stages_of
from tests.stages import stage_of_run
from video_datasets.annotations import AnnotationTable
from video_datasets.formats import FORMATS, Format
from video_datasets.formats.activitynet import read_activitynet_json

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


def read_toy(path: str | Path) -> AnnotationTable:
    """Lines `subset video seconds: label start end, label start end`."""
    videos, rows = [], []
    for index, line in enumerate(Path(path).read_text().splitlines()):
        head, _, segments = line.partition(":")
        videos.append(head.split())
        rows += [(index, *words.strip().rsplit(" ", 2)) for words in segments.split(",") if words]
    return AnnotationTable(
        video_ids=tuple(video for _, video, _ in videos),
        subsets=tuple(subset for subset, _, _ in videos),
        durations_s=np.array([float(seconds) for *_, seconds in videos]),
        video_index=np.array([index for index, *_ in rows], dtype=np.int32),
        start_s=np.array([float(start) for _, _, start, _ in rows]),
        end_s=np.array([float(end) for *_, end in rows]),
        labels=tuple(label for _, label, *_ in rows),
    )


def _write_toy(path: Path, table: AnnotationTable) -> None:
    columns = (table.video_index, table.labels, table.start_s, table.end_s)
    rows = list(zip(*columns, strict=True))
    videos = zip(table.subsets, table.video_ids, table.durations_s, strict=True)
    lines = []
    for index, (subset, video, seconds) in enumerate(videos):
        segments = [f"{label} {start} {end}" for owner, label, start, end in rows if owner == index]
        lines.append(f"{subset} {video} {seconds}:{','.join(segments)}")
    path.write_text("\n".join(lines))


@pytest.fixture
def toy_data(tmp_path: Path, tiny_mini: Path) -> Path:
    (tmp_path / "videos").symlink_to(tiny_mini / "videos", target_is_directory=True)
    _write_toy(tmp_path / "labels.toy", read_activitynet_json(tiny_mini / "HACS_segments_v1.1.1.json"))
    return tmp_path


def test_a_toy_format_runs_end_to_end(toy_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FORMATS, "toy", Format(name="toy", title="lines of a toy", read=read_toy))
    monkeypatch.chdir(Path(__file__).resolve().parents[1])
    words = [
        f"data.root={toy_data}",
        "data.format=toy",
        "data.annotations=labels.toy",
        f"run_dir={toy_data}/run",
    ]
    for spec in stages_of(load_config("configs/own.yaml", [*TINY, *words])):
        assert stage_of_run(spec.command, ["--config", "configs/own.yaml", *TINY, *words]) == 0
    metrics = json.loads((toy_data / "run" / "metrics.json").read_text())
    assert set(metrics["per_class"]["action"]) == set(read_toy(toy_data / "labels.toy").labels)
    inputs = json.loads((toy_data / "run" / "finetune" / "stage.json").read_text())["fingerprint_parts"]
    assert "labels.toy" in inputs["input.annotations"]
