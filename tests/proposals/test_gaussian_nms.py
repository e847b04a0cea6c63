"""Gaussian soft-NMS against the original's outputs and a plain loop."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proposals import gaussian_soft_nms


@pytest.mark.parametrize("case", range(4))
def test_equals_the_original(shared: Path, case: int) -> None:
    path = shared / "golden/heads/nms.npz"
    if not path.is_file():
        pytest.skip(f"golden data not found at {path}")
    with np.load(path) as file:
        arrays = {key: file[f"{case}/{key}"] for key in ("segments", "scores", "labels", "settings")}
        expected = [file[f"{case}/out_{key}"] for key in ("segments", "scores", "labels")]
    sigma, min_score, max_segments, per_class, voting = arrays.pop("settings")
    found = gaussian_soft_nms(
        **arrays,
        sigma=sigma,
        min_score=min_score,
        max_segments=int(max_segments),
        per_class=bool(per_class),
        voting_threshold=voting,
    )
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5)


def plain_loop(
    segments: np.ndarray, scores: np.ndarray, *, sigma: float, min_score: float
) -> list[tuple[float, int]]:
    """Soft-NMS of one class, one candidate after the other: (score, index) in the order of being
    taken."""
    left = [(float(score), index) for index, score in enumerate(scores)]
    taken = []
    while left:
        best = max(range(len(left)), key=lambda place: left[place][0])
        score, index = left.pop(best)
        taken.append((score, index))
        start, end = segments[index]
        decayed = []
        for other_score, other in left:
            other_start, other_end = segments[other]
            shared_s = max(0.0, min(end, other_end) - max(start, other_start))
            iou = shared_s / (end - start + other_end - other_start + 2e-6 - shared_s)
            other_score *= math.exp(-iou * iou / sigma)
            if other_score >= min_score:
                decayed.append((other_score, other))
        left = decayed
    return taken


@given(
    st.integers(1, 120), st.integers(1, 4), st.floats(0.1, 2.0), st.sampled_from([1.0, 20.0, 300.0]),
    st.integers(1, 150), st.integers(0, 2**31),
)  # fmt: skip
def test_equals_a_plain_loop(
    count: int, classes: int, sigma: float, length: float, max_segments: int, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    starts = generator.uniform(0, 300, count)
    segments = np.stack([starts, starts + generator.exponential(length, count)], axis=1)
    scores, labels = generator.uniform(0, 1, count), generator.integers(0, classes, count)
    expected: list[tuple[float, int]] = []
    for label in range(classes):
        own = np.flatnonzero(labels == label)
        taken = plain_loop(segments[own], scores[own], sigma=sigma, min_score=0.2)
        expected += [(score, int(own[index])) for score, index in taken]
    expected = sorted(expected, key=lambda entry: -entry[0])[:max_segments]
    found = gaussian_soft_nms(
        segments, scores, labels, sigma=sigma, min_score=0.2, max_segments=max_segments, per_class=True
    )
    np.testing.assert_allclose(found.scores, [score for score, _ in expected], rtol=1e-9)
    np.testing.assert_array_equal(found.segments, segments[[index for _, index in expected]])


def test_voting_moves_segments_only_without_classes() -> None:
    segments, scores, labels = [(0.0, 10.0), (1.0, 10.0)], [0.8, 0.4], [0, 1]
    settings = {"sigma": 0.5, "min_score": 0.001, "max_segments": 5, "voting_threshold": 0.5}
    apart = gaussian_soft_nms(segments, scores, labels, per_class=True, **settings)
    assert apart.segments.tolist() == [[0.0, 10.0], [1.0, 10.0]]
    together = gaussian_soft_nms(segments, scores, labels, per_class=False, **settings)
    assert together.segments[0, 0] == pytest.approx(0.4 * 0.9 / (0.8 + 0.4 * 0.9), rel=1e-5)
    assert together.labels.tolist() == [0, 1]


def test_no_candidate_leaves_none() -> None:
    kept = gaussian_soft_nms([], [], [], sigma=0.5, min_score=0.1, max_segments=3, per_class=True)
    assert kept.segments.shape == (0, 2)
    assert len(kept.scores) == len(kept.labels) == 0


def test_arrays_of_other_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="must be of one length, got 1"):
        gaussian_soft_nms([(0, 1)], [0.5, 0.4], [1], sigma=0.5, min_score=0, max_segments=3, per_class=True)
    with pytest.raises(ValueError, match="sigma must be > 0"):
        gaussian_soft_nms([(0, 1)], [0.5], [1], sigma=0, min_score=0, max_segments=3, per_class=True)
