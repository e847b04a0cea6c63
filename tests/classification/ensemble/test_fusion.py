"""Score fusion: against a plain loop over lists, and what must hold whatever the segments."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from classification.ensemble.fusion import fuse_detections, fuse_segments, tious
from classification.ensemble.weights import shares
from runtime.errors import InputError
from video_datasets.predictions import Predictions

Row = tuple[float, float, float, int]
"""Start, length, score, member."""

ROWS = st.lists(
    st.tuples(
        st.integers(0, 20).map(float),
        st.integers(0, 9).map(float),
        st.integers(1, 8).map(float),
        st.integers(0, 2),
    ),
    max_size=12,
)


def plain_fusion(rows: list[Row], weights: list[float], min_tiou: float) -> list[tuple[float, float, float]]:
    """Findings (start, end, score) by lists of their parts, every mean taken anew from the parts."""
    findings: list[list[tuple[float, float, float, int]]] = []

    def ends(parts: list[tuple[float, float, float, int]]) -> tuple[float, float, float]:
        total = sum(part[2] for part in parts)
        return sum(p[0] * p[2] for p in parts) / total, sum(p[1] * p[2] for p in parts) / total, total

    weighted = [(start, start + length, score * weights[m], m) for start, length, score, m in rows]
    for start, end, score, member in sorted(weighted, key=lambda row: -row[2]):
        best, found = -1.0, None
        for parts in findings:
            other_start, other_end, _ = ends(parts)
            shared = max(0.0, min(end, other_end) - max(start, other_start))
            union = (end - start) + (other_end - other_start) - shared
            overlap = shared / union if union > 0 else 0.0
            if member not in {part[3] for part in parts} and overlap > best:
                best, found = overlap, parts
        if found is None or best < min_tiou:
            found = []
            findings.append(found)
        found.append((start, end, score, member))
    return sorted(map(ends, findings), key=lambda finding: -finding[2])


@given(ROWS, st.sampled_from([0.25, 0.55, 0.85]))
def test_fused_segments_are_those_of_a_plain_loop(rows: list[Row], min_tiou: float) -> None:
    weights = [0.5, 0.3, 0.2]
    start, length, score, member = (
        (np.array(column) for column in zip(*rows, strict=True)) if rows else [np.zeros(0)] * 4
    )
    segments = np.stack([start, start + length], axis=1)
    found = fuse_segments(segments, score, member.astype(int), np.array(weights), min_tiou=min_tiou)
    expected = plain_fusion(rows, weights, min_tiou)
    assert len(expected) == len(found.scores)
    for (first, last, total), segment, value in zip(expected, found.segments, found.scores, strict=True):
        assert (first, last, total) == pytest.approx((*segment, value), abs=1e-9)


def detections(rows: list[Row], video_id: str = "v") -> Predictions:
    """Detections of one label."""
    segments = [(start, start + length) for start, length, _, _ in rows]
    return Predictions.of_video(video_id, segments, [row[2] for row in rows], [0] * len(rows), ("run",))


@given(ROWS)
def test_a_run_with_itself_is_itself(rows: list[Row]) -> None:
    run = detections([(start, length + 1, score, 0) for start, length, score, _ in rows])
    found = fuse_detections([run, run], np.array([0.5, 0.5]), min_tiou=1.0)
    order = np.argsort(-run.score, kind="stable")
    np.testing.assert_allclose(found.score, run.score[order])
    assert sorted(map(tuple, found.segments_s)) == sorted(map(tuple, run.segments_s))


@given(ROWS)
def test_a_run_without_weight_changes_nothing(rows: list[Row]) -> None:
    run, other = detections(rows), detections([(3.0, 4.0, 9.0, 0)])
    alone = fuse_detections([run], np.array([1.0]), min_tiou=0.7)
    found = fuse_detections([run, other], np.array([1.0, 0.0]), min_tiou=0.7)
    np.testing.assert_array_equal(found.score, alone.score)
    np.testing.assert_array_equal(found.segments_s, alone.segments_s)


def test_labels_and_videos_are_kept_apart() -> None:
    first = Predictions.of_video("a", [(0, 8), (0, 8)], [0.8, 0.4], [0, 1], ("run", "sit"))
    second = Predictions.of_video("b", [(0, 8)], [0.6], [0], ("sit",))
    third = Predictions.of_video("a", [(0, 8)], [0.2], [0], ("sit",))
    found = fuse_detections([first, second, third], shares([1, 1, 2], 3), min_tiou=0.7)
    rows = [
        (found.videos[video], label, round(score, 9))
        for video, label, score in zip(found.video_index, found.label_names, found.score, strict=True)
    ]
    assert rows == [("a", "run", 0.2), ("a", "sit", 0.2), ("b", "sit", 0.15)]


def test_scores_that_are_no_shares_are_refused() -> None:
    with pytest.raises(
        InputError, match="member 2: expected detections with labels and scores of at least 0"
    ):
        fuse_detections(
            [detections([(0, 1, 1, 0)]), detections([(0, 1, -1, 0)])], shares(None, 2), min_tiou=0.7
        )


@pytest.mark.parametrize("weights", [[1.0], [1.0, -0.5], [0.0, 0.0], [1.0, float("nan")]])
def test_weights_that_weigh_nothing_are_refused(weights: list[float]) -> None:
    with pytest.raises(InputError, match="--weights: expected"):
        shares(weights, 2)


def test_points_do_not_overlap() -> None:
    assert tious(np.array([1.0, 1.0]), np.array([[1.0, 1.0], [0.0, 2.0]])).tolist() == [0.0, 0.0]
