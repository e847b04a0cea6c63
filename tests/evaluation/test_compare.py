"""Confidence intervals: the weighted AP against files that are really enlarged, and the command."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.compare import main
from evaluation.comparison.compared import differing_settings
from evaluation.comparison.intervals import compare_predictions, interval
from evaluation.files.evaluate import evaluate_tables, select_subset, task_columns
from evaluation.files.protocols import PROTOCOLS
from evaluation.metrics.bootstrap import bootstrap_map, draw_multiplicities, weighted_map, weighted_ranking
from evaluation.metrics.matches import match_columns
from feature_extraction.settings import FeaturesConfig
from runtime.config import config_to_yaml
from runtime.sections import run_config
from video_datasets.annotations import AnnotationTable
from video_datasets.formats.activitynet import read_activitynet_json
from video_datasets.predictions import Predictions
from video_datasets.settings import DataConfig

VIDEOS = 4
half_seconds = st.integers(0, 8).map(lambda n: n / 2)
annotation_rows = st.tuples(st.integers(0, VIDEOS - 1), st.integers(0, 2), half_seconds, half_seconds)
prediction_rows = st.tuples(st.integers(0, VIDEOS), st.integers(0, 2), half_seconds, half_seconds)


def truth_table(rows: list[Any], videos: list[str]) -> AnnotationTable:
    video, label, start_s, end_s = np.array(rows, dtype=float).reshape(-1, 4).T
    return AnnotationTable(
        video_ids=tuple(videos),
        subsets=("validation",) * len(videos),
        durations_s=np.full(len(videos), np.nan),
        video_index=video.astype(int),
        start_s=start_s,
        end_s=end_s,
        labels=tuple("abc"[int(n)] for n in label),
    )


def prediction_table(rows: list[Any], videos: list[str]) -> Predictions:
    video, label, start_s, end_s, score = np.array(rows, dtype=float).reshape(-1, 5).T
    return Predictions(
        tuple(videos), ("a", "b", "c"), video.astype(int), start_s, end_s, score, label.astype(int)
    )


def enlarged(rows: list[Any], multiplicity: np.ndarray) -> tuple[list[Any], list[str]]:
    """Rows of files in which each video is there as often as it was drawn, under a new id each
    time.

    Copies of one row follow each other, which keeps equal scores of one video side by side.
    """
    ids = [f"v{video} copy {copy}" for video, times in enumerate(multiplicity) for copy in range(times)]
    first = np.concatenate([[0], np.cumsum(multiplicity)])
    found = []
    for video, *values in rows:
        if video == VIDEOS:  # unknown, stays once
            found.append((len(ids), *values))
            continue
        found += [(first[video] + copy, *values) for copy in range(multiplicity[video])]
    return found, [*ids, "unknown"]


@settings(max_examples=150)
@given(
    st.lists(annotation_rows, min_size=1, max_size=8),
    st.lists(prediction_rows, min_size=1, max_size=25),
    st.permutations(range(25)),
    st.lists(st.integers(0, 3), min_size=VIDEOS, max_size=VIDEOS),
)
def test_weighted_map_equals_enlarged_files(
    annotations: list[Any], predictions: list[Any], order: list[int], drawn: list[int]
) -> None:
    """Scores differ between rows, so that ranks do not hang on the order in the enlarged file."""
    scored = [(*row, order[at] / 25) for at, row in enumerate(predictions)]
    multiplicity = np.array(drawn)
    videos = [f"v{video}" for video in range(VIDEOS)]
    protocol = PROTOCOLS["hacs"]
    truth = truth_table(annotations, videos)
    found = prediction_table(scored, [*videos, "unknown"])
    matches = match_columns(
        task_columns(truth, found, protocol, "action"), np.array(protocol.tiou_thresholds)
    )
    ranking = weighted_ranking(matches, VIDEOS)
    kept = [row for row in annotations if multiplicity[row[0]]]
    if not kept:
        assert np.isnan(weighted_map(ranking, multiplicity)).all()
        return
    big_annotations, ids = enlarged(annotations, multiplicity)
    big_predictions, _ = enlarged(scored, multiplicity)
    if not any(row[0] < len(ids) - 1 for row in big_predictions):
        return  # the command refuses files without a known video
    metrics = evaluate_tables(
        truth_table(big_annotations, ids[:-1]), prediction_table(big_predictions, ids), protocol
    ).detection["action"]
    np.testing.assert_allclose(weighted_map(ranking, multiplicity), metrics.mAP, rtol=0, atol=1e-12)


def test_draws_are_repeatable_and_complete() -> None:
    first, second = (list(draw_multiplicities(50, 20, 3)) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert {int(row.sum()) for row in first} == {50}
    assert len({tuple(row) for row in first}) == 20


def test_interval_is_centred_on_the_figure() -> None:
    """Resamples that all lie 0.2 too high say nothing about where the figure is."""
    drawn = np.linspace(0, 1, 1001)[:, None] + np.array([0.2, 0.0])
    drawn[0] = np.nan
    found = interval(np.array([0.3, 0.7]), drawn, lowest=-1.0)
    np.testing.assert_allclose(found.low, [0.3 - 0.475, 0.7 - 0.475], atol=2e-3)
    np.testing.assert_allclose(found.high, [0.3 + 0.475, 1.0], atol=2e-3)
    assert found.excludes_zero.tolist() == [False, True]
    assert interval(np.array([0.3, 0.7]), drawn).low.min() == 0.0  # a figure ends at 0


def random_files(folder: Path, videos: int = 40) -> list[Path]:
    """A ground truth, a fair file, one that is hardly changed, and one that is clearly worse."""
    generator = np.random.default_rng(1)
    database: dict[str, Any] = {}
    files: list[dict[str, Any]] = [{}, {}, {}]
    for video in range(videos):
        start, label = float(generator.uniform(0, 40)), "ab"[video % 2]
        annotation = {"label": label, "segment": [start, start + 10]}
        database[f"v{video}"] = {"subset": "validation", "duration": 60, "annotations": [annotation]}
        shifts = generator.normal(0, 2, 5)
        for file, noise in zip(files, (0.0, 0.001, 4.0), strict=True):
            file[f"v{video}"] = [
                {
                    "label": label,
                    "score": 1 / (2 + abs(shift)) + place / 1000,
                    "segment": [start + shift + noise, start + shift + noise + 10],
                }
                for place, shift in enumerate(shifts.tolist())
            ]
    paths = [folder / name for name in ("truth.json", "a.json", "b.json", "c.json")]
    contents = [{"database": database}, *({"results": file} for file in files)]
    for path, content in zip(paths, contents, strict=True):
        path.write_text(json.dumps(content))
    return paths


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truth, *files = random_files(tmp_path)
    options = ["--ground-truth", str(truth), "--resamples", "200"]
    assert main([*map(str, files), *options, "--json", str(tmp_path / "c.json.out")]) == 0
    screen = capsys.readouterr().out
    assert "95 % intervals from 200 resamples of 40 videos, seed 0" in screen
    assert re.search(
        r"action: B - A in average mAP .* the interval includes 0: the videos do not tell", screen
    )
    assert re.search(r"action: C - A in average mAP -.* the interval excludes 0: lower, beyond", screen)
    content = json.loads((tmp_path / "c.json.out").read_text())
    first, second, third = content["tasks"]["action"]["files"]
    annotations = read_activitynet_json(truth)
    expected = evaluate_tables(
        annotations, PROTOCOLS["hacs"].format.read_detections(files[0]), PROTOCOLS["hacs"]
    )
    assert first["average_mAP"] == pytest.approx(expected.detection["action"].average_mAP, abs=1e-15)
    assert first["mAP"] == pytest.approx(expected.detection["action"].mAP.tolist(), abs=1e-15)
    low, high = first["average_mAP_interval"]
    assert low < first["average_mAP"] < high
    near, far = content["tasks"]["action"]["differences"]
    assert near["average_mAP"] == pytest.approx(second["average_mAP"] - first["average_mAP"])
    assert far["average_mAP"] == pytest.approx(third["average_mAP"] - first["average_mAP"])
    assert (near["average_excludes_0"], far["average_excludes_0"]) == (False, True)
    widths = [np.diff(item["average_mAP_interval"])[0] for item in (first, near)]
    assert widths[1] < widths[0] / 2  # paired: the videos' own spread cancels


def test_protocol_follows_from_the_ground_truth(
    tmp_path: Path, write_kitchens: Callable[..., dict[str, Path]], capsys: pytest.CaptureFixture[str]
) -> None:
    files = write_kitchens(tmp_path)
    found = str(files["found"])
    assert main([found, found, "--ground-truth", str(files["truth"]), "--resamples", "5"]) == 0
    screen = capsys.readouterr().out
    assert screen.startswith("ek100 (EPIC-KITCHENS C2-Action-Detection")
    for task in ("verb", "noun", "action"):
        assert f"{task}: B - A in average mAP +0.00 [+0.00, +0.00]; " in screen
    assert "videos are too few to tell: an example, not a measurement" in screen


def test_same_seed_same_intervals(tmp_path: Path) -> None:
    truth, first, _, third = random_files(tmp_path, videos=12)
    protocol = PROTOCOLS["hacs"]
    annotations, files = (
        read_activitynet_json(truth),
        [protocol.format.read_detections(p) for p in (first, third)],
    )
    one, same, other = (
        compare_predictions(annotations, files, protocol, resamples=30, seed=seed).tasks["action"]
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one.files[0].low, same.files[0].low)
    assert one.files[0].low[-1] != other.files[0].low[-1]
    # The draws are those of a loop over `weighted_map`.
    selected = select_subset(annotations, "validation")
    thresholds = np.array(protocol.tiou_thresholds)
    matches = match_columns(task_columns(selected, files[0], protocol, "action"), thresholds)
    ranking = weighted_ranking(matches, 12)
    drawn = bootstrap_map([ranking], 12, 30, seed=1)[:, 0]
    expected = [weighted_map(ranking, counts) for counts in draw_multiplicities(12, 30, 1)]
    np.testing.assert_array_equal(drawn, expected)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a.json"], "expected 2 to 26 files to compare, found 1"),
        (["a.json", "b.json", "--resamples", "1"], "expected --resamples of at least 2"),
        (["a.json", "missing.json"], "missing.json: no such file"),
    ],
)
def test_refusals(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    message: str,
) -> None:
    random_files(tmp_path, videos=2)
    monkeypatch.chdir(tmp_path)
    assert main([*words, "--ground-truth", "truth.json", "--protocol", "hacs"]) == 2
    assert message in capsys.readouterr().err


def run_folder(folder: Path, truth: Path, detections: Path, **settings: Any) -> Path:
    (folder / "classification").mkdir(parents=True)
    shutil.copy(detections, folder / "classification/detections.json")
    data = DataConfig(root=str(truth.parent), annotations=truth.name)
    config = run_config(run_dir=str(folder), data=data, **settings)
    (folder / "config.yaml").write_text(config_to_yaml(config))
    return folder


def test_a_setting_that_one_run_leaves_open_differs() -> None:
    runs = [run_config(run_dir="a"), run_config(run_dir="b", features=FeaturesConfig(store="c.h5")), None]
    assert differing_settings(runs) == {"features.store": ["null", "c.h5", None]}


def test_runs_are_compared_with_their_settings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truth, first, _, third = random_files(tmp_path)
    one = run_folder(tmp_path / "one", truth, first)
    two = run_folder(tmp_path / "two", truth, third, seed=7, model="r2d_r50")
    out = tmp_path / "comparison.json"
    assert main([str(one), str(two), "--resamples", "20", "--json", str(out)]) == 0
    screen = capsys.readouterr().out
    found = json.loads(out.read_text())
    assert found["settings"] == {"seed": [0, 7], "model": ["tada2d_r50", "r2d_r50"]}
    assert re.search(r"settings that differ +A +B\nseed +0 +7\nmodel +tada2d_r50 +r2d_r50", screen)
    files = [str(first), str(third), "--ground-truth", str(truth), "--resamples", "20", "--json", str(out)]
    assert main(files) == 0
    assert json.loads(out.read_text())["tasks"] == found["tasks"]
    assert "settings" not in capsys.readouterr().out


def test_what_is_no_run_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path), str(tmp_path)]) == 2
    assert "no config.yaml; expected the folder of a run, or a file of detections" in capsys.readouterr().err
    _, first, second, _ = random_files(tmp_path)
    assert main([str(first), str(second)]) == 2
    assert "give --ground-truth, or at least one folder of a run" in capsys.readouterr().err
