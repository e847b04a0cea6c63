"""The stage's work on a run folder: figures, page and summary of detections and proposals
together."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evaluation import evaluate_proposals
from evaluation.settings import EvaluationConfig
from evaluation.stage import work
from runtime.sections import run_config
from runtime.stage import StageRun
from video_datasets.formats.activitynet import read_activitynet_json
from video_datasets.formats.ek100_submission import read_ek100_json
from video_datasets.formats.submission_json import read_detections_json
from video_datasets.predictions import Predictions, write_predictions
from video_datasets.settings import DataConfig

SEGMENT = ("start_s", "end_s", "score")
Writer = Callable[..., dict[str, Path]]


def run_stage_on(folder: Path, found: Path, detections: Predictions, **config: Any) -> dict[str, Any]:
    """Lay out a run folder with these detections, also as proposals, and evaluate it."""
    for name in ("evaluation", "classification", "proposals"):
        (folder / name).mkdir(parents=True)
    shutil.copy(found, folder / "classification/detections.json")
    proposals = replace(detections, labels=(), label=np.full(len(detections), -1))
    write_predictions(folder / "proposals/proposals.h5", proposals)
    run = StageRun(run_config(run_dir=str(folder), **config), folder / "evaluation")
    work(run)
    assert run.summary.startswith("average mAP ")
    return json.loads((folder / "metrics.json").read_text())


def area(truth: Path, found: Predictions) -> float:
    """Area under AR@AN of the validation videos alone, from tables."""
    table = read_activitynet_json(truth)
    tables = [
        {
            "video_id": [ids[video] for video in rows.video_index],
            **{name: getattr(rows, name) for name in SEGMENT if hasattr(rows, name)},
        }
        for rows, ids in ((table, table.video_ids), (found, found.videos))
    ]
    return evaluate_proposals(*tables).auc


@pytest.mark.parametrize("others", [0, 3000])
def test_page_of_a_run(tmp_path: Path, write_hacs: Writer, others: int) -> None:
    files = write_hacs(tmp_path)
    detections = read_detections_json(files["found"])
    database = json.loads(files["truth"].read_text())["database"]
    database["test video"] = {"subset": "testing"}
    files["truth"].write_text(json.dumps({"database": database}))
    expected = area(files["truth"], detections)
    if others:  # proposals of a testing video, which change nothing
        columns = {name: np.concatenate([getattr(detections, name), np.ones(others)]) for name in SEGMENT}
        videos = np.concatenate([detections.video_index, np.full(others, len(detections.videos))])
        label = np.concatenate([detections.label, np.zeros(others, int)])
        detections = Predictions(
            (*detections.videos, "test video"), detections.labels, videos, **columns, label=label
        )
    data = DataConfig(root=str(tmp_path), annotations=files["truth"].name)
    metrics = run_stage_on(
        tmp_path / "run", files["found"], detections, data=data, evaluation=EvaluationConfig(timelines=0)
    )
    assert metrics["AR"]["auc"] == pytest.approx(expected, abs=1e-12)
    page = (tmp_path / "run/evaluation/report.html").read_text(encoding="utf-8")
    for section in ("summary", "curves", "proposals", "diagnosis", "classes", "timeline", "data"):
        assert f'<section id="{section}">' in page
    assert f"{100 * metrics['average_mAP']['action']:.2f}<small> %" in page
    assert f"{100 * metrics['AR']['auc']:.2f}<small> %" in page
    assert "proposals.h5" in page


def test_page_of_a_run_on_kitchens(tmp_path: Path, write_kitchens: Writer) -> None:
    files = write_kitchens(tmp_path)
    files["truth"].rename(tmp_path / "EPIC_100_validation.csv")
    metrics = run_stage_on(
        tmp_path / "run",
        files["found"],
        read_ek100_json(files["found"]),
        data=DataConfig(root=str(tmp_path), format="ek100"),
        evaluation=EvaluationConfig(protocol="ek100", timelines=1),
    )
    assert set(metrics["average_mAP"]) == {"verb", "noun", "action"}
    page = (tmp_path / "run/evaluation/report.html").read_text(encoding="utf-8")
    assert 'data-show-task="noun"' in page
    assert len(list((tmp_path / "run/evaluation").glob("timeline_*.png"))) == 1
