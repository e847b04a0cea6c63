"""Soft-NMS against the original's outputs and against a plain loop."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proposals import soft_nms


def slow_soft_nms(
    segments: np.ndarray, scores: np.ndarray, alpha: float, low: float, high: float, power: float, keep: int
) -> tuple[list[int], list[float]]:
    pool = sorted(range(len(scores)), key=lambda i: -scores[i])
    current = {i: alpha * math.log(score) if score else -math.inf for i, score in enumerate(scores.tolist())}
    kept = []
    while pool and len(kept) < keep:
        highest = max(current[i] for i in pool)
        best = next(i for i in pool if current[i] >= highest - 1e-12)
        pool.remove(best)
        kept.append(best)
        (start, end) = segments[best]
        for i in pool:
            inter = max(0.0, min(end, segments[i][1]) - max(start, segments[i][0]))
            union = (end - start) + (segments[i][1] - segments[i][0]) - inter
            iou = inter / union if union > 0 else 0.0
            if iou > low + (high - low) * (end - start):
                current[i] -= iou**power
    return kept, [math.exp(current[i] / alpha) for i in kept]


@pytest.mark.parametrize("pool", ["n50", "n400"])
@pytest.mark.parametrize("setting", ["epic", "pool", "anet", "tcanet_hacs", "full"])
def test_equals_original(shared: Path, pool: str, setting: str) -> None:
    golden = np.load(shared / "golden/bmn/soft_nms.npz")
    segments, scores = golden[f"{pool}/seg"], golden[f"{pool}/score"]
    alpha, low, high, keep, power = golden[f"{pool}/{setting}/params"]
    kept, decayed = soft_nms(
        segments,
        scores,
        alpha=alpha,
        low_threshold=low,
        high_threshold=high,
        iou_power=power,
        max_proposals=int(keep),
    )
    expected = golden[f"{pool}/{setting}/rindex"]
    assert len(kept) == min(int(keep), len(scores))  # the original leaves out the last one of all
    np.testing.assert_array_equal(kept[: len(expected)], expected)
    np.testing.assert_allclose(decayed[: len(expected)], golden[f"{pool}/{setting}/out"][:, 2], atol=1e-12)


FRACTION = st.integers(0, 8).map(lambda n: n / 8)
PROPOSAL = st.tuples(FRACTION, FRACTION, st.integers(0, 4).map(lambda n: n / 4))


@settings(max_examples=100, deadline=None)
@given(
    st.lists(PROPOSAL, min_size=1, max_size=12),
    st.sampled_from([0.0005, 0.4]),  # the first makes scores underflow to 0
    st.sampled_from([(0.0, 0.0), (0.25, 0.9)]),
    st.sampled_from([1.0, 2.5]),
    st.integers(1, 14),
)
def test_equals_plain_loop(
    rows: list[tuple[float, float, float]],
    alpha: float,
    thresholds: tuple[float, float],
    power: float,
    keep: int,
) -> None:
    table = np.array(rows)
    segments, scores = np.sort(table[:, :2], axis=1), table[:, 2]
    kept, decayed = soft_nms(
        segments,
        scores,
        alpha=alpha,
        low_threshold=thresholds[0],
        high_threshold=thresholds[1],
        iou_power=power,
        max_proposals=keep,
    )
    expected_kept, expected_scores = slow_soft_nms(segments, scores, alpha, *thresholds, power, keep)
    assert kept.tolist() == expected_kept
    np.testing.assert_allclose(decayed, expected_scores, atol=1e-12)
    assert np.all(np.diff(decayed) <= 0)


SETTINGS = {"alpha": 0.4, "low_threshold": 0.25, "high_threshold": 0.9, "max_proposals": 10}


def test_nothing_in_nothing_out() -> None:
    kept, scores = soft_nms([], [], **SETTINGS)
    assert (len(kept), len(scores)) == (0, 0)


def test_single_proposal_is_kept() -> None:
    kept, scores = soft_nms([[0.1, 0.2]], [0.5], **SETTINGS)
    assert (kept.tolist(), scores.tolist()) == ([0], [0.5])


def test_inputs_are_left_alone() -> None:
    segments, scores = np.array([[0.0, 0.5], [0.0, 0.5]]), np.array([0.9, 0.8])
    soft_nms(segments, scores, **SETTINGS)
    assert (segments.tolist(), scores.tolist()) == ([[0.0, 0.5], [0.0, 0.5]], [0.9, 0.8])


@pytest.mark.parametrize(
    ("segments", "scores", "changed", "message"),
    [
        ([[0.1, 0.2]], [0.5, 0.6], {}, r"got \(1, 2\) and \(2,\)"),
        ([[0.1, 0.2]], [float("nan")], {}, "must be finite"),
        ([[0.1, 0.2]], [-0.5], {}, "must not be negative"),
        ([[0.1, 0.2], [0.4, 0.3]], [0.5, 0.5], {}, r"proposal 1 ends before it starts: \[0.4, 0.3\]"),
        ([[0.1, 0.2]], [0.5], {"alpha": 0.0}, "alpha > 0.*got alpha=0.0"),
        ([[0.1, 0.2]], [0.5], {"max_proposals": 0}, "max_proposals=0"),
    ],
)
def test_refuses_bad_input(
    segments: list[list[float]], scores: list[float], changed: dict[str, float], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        soft_nms(segments, scores, **{**SETTINGS, **changed})


def test_import_needs_no_torch() -> None:
    code = "import sys; from proposals import soft_nms; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
