"""Class scores of whole videos by others: files, class names, and the rules of published code."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from classification.labels import LabelVideo
from classification.score_sources import VideoScoreSource
from classification.settings import ClassificationConfig
from classification.video_scores import read_video_scores
from runtime.errors import InputError
from video_datasets.predictions import Predictions

CLASSES = ("Long jump", "High jump", "Shot put")
LOGITS = (2.0, 0.5, 1.0)
SEGMENTS = [(0.0, 4.0, 0.9), (5.0, 9.0, 0.4), (1.0, 3.0, 0.1)]


def write(path: Path, values: object, classes: tuple[str, ...] = CLASSES) -> Path:
    path.write_text(json.dumps({"class": list(classes), "results": {"abc": values}}))
    return path


def labelled(path: Path, **settings: object) -> list[tuple[float, float, str, float]]:
    """Detections of video v_abc, whose proposals are SEGMENTS."""
    config = ClassificationConfig(**settings)  # type: ignore[arg-type]
    scores, _ = read_video_scores(path).for_classes(CLASSES, outside=-math.inf)
    temperature = config.temperature if config.class_scores_are == "logits" else None
    label = LabelVideo(VideoScoreSource(scores, temperature), {"action": CLASSES}, config)
    proposals = Predictions.of_video("v_abc", [row[:2] for row in SEGMENTS], [row[2] for row in SEGMENTS])
    found = label(proposals)["action"]
    rows = zip(found.segments_s.tolist(), found.label_names, found.score.tolist(), strict=True)
    return [(start_s, end_s, name, score) for (start_s, end_s), name, score in rows]


def softmax(values: np.ndarray) -> np.ndarray:
    return np.exp(values) / np.exp(values).sum()


def plain(probabilities: np.ndarray, top: int, root: bool) -> list[tuple[float, float, str, float]]:
    """Every segment with each of the video's best classes, best first: the rule of all the
    published scripts."""
    best = np.argsort(-probabilities)[:top]
    rows = [
        (start_s, end_s, CLASSES[k], (score * probabilities[k]) ** (0.5 if root else 1.0))
        for start_s, end_s, score in SEGMENTS
        for k in best
    ]
    return sorted(rows, key=lambda row: -row[3])


@pytest.mark.parametrize(
    ("values", "settings", "expected"),
    [
        # ActionFormer on ActivityNet: CUHK's probabilities, top 2, square root
        ([0.7, 0.1, 0.2], {"top_classes": 2, "score_power": 0.5}, (np.array([0.7, 0.1, 0.2]), 2, True)),
        # OpenTAD: the same without it
        ([[0.7, 0.1, 0.2]], {"top_classes": 2}, (np.array([0.7, 0.1, 0.2]), 2, False)),
        # TCANet on HACS: softmax(2 * logits), top 3
        (
            [LOGITS],
            {"class_scores_are": "logits", "temperature": 2.0, "top_classes": 3},
            (softmax(2 * np.array(LOGITS)), 3, False),
        ),
        # OpenTAD on HACS: softmax(logits) * 2, whose factor changes no order
        (
            [LOGITS],
            {"class_scores_are": "logits", "temperature": 1.0, "top_classes": 3},
            (softmax(np.array(LOGITS)), 3, False),
        ),
    ],
    ids=["actionformer", "opentad", "tcanet", "opentad_hacs"],
)
def test_rules_of_published_code(
    values: object, settings: dict[str, object], expected: tuple[np.ndarray, int, bool], tmp_path: Path
) -> None:
    found = labelled(write(tmp_path / "scores.json", values), **settings)
    wanted = plain(*expected)
    assert [row[:3] for row in found] == [row[:3] for row in wanted]
    np.testing.assert_allclose([row[3] for row in found], [row[3] for row in wanted], rtol=1e-12)


def test_golden_file_of_tcanet(shared: Path, tmp_path: Path) -> None:
    """Scores as that repository publishes them, through a file."""
    golden = json.loads((shared / "golden/bmn/hacs_detections.json").read_text())
    (tmp_path / "scores.json").write_text(json.dumps(golden["classifier"]))
    scores = read_video_scores(tmp_path / "scores.json")
    label = LabelVideo(VideoScoreSource(scores, 2.0), {"action": scores.classes}, ClassificationConfig())
    for video_id, proposals in golden["proposals"].items():
        rows = [(entry["segment"], entry["score"]) for entry in proposals]
        found = label(Predictions.of_video(video_id, *zip(*rows, strict=True)))["action"]
        expected = golden["detections"]["results"][video_id]
        assert list(found.label_names) == [entry["label"] for entry in expected]
        np.testing.assert_array_equal(found.segments_s, [entry["segment"] for entry in expected])


def test_classes_are_mapped_by_name_and_the_others_listed(tmp_path: Path) -> None:
    path = write(tmp_path / "s.json", [0.1, 0.2, 0.7], ("shot_put", "Curling", "LongJump"))
    scores, remarks = read_video_scores(path).for_classes(CLASSES, outside=0.0)
    assert scores.of_video("v_abc").tolist() == [0.7, 0.0, 0.1]
    assert "1 classes that the data set does not have are left out: Curling" in remarks[0]
    assert "no scores for 1 classes, which get no detections: High jump" in remarks[1]


def test_a_csv_has_a_line_for_each_video_and_class(tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    path.write_text("video,label,score\nabc,Long jump,0.8\nabc,Shot put,0.1\nother,High jump,0.9\n")
    scores, remarks = read_video_scores(path).for_classes(CLASSES, outside=0.0)
    assert remarks == []
    assert scores.of_video("abc").tolist() == [0.8, 0.0, 0.1]
    with pytest.raises(InputError, match=r"no class scores in scores\.csv"):
        scores.of_video("nobody")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"results": {}}, "expected a list of class names under 'class'"),
        ({"class": ["a"], "results": [1]}, "expected an object 'results'"),
        (
            {"class": ["a"], "results": {"v": [1, 2], "w": ["x"]}},
            "(?s)video 'v': expected 1 scores.*found 2.*video 'w'",
        ),
        ({"class": ["a"], "results": {"v": [[1e999]]}}, "must be finite"),
        ({"class": ["a", "b"], "results": {"v": [1, 2]}}, "none of its 2 classes"),
        ({"class": ["Shot put", "shot-put"], "results": {"v": [1, 2]}}, "cannot be told apart"),
    ],
)
def test_bad_files_are_refused(content: object, message: str, tmp_path: Path) -> None:
    (tmp_path / "s.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=message):
        read_video_scores(tmp_path / "s.json").for_classes(CLASSES, outside=0.0)
