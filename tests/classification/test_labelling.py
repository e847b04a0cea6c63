"""Labels of proposals: against TCANet's own post-processing, and against plain loops."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from classification.labelling import class_probabilities, features_inside
from classification.labels import OneSetOfClasses
from classification.settings import ClassificationConfig
from video_datasets.predictions import Predictions


def label_proposals(
    segments_s: np.ndarray, scores: np.ndarray, probabilities: np.ndarray, **settings: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Give all proposals of a video the same probabilities (K,); return segments, scores and
    class numbers."""
    proposals = Predictions.of_video("v", segments_s, scores)
    names = tuple(f"{k:03d}" for k in range(len(probabilities)))
    found = OneSetOfClasses().label(
        proposals,
        {"action": np.broadcast_to(probabilities, (len(scores), len(probabilities)))},
        {"action": names},
        ClassificationConfig(**settings),
    )["action"]
    return found.segments_s, found.score, np.array([int(name) for name in found.label_names], dtype=int)


def test_detections_are_those_of_tcanet(shared: Path) -> None:
    """Reference: `save_detection_result` of the TCANet repository (softmax(2 x), top 3 classes,
    best 200)."""
    golden = json.loads((shared / "golden/bmn/hacs_detections.json").read_text())
    assert golden["proposals"]
    for video_id, proposals in golden["proposals"].items():
        logits = np.ravel(golden["classifier"]["results"][video_id])
        segments_s = np.array([proposal["segment"] for proposal in proposals])
        scores = np.array([proposal["score"] for proposal in proposals])
        found = label_proposals(
            segments_s, scores, class_probabilities(logits, 2.0), top_classes=3, max_detections=200
        )
        expected = golden["detections"]["results"][video_id]
        np.testing.assert_array_equal(found[0], [entry["segment"] for entry in expected])
        # float32 there
        np.testing.assert_allclose(found[1], [entry["score"] for entry in expected], rtol=3e-6)
        assert [f"class{k:03d}" for k in found[2]] == [entry["label"] for entry in expected]


LOGITS = st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=8).map(np.array)


@given(LOGITS, st.floats(0, 5))
def test_probabilities_are_a_softmax_for_any_logits(logits: np.ndarray, temperature: float) -> None:
    found = class_probabilities(logits, temperature)
    assert np.isfinite(found).all()
    assert found.sum() == pytest.approx(1.0)
    np.testing.assert_allclose(found, class_probabilities(logits + 100.0, temperature), atol=1e-9)
    ratio = np.log(np.maximum(found, 1e-300) / found.max())
    expected = np.maximum(temperature * (logits - logits.max()), np.log(1e-300))
    np.testing.assert_allclose(
        np.where(ratio < -600, -600, ratio), np.where(expected < -600, -600, expected), atol=1e-6
    )


@given(st.integers(0, 6), st.integers(1, 6), st.integers(1, 8), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_detections_are_the_best_products(
    num_proposals: int, num_classes: int, top_classes: int, max_detections: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    segments_s = rng.random((num_proposals, 2))
    scores = rng.integers(0, 4, num_proposals) / 4  # with ties
    probabilities = rng.permutation(num_classes) + 1.0
    best = sorted(range(num_classes), key=lambda k: -probabilities[k])[:top_classes]
    products = [
        (-probabilities[k] * scores[p], rank, p, k)
        for rank, k in enumerate(best)
        for p in range(num_proposals)
    ]
    expected = sorted(products)[:max_detections]
    found = label_proposals(
        segments_s, scores, probabilities, top_classes=top_classes, max_detections=max_detections
    )
    np.testing.assert_array_equal(found[0], segments_s[[p for *_, p, _ in expected]].reshape(-1, 2))
    np.testing.assert_array_equal(found[1], [-product for product, *_ in expected])
    np.testing.assert_array_equal(found[2], [k for *_, k in expected])


TIMES = st.lists(st.floats(0, 20), min_size=1, max_size=12, unique=True).map(sorted).map(np.array)
SEGMENTS = st.lists(st.tuples(st.floats(0, 20), st.floats(0, 20)).map(sorted), max_size=4)


@given(TIMES, SEGMENTS)
def test_features_inside_are_those_of_a_plain_loop(times_s: np.ndarray, segments: list[list[float]]) -> None:
    found = features_inside(times_s, np.reshape(segments, (-1, 2)))
    chosen: set[int] = set()
    for start_s, end_s in segments:
        within = {k for k, time_s in enumerate(times_s) if start_s <= time_s <= end_s}
        chosen |= within or {min(range(len(times_s)), key=lambda k: abs(times_s[k] - (start_s + end_s) / 2))}
    assert found.dtype == bool
    assert set(np.flatnonzero(found)) == (chosen if segments else set(range(len(times_s))))


@pytest.mark.parametrize(
    ("segments", "expected"),
    [
        ([], [1, 1, 1, 1]),  # no proposal: the whole video
        ([(1.0, 2.0)], [0, 1, 1, 0]),  # both ends touch
        ([(1.1, 1.2)], [0, 1, 0, 0]),  # between two features: the nearest
        ([(0.0, 0.5), (2.9, 9.0)], [1, 0, 0, 1]),  # two proposals
    ],
)
def test_features_inside_by_hand(segments: list[tuple[float, float]], expected: list[int]) -> None:
    found = features_inside(np.array([0.0, 1.0, 2.0, 3.0]), np.reshape(segments, (-1, 2)))
    assert found.tolist() == [bool(k) for k in expected]
