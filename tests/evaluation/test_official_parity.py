"""Figures of the official evaluators (golden data), read from files in the official formats.

Tolerance 1e-12: the official sums run in another order; two independent implementations agree to
5e-15.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evaluation import evaluate_detections, evaluate_proposals
from evaluation.files.evaluate import Evaluation, evaluate_tables
from evaluation.files.protocols import PROTOCOLS
from evaluation.metrics.detection import DetectionMetrics
from runtime.errors import InputError
from video_datasets.formats.activitynet import read_activitynet_json
from video_datasets.formats.ek100_csv import read_ek100_csv
from video_datasets.formats.ek100_labels import action_name
from video_datasets.formats.ek100_submission import read_ek100_json
from video_datasets.formats.submission_json import read_detections_json

TOLERANCE = 1e-12


@pytest.fixture(scope="module")
def golden(shared: Path) -> Path:
    return shared / "golden/evaluation"


def load(path: Path) -> Any:
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as file:
        return json.load(file)


def assert_detection(metrics: DetectionMetrics, expected: Any, names: list[Any]) -> None:
    np.testing.assert_array_equal(metrics.tiou_thresholds, expected["tiou"])
    ap = dict(zip(names, expected["ap"], strict=True))
    assert set(metrics.labels) == set(ap)
    np.testing.assert_allclose(metrics.ap, [ap[label] for label in metrics.labels], rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(metrics.mAP, expected["mAP"], rtol=0, atol=TOLERANCE)
    assert metrics.average_mAP == pytest.approx(expected["average_mAP"], abs=TOLERANCE)


def test_hacs_shaped(golden: Path) -> None:
    expected = load(golden / "hacs_expected.json.gz")
    annotations = read_activitynet_json(golden / "hacs_gt.json.gz")
    predictions = read_detections_json(golden / "hacs_pred.json.gz")
    detection = evaluate_tables(annotations, predictions, PROTOCOLS["hacs"])
    metrics = detection.detection["action"]
    assert_detection(metrics, expected["detection"], expected["detection"]["classes"])
    assert metrics.tied_scores == 0
    proposals = evaluate_tables(annotations, predictions, PROTOCOLS["hacs"], task="proposals").proposals
    assert proposals is not None
    np.testing.assert_array_equal(proposals.recall, expected["proposal"]["recall"])
    np.testing.assert_allclose(
        proposals.average_recall, expected["proposal"]["avg_recall"], rtol=0, atol=TOLERANCE
    )
    np.testing.assert_allclose(
        proposals.an, expected["proposal"]["proposals_per_video"], rtol=0, atol=TOLERANCE
    )
    assert 100 * proposals.auc == pytest.approx(expected["proposal"]["auc_percent"], abs=TOLERANCE)


def assert_ek100(evaluation: Evaluation, expected: Any) -> None:
    thresholds = np.linspace(0.1, 0.5, 5).tolist()
    for task, figures in expected.items():
        name = action_name if task == "action" else str
        names = [name(label) for label in figures["classes"]]
        assert_detection(evaluation.detection[task], {"tiou": thresholds, **figures}, names)


def test_ek100_joint_and_separate(golden: Path) -> None:
    expected = load(golden / "ek100_expected.json.gz")
    annotations = read_ek100_csv(golden / "ek100_val_gt.csv.gz")
    predictions = read_ek100_json(golden / "ek100_pred.json.gz")
    joint = evaluate_tables(annotations, predictions, PROTOCOLS["ek100"])
    assert list(joint.detection) == ["verb", "noun", "action"]
    assert_ek100(joint, expected)
    separate = evaluate_tables(annotations, {"noun": predictions}, PROTOCOLS["ek100-separate"])
    assert list(separate.detection) == ["noun"]
    assert_ek100(separate, {"noun": expected["noun"]})


def test_ties_rank_later_in_file_first(golden: Path) -> None:
    expected = load(golden / "ties_ek100_expected.json.gz")["later_in_file_first"]
    annotations = read_ek100_csv(golden / "ties_ek100_gt.csv.gz")
    predictions = read_ek100_json(golden / "ties_ek100_pred.json.gz")
    found = evaluate_tables(annotations, predictions, PROTOCOLS["ek100"])
    assert_ek100(found, expected)
    assert found.detection["verb"].tied_scores > 1000
    assert any("verb" in note and "tied within their class" in note for note in found.notes)


def read_case(case: Any, folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Columns of one small case, read from files."""
    (folder / "truth.json").write_text(json.dumps(case["ground_truth"]))
    (folder / "predictions.json").write_text(json.dumps(case["predictions"]))
    truth = read_activitynet_json(folder / "truth.json")
    found = read_detections_json(folder / "predictions.json")
    rows = [row for row, video in enumerate(truth.video_index) if truth.subsets[video] == "validation"]
    ground_truth = {
        "video_id": [truth.video_ids[truth.video_index[row]] for row in rows],
        "label": [truth.labels[row] for row in rows],
        "start_s": truth.start_s[rows],
        "end_s": truth.end_s[rows],
    }
    predictions = {
        "video_id": [found.videos[video] for video in found.video_index],
        "label": [found.labels[label] for label in found.label],
        "start_s": found.start_s,
        "end_s": found.end_s,
        "score": found.score,
    }
    return ground_truth, predictions


def check_case(case: Any, folder: Path) -> None:
    truth, found = read_case(case, folder)
    thresholds = case.get("tiou", np.linspace(0.5, 0.95, 10))
    detection, proposal = case["official_detection"], case["official_proposal"]
    if "error" not in detection:
        metrics = evaluate_detections(truth, found, tiou_thresholds=thresholds)
        assert set(metrics.labels) == set(detection["ap"])
        for label, ap in zip(metrics.labels, metrics.ap, strict=True):
            np.testing.assert_allclose(ap, detection["ap"][label], rtol=0, atol=TOLERANCE)
        np.testing.assert_allclose(metrics.mAP, np.array(detection["mAP"], float), rtol=0, atol=TOLERANCE)
        np.testing.assert_allclose(
            metrics.average_mAP, float(detection["average_mAP"]), rtol=0, atol=TOLERANCE
        )
    if proposal.get("error") == "ZeroDivisionError":
        with pytest.raises(InputError, match="AR@AN"):
            evaluate_proposals(truth, found)
    elif "error" not in proposal:
        figures = evaluate_proposals(truth, found)
        np.testing.assert_allclose(figures.recall[:, -1], proposal["recall_at_last"], rtol=0, atol=TOLERANCE)
        np.testing.assert_allclose(figures.average_recall, proposal["avg_recall"], rtol=0, atol=TOLERANCE)
        assert 100 * figures.auc == pytest.approx(proposal["auc"], abs=100 * TOLERANCE)


def test_edge_cases(golden: Path, tmp_path: Path) -> None:
    cases = load(golden / "edge_cases.json")
    assert len(cases) == 34
    for case in cases:
        check_case(case, tmp_path)


def test_small_random_cases(golden: Path, tmp_path: Path) -> None:
    cases = load(golden / "small_random_cases.json.gz")
    assert len(cases) == 75
    for case in cases:
        check_case(case, tmp_path)


def test_where_the_official_code_stops_and_this_goes_on(golden: Path, tmp_path: Path) -> None:
    """A predicted class without annotations is a KeyError there, and more of the header is
    demanded."""
    cases = {case["name"]: case for case in load(golden / "edge_cases.json")}
    truth, found = read_case(cases["label_absent_from_gt"], tmp_path)
    metrics = evaluate_detections(truth, found)
    assert (metrics.labels, metrics.average_mAP, metrics.ignored_predictions) == (("a",), 1.0, 1)
    for name in ("missing_field_external_data", "missing_field_taxonomy"):
        truth, found = read_case(cases[name], tmp_path)
        assert evaluate_detections(truth, found).labels == ("a",)
