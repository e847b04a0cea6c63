"""mAP against a slow plain version, written here one prediction at a time, and cases checked by
hand."""

from __future__ import annotations

import doctest
import importlib
import itertools
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import evaluation
import evaluation.files.sanity
import evaluation.metrics.average_precision
import evaluation.metrics.average_recall
import evaluation.metrics.columns
import evaluation.metrics.detection
import evaluation.metrics.matching
from evaluation import evaluate_detections
from evaluation.files.protocols import PROTOCOLS
from evaluation.metrics.columns import Segments
from evaluation.metrics.detection import count_ties, rank_predictions
from evaluation.metrics.matching import find_true_positives, iterate_pairs, temporal_iou
from runtime.errors import InputError

Row = tuple[str, str, float, float]


def columns(rows: list[Any]) -> dict[str, list[Any]]:
    names = ("video_id", "label", "start_s", "end_s", "score")[: len(rows[0]) if rows else 5]
    return {name: [row[number] for row in rows] for number, name in enumerate(names)}


def plain_tiou(annotation: Row, prediction: Row) -> float:
    intersection = max(0.0, min(annotation[3], prediction[3]) - max(annotation[2], prediction[2]))
    union = (annotation[3] - annotation[2]) + (prediction[3] - prediction[2]) - intersection
    if union == 0:
        return np.inf if intersection == 0 else intersection / union
    return intersection / union


def plain_ap(annotations: list[Row], predictions: list[Any], threshold: float) -> float:
    """AP of one class, following the official text step by step."""
    order = sorted(range(len(predictions)), key=lambda row: (predictions[row][4], row), reverse=True)
    taken: set[int] = set()
    hits = []
    for row in order:
        overlaps = [
            (plain_tiou(annotation, predictions[row]), number)
            for number, annotation in enumerate(annotations)
            if annotation[0] == predictions[row][0]
        ]
        free = [
            number
            for tiou, number in sorted(overlaps, reverse=True)
            if tiou >= threshold and number not in taken
        ]
        taken |= set(free[:1])
        hits.append(bool(free))
    precision = [sum(hits[: n + 1]) / (n + 1) for n in range(len(hits))]
    recall = [sum(hits[: n + 1]) / len(annotations) for n in range(len(hits))]
    envelope = list(itertools.accumulate(precision[::-1], max))[::-1]
    return sum((r - before) * p for r, before, p in zip(recall, [0.0, *recall], envelope, strict=False))


half_seconds = st.integers(0, 12).map(lambda n: n / 2)
annotation_rows = st.tuples(st.sampled_from("uvw"), st.sampled_from("ab"), half_seconds, half_seconds)
prediction_rows = st.tuples(
    st.sampled_from("uvwx"),
    st.sampled_from("abc"),
    half_seconds,
    half_seconds,
    st.integers(0, 4).map(lambda n: n / 4),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(annotation_rows, min_size=1, max_size=12), st.lists(prediction_rows, max_size=25))
def test_equals_the_plain_version(annotations: list[Row], predictions: list[Any]) -> None:
    thresholds = (0.25, 0.5, 0.75, 1.0)
    metrics = evaluate_detections(columns(annotations), columns(predictions), tiou_thresholds=thresholds)
    assert metrics.labels == tuple(dict.fromkeys(row[1] for row in annotations))
    for label, ap in zip(metrics.labels, metrics.ap, strict=True):
        truth = [row for row in annotations if row[1] == label]
        found = [row for row in predictions if row[1] == label]
        np.testing.assert_allclose(ap, [plain_ap(truth, found, t) for t in thresholds], atol=1e-12)
    scores = [(row[1], row[4]) for row in predictions if row[1] in metrics.labels]
    assert metrics.tied_scores == sum(scores.count(score) > 1 for score in scores)
    assert metrics.ignored_predictions == len(predictions) - len(scores)
    np.testing.assert_allclose(metrics.average_mAP, metrics.ap.mean())


distinct_scores = st.lists(prediction_rows, min_size=1, max_size=20).map(
    lambda rows: [(*row[:4], 1 - number / 100) for number, row in enumerate(rows)]
)


@settings(max_examples=60, deadline=None)
@given(st.lists(annotation_rows, min_size=1, max_size=12), distinct_scores, st.permutations("uvwx"))
def test_order_of_videos_does_not_matter(
    annotations: list[Row], predictions: list[Any], order: list[str]
) -> None:
    metrics = evaluate_detections(columns(annotations), columns(predictions), protocol="ek100")
    shuffled = [sorted(rows, key=lambda row: order.index(row[0])) for rows in (annotations, predictions)]
    again = evaluate_detections(*map(columns, shuffled), protocol="ek100")
    ap = dict(zip(again.labels, again.ap.tolist(), strict=True))
    assert {label: pytest.approx(ap[label], abs=1e-12) for label in metrics.labels} == dict(
        zip(metrics.labels, metrics.ap.tolist(), strict=True)
    )


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 8), st.lists(st.booleans(), min_size=1, max_size=12), st.data())
def test_ap_falls_when_a_true_positive_is_removed(size: int, hits: list[bool], data: st.DataObject) -> None:
    """Annotations far apart, so that nobody else can take what the removed prediction had found."""
    truth = [("v", "a", 100.0 * n, 100.0 * n + 10) for n in range(size)]
    hits = [True, *hits]
    places = iter(range(size))
    rows = []
    for number, hit in enumerate(hits):
        place = next(places, None) if hit else None
        start = 50.0 + 100 * number if place is None else 100.0 * place
        rows.append(("v", "a", start, start + 10, 1 - number / 100))
    metrics = evaluate_detections(columns(truth), columns(rows))
    found = [number for number, row in enumerate(rows) if row[2] % 100 == 0]
    removed = data.draw(st.sampled_from(found))
    less = evaluate_detections(columns(truth), columns(rows[:removed] + rows[removed + 1 :]))
    assert less.ap[0, 0] < metrics.ap[0, 0]
    assert less.recall[0] == pytest.approx(metrics.recall[0] - 1 / size)


def test_protocol_chooses_the_thresholds() -> None:
    truth, found = columns([("v", "a", 0, 10)]), columns([("v", "a", 0, 4, 1)])
    assert evaluate_detections(truth, found).average_mAP == 0
    assert evaluate_detections(truth, found, protocol="activitynet").average_mAP == 0
    assert evaluate_detections(truth, found, protocol="ek100").mAP.tolist() == [1, 1, 1, 1, 0]
    with pytest.raises(
        InputError, match="protocol 'coco' is unknown; expected one of hacs, activitynet, thumos, ek100"
    ):
        evaluate_detections(truth, found, protocol="coco")


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 5)), max_size=12), st.integers(1, 9))
def test_pairs_come_in_bounded_pieces(blocks: list[tuple[int, int]], max_pairs: int) -> None:
    first, count = (np.array([block[side] for block in blocks], dtype=np.int64) for side in (0, 1))
    pieces = list(iterate_pairs(first, count, max_pairs))
    pairs = [pair for rows, others in pieces for pair in zip(rows.tolist(), others.tolist(), strict=True)]
    assert pairs == [(row, a) for row, (start, n) in enumerate(blocks) for a in range(start, start + n)]
    for rows, _ in pieces:
        assert len(rows) <= max_pairs or len(set(rows.tolist())) == 1


def random_segments(rng: np.random.Generator, size: int) -> Segments:
    start = rng.integers(0, 40, size) / 2
    return Segments(
        rng.integers(0, 3, size),
        np.zeros(size, int),
        start,
        start + rng.integers(0, 20, size) / 2,
        np.zeros(size),
    )


def test_small_pieces_change_nothing() -> None:
    rng = np.random.default_rng(0)
    annotations, predictions = random_segments(rng, 60), random_segments(rng, 200)
    thresholds = np.array([0.1, 0.5, 0.7])
    whole = find_true_positives(annotations, predictions, thresholds)
    assert 20 < whole[0].sum() <= 60
    np.testing.assert_array_equal(
        whole, find_true_positives(annotations, predictions, thresholds, max_pairs=7)
    )


def test_one_case_by_hand() -> None:
    """Class a, by score: hit (0.8), miss, hit (0.5), so AP = 1/2 + 1/2 * 2/3 at 0.5. Class b is
    not found."""
    truth = columns([("v", "a", 0, 10), ("v", "a", 20, 30), ("w", "b", 0, 5)])
    found = columns(
        [("v", "a", 0, 8, 0.9), ("w", "a", 0, 5, 0.8), ("v", "a", 20, 25, 0.7), ("x", "c", 0, 1, 1)]
    )
    metrics = evaluate_detections(truth, found, tiou_thresholds=(0.5, 0.8, 0.9))
    np.testing.assert_allclose(metrics.ap, [[5 / 6, 0.5, 0.0], [0.0, 0.0, 0.0]], rtol=1e-15)
    np.testing.assert_allclose(metrics.mAP, [5 / 12, 1 / 4, 0], rtol=1e-15)
    assert metrics.average_mAP == pytest.approx(2 / 9, rel=1e-15)
    assert metrics.labels == ("a", "b")
    assert metrics.true_positive_counts.tolist() == [[2, 1, 0], [0, 0, 0]]
    np.testing.assert_allclose(metrics.recall, [2 / 3, 1 / 3, 0], rtol=1e-15)
    assert metrics.annotation_counts.tolist() == [2, 1]
    assert metrics.prediction_counts.tolist() == [3, 0]
    assert (metrics.ignored_predictions, metrics.tied_scores) == (1, 0)


def test_thresholds_are_those_of_linspace() -> None:
    assert PROTOCOLS["hacs"].tiou_thresholds[8] == 0.8999999999999999
    assert PROTOCOLS["ek100"].tiou_thresholds[2] == 0.30000000000000004


def test_many_rivals_for_few_annotations() -> None:
    """A chain of displacements: each round takes one annotation further down the preference
    lists."""
    truth = columns([("v", "a", 0.0, 100.0 + n) for n in range(30)])
    found = columns([("v", "a", 0.0, 129.0, score) for score in np.linspace(0, 1, 100)])
    metrics = evaluate_detections(truth, found, tiou_thresholds=(0.5,))
    assert metrics.ap[0, 0] == pytest.approx(1.0, rel=1e-12)


def test_float32_columns_are_widened() -> None:
    one = np.array([0.1], dtype=np.float32)
    segments = Segments(np.zeros(1, int), np.zeros(1, int), one, one + 1, one)
    truth = {"video_id": ["v"], "label": ["a"], "start_s": one, "end_s": segments.end_s}
    found = {**truth, "score": one}
    assert evaluate_detections(truth, found).average_mAP == 1.0


def test_nan_ranks_first_and_overlaps_all() -> None:
    truth = columns([("v", "a", 0.0, 10.0)])
    found = columns([("v", "a", 0.0, 10.0, 0.9), ("v", "a", 40.0, 50.0, np.nan)])
    assert evaluate_detections(truth, found).average_mAP == 0.5
    found = columns([("v", "a", 0.0, 10.0, 0.9), ("v", "a", np.nan, 50.0, 1.0)])
    assert evaluate_detections(truth, found).average_mAP == 1.0


def test_overlaps() -> None:
    annotations, predictions = np.array([[3, 3], [0, 10], [0, 10]]), np.array([[3, 3], [8, 2], [10, 20]])
    overlap = temporal_iou(annotations[:, 0], annotations[:, 1], predictions[:, 0], predictions[:, 1])
    np.testing.assert_array_equal(overlap, [np.nan, 0, 0])  # two points, inverted, touching


def test_ranking_is_stable_reversed() -> None:
    score = np.array([0.5, np.nan, 0.5, 1.0, -np.inf])
    segments = Segments(np.zeros(5, int), np.zeros(5, int), np.arange(5.0), np.arange(5.0), score)
    assert rank_predictions(segments, np.zeros(5, int)).start_s.tolist() == [1, 3, 2, 0, 4]
    assert rank_predictions(segments, np.array([1, 1, 0, 0, 0])).start_s.tolist() == [3, 2, 4, 1, 0]
    assert count_ties(np.zeros(0, int), np.zeros(0)) == 0


def test_data_frames_and_official_names() -> None:
    truth = pd.DataFrame({"video-id": ["v", "w"], "label": [7, 7], "t-start": [0, 0], "t-end": [10, 10]})
    found = pd.DataFrame(
        {"video-id": ["w"], "label": [7], "t-start": [0], "t-end": [10], "score": [0.5]}, index=[99]
    )
    metrics = evaluate_detections(truth, found)
    assert (metrics.labels, metrics.average_mAP) == ((7,), 0.5)
    categories = found.astype({"video-id": "category"})
    assert evaluate_detections(truth, categories).average_mAP == 0.5
    arrays = {name: truth[name].to_numpy() for name in truth}
    assert evaluate_detections(arrays, found).average_mAP == 0.5


def test_messages() -> None:
    truth, found = columns([("v", "a", 0, 10)]), columns([("v", "a", 0, 10, 1)])
    with pytest.raises(InputError, match="predictions: expected a column 'score', found video_id, label"):
        evaluate_detections(truth, truth)
    with pytest.raises(InputError, match="ground_truth: column 'end_s' must hold numbers"):
        evaluate_detections({**truth, "end_s": ["x"]}, found)
    with pytest.raises(InputError, match="predictions: expected columns of one length"):
        evaluate_detections(truth, {**found, "score": [1, 2]})
    for thresholds in ([], [0.5, np.nan], 0.5):
        with pytest.raises(InputError, match="tiou_thresholds: expected one or more numbers"):
            evaluate_detections(truth, found, tiou_thresholds=thresholds)


def test_no_annotations_have_no_score() -> None:
    metrics = evaluate_detections(columns([]), columns([("v", "a", 0, 10, 1)]))
    assert metrics.ap.shape == (0, 10)
    assert np.isnan(metrics.mAP).all()
    assert np.isnan(metrics.average_mAP)
    assert np.isnan(metrics.recall).all()


def test_unknown_public_name() -> None:
    with pytest.raises(AttributeError, match="no attribute 'evaluate_everything'"):
        _ = evaluation.evaluate_everything


@pytest.mark.parametrize(
    "name",
    [
        "metrics.average_precision",
        "metrics.columns",
        "metrics.detection",
        "metrics.thresholds",
        "frames",
        "metrics.matching",
    ],
)
def test_doctests(name: str) -> None:
    result = doctest.testmod(importlib.import_module(f"evaluation.{name}"))
    assert result.attempted > 0
    assert result.failed == 0
