"""AR@AN against a slow plain version of the official text, plain top-k recall, and messages."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation import evaluate_proposals, recall_at_top_k
from runtime.errors import InputError

THRESHOLDS = (0.25, 0.5, 1.0)


def columns(rows: list[Any]) -> dict[str, list[Any]]:
    names = ("video_id", "start_s", "end_s", "score")[: len(rows[0]) if rows else 4]
    return {name: [row[number] for row in rows] for number, name in enumerate(names)}


def plain_tiou(left: Any, right: Any) -> float:
    intersection = max(0.0, min(left[2], right[2]) - max(left[1], right[1]))
    union = (left[2] - left[1]) + (right[2] - right[1]) - intersection
    return intersection / union if union else np.nan


def ranked(proposals: list[Any], video: str) -> list[Any]:
    rows = [row for row in range(len(proposals)) if proposals[row][0] == video]
    return [proposals[row] for row in sorted(rows, key=lambda row: (proposals[row][3], row), reverse=True)]


def plain_recall(annotations: list[Any], proposals: list[Any], max_avg: float | None) -> np.ndarray | None:
    videos = list(dict.fromkeys(row[0] for row in annotations))
    max_avg = max_avg or len(proposals) / len(videos)
    ratio = max_avg * float(len(videos)) / len(proposals)
    kept = {}
    for video in videos:
        candidates = ranked(proposals, video)
        kept[video] = candidates[: min(int(len(candidates) * ratio), len(candidates))]
    total = sum(map(len, kept.values()))
    if total == 0:
        return None
    recall = np.zeros((len(THRESHOLDS), 100))
    for point in range(100):
        share = (point + 1) / 100.0 * (max_avg * float(len(videos)) / total)
        for row, threshold in enumerate(THRESHOLDS):
            found = 0
            for annotation in annotations:
                best = kept[annotation[0]]
                best = best[: min(int(len(best) * share), len(best))]
                found += any(plain_tiou(annotation, proposal) >= threshold for proposal in best)
            recall[row, point] = found / len(annotations)
    return recall


half_seconds = st.integers(0, 8).map(lambda n: n / 2)
annotation_rows = st.tuples(st.sampled_from("uvw"), half_seconds, half_seconds)
proposal_rows = st.tuples(
    st.sampled_from("uvwx"), half_seconds, half_seconds, st.integers(0, 3).map(lambda n: n / 4)
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(annotation_rows, min_size=1, max_size=6),
    st.lists(proposal_rows, min_size=1, max_size=20),
    st.sampled_from([None, 1, 3.5, 100]),
)
def test_equals_the_plain_version(annotations: list[Any], proposals: list[Any], last: float | None) -> None:
    expected = plain_recall(annotations, proposals, last)
    arguments: dict[str, Any] = {"tiou_thresholds": THRESHOLDS, "max_avg_proposals": last}
    if expected is None:
        with pytest.raises(InputError, match=r"none is left in the .* videos with annotations"):
            evaluate_proposals(columns(annotations), columns(proposals), **arguments)
        return
    metrics = evaluate_proposals(columns(annotations), columns(proposals), **arguments)
    np.testing.assert_array_equal(metrics.recall, expected)
    np.testing.assert_allclose(metrics.an[-1], last or len(proposals) / len({row[0] for row in annotations}))
    area = sum(np.diff(metrics.an) * (metrics.average_recall[1:] + metrics.average_recall[:-1]) / 2)
    assert metrics.auc == pytest.approx(area / metrics.an[-1], abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(st.lists(annotation_rows, min_size=1, max_size=6), st.lists(proposal_rows, max_size=20))
def test_top_k_equals_the_plain_version(annotations: list[Any], proposals: list[Any]) -> None:
    k = (1, 3, 30)
    found = recall_at_top_k(columns(annotations), columns(proposals), k=k, tiou_thresholds=THRESHOLDS)
    expected = [
        [
            np.mean(
                [
                    any(plain_tiou(row, p) >= threshold for p in ranked(proposals, row[0])[:top])
                    for row in annotations
                ]
            )
            for top in k
        ]
        for threshold in THRESHOLDS
    ]
    np.testing.assert_array_equal(found, expected)


def test_official_is_not_top_k() -> None:
    """Two videos with 1 and 3 proposals: AN = 1 keeps half of each, int(0.5) = 0 and int(1.5) =
    1."""
    truth = columns([("v", 0, 10), ("w", 0, 10)])
    found = columns([("v", 0, 10, 0.9), ("w", 0, 10, 0.9), ("w", 50, 60, 0.8), ("w", 70, 80, 0.7)])
    metrics = evaluate_proposals(truth, found)
    assert metrics.average_recall[:2].tolist() == [0.5, 1.0]
    assert recall_at_top_k(truth, found, k=(1,)).mean() == 1.0
    assert metrics.an.tolist() == list(range(1, 101))
    assert metrics.auc == pytest.approx((0.75 + 98) / 100)
    assert metrics.tied_scores == 0


def test_float_noise_of_the_official_share_is_kept() -> None:
    """100 proposals in one video, only the 29th hits: int(0.29 * 100) is 28, so AN = 29 still
    misses it."""
    found = columns([("v", 0, 10 if n == 28 else 1, 1 - n / 100) for n in range(100)])
    recall = evaluate_proposals(columns([("v", 0, 10)]), found).average_recall
    assert recall[27:30].tolist() == [0, 0, 1]


def test_messages() -> None:
    truth, found = columns([("v", 0, 10)]), columns([("v", 0, 10, 1)])
    with pytest.raises(InputError, match="found 1 annotations, 0 proposals"):
        evaluate_proposals(truth, columns([]))
    with pytest.raises(InputError, match="found 0 annotations, 1 proposals"):
        evaluate_proposals(columns([]), found)
    with pytest.raises(InputError, match="of 1 proposals none is left in the 1 videos"):
        evaluate_proposals(truth, columns([("other", 0, 10, 1)]))
    with pytest.raises(InputError, match="recall at top k needs annotations"):
        recall_at_top_k(columns([]), found)
