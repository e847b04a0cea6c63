"""Candidate pairs against the original's and against plain loops."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bmn.candidates import candidate_pairs
from bmn.scoring import proposal_scores


def slow_pairs(start: np.ndarray, end: np.ndarray, dscale: int, peak_share: float) -> list[tuple[int, int]]:
    tscale = len(start)

    def is_candidate(scores: np.ndarray, i: int) -> bool:
        if i in (0, tscale - 1):
            return False
        return bool(
            (scores[i] > scores[i - 1] and scores[i] > scores[i + 1]) or scores[i] > peak_share * max(scores)
        )

    return [
        (t, t + d + 1)
        for d in range(dscale)
        for t in range(tscale)
        if t + d + 1 < tscale
        and (t == 0 or is_candidate(start, t))
        and (t + d + 1 == tscale - 1 or is_candidate(end, t + d + 1))
    ]


def test_equals_original(shared: Path) -> None:
    golden = np.load(shared / "golden/bmn/candidates.npz")
    found = candidate_pairs(golden["start"], golden["end"], golden["confidence_map"])
    columns = [*found.segments.T, found.start_score, found.end_score, found.cls_score, found.reg_score]
    np.testing.assert_allclose(np.stack(columns, axis=1), golden["proposals"][:, :6], atol=1e-7)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 9), st.integers(1, 10), st.sampled_from([0.5, 0.8]), st.integers(0, 2**32 - 1))
def test_equals_plain_loops(tscale: int, dscale: int, peak_share: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    start, end = rng.integers(0, 5, (2, tscale)) / 4  # few levels: plateaus and ties
    confidence_map = rng.random((2, dscale, tscale))
    found = candidate_pairs(start, end, confidence_map, peak_share)
    pairs = slow_pairs(start, end, dscale, peak_share)
    assert list(zip(found.start_index, found.end_index, strict=True)) == pairs
    for row, (first, last) in enumerate(pairs):
        assert found.segments[row].tolist() == [first / tscale, last / tscale]
        assert (found.start_score[row], found.end_score[row]) == (start[first], end[last])
        assert found.reg_score[row] == confidence_map[0, last - first - 1, first]
        assert found.cls_score[row] == confidence_map[1, last - first - 1, first]


def test_flat_zero_maps_give_the_two_fixed_borders_only() -> None:
    found = candidate_pairs(np.zeros(6), np.zeros(6), np.zeros((2, 6, 6)))
    assert (found.start_index.tolist(), found.end_index.tolist()) == ([0], [5])


@pytest.mark.parametrize(
    ("start", "end", "confidence_map", "message"),
    [
        (np.zeros(5), np.zeros(4), np.zeros((2, 3, 5)), r"got \(\(5,\), \(4,\), \(2, 3, 5\)\)"),
        (np.zeros(5), np.zeros(5), np.zeros((3, 5)), "confidence_map .2, D, T."),
        (np.zeros(0), np.zeros(0), np.zeros((2, 3, 0)), "with T >= 1"),
        (np.zeros(5), np.full(5, np.nan), np.zeros((2, 3, 5)), "end contains nan"),
    ],
)
def test_refuses_bad_maps(
    start: np.ndarray, end: np.ndarray, confidence_map: np.ndarray, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        candidate_pairs(start, end, confidence_map)


def test_score_is_the_powers_in_float64() -> None:
    cls_score, reg_score = np.float32([0.5, 0.25]), np.float32([0.5, 1.0])
    scores = proposal_scores(cls_score, reg_score, cls_power=2.0, reg_power=3.0)
    assert scores.dtype == np.float64
    assert scores.tolist() == [0.5**5, 0.0625]
