"""Labels against the original's and against plain loops."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bmn import boundary_labels, validity_mask

BOUNDARY = st.floats(0, 1, width=32)
SEGMENT = st.tuples(BOUNDARY, BOUNDARY).map(sorted)


def overlap(start_a: float, end_a: float, start_b: float, end_b: float) -> float:
    return max(0.0, min(end_a, end_b) - max(start_a, start_b))


def slow_labels(
    segments: list[list[float]], tscale: int, dscale: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    boundaries = np.zeros((2, tscale))
    iou = np.zeros((dscale, tscale))
    for segment in segments:
        for t in range(tscale):
            for side in (0, 1):
                box = segment[side] - 1.5 / tscale, segment[side] + 1.5 / tscale
                share = overlap((t - 0.5) / tscale, (t + 1.5) / tscale, *box) / (2 / tscale)
                boundaries[side, t] = max(boundaries[side, t], share)
            for d in range(dscale):
                cell = t / tscale, (t + d + 1) / tscale
                inter = overlap(*cell, *segment)
                union = cell[1] - cell[0] + segment[1] - segment[0] - inter
                iou[d, t] = max(iou[d, t], inter / union)
    return boundaries[0], boundaries[1], iou


@pytest.mark.parametrize(
    ("case", "tscale", "dscale"),
    [("hacs_T100_D100", 100, 100), ("sw_T200_D100", 200, 100), ("small_T20_D10", 20, 10)],
)
def test_equals_original(shared: Path, case: str, tscale: int, dscale: int) -> None:
    golden = np.load(shared / "golden/bmn/labels.npz")
    labels = boundary_labels(golden[f"{case}/gt_norm"], tscale, dscale)
    for name, ours in zip(("start", "end", "iou"), labels, strict=True):
        assert ours.dtype == np.float32
        np.testing.assert_allclose(ours, golden[f"{case}/{name}"], atol=1e-6)
    np.testing.assert_array_equal(validity_mask(tscale, dscale), golden[f"{case}/mask"])


@settings(max_examples=60, deadline=None)
@given(st.lists(SEGMENT, max_size=5), st.integers(1, 13), st.integers(1, 13))
def test_equals_plain_loops(segments: list[list[float]], tscale: int, dscale: int) -> None:
    for ours, slow in zip(
        boundary_labels(segments, tscale, dscale), slow_labels(segments, tscale, dscale), strict=True
    ):
        np.testing.assert_allclose(ours, slow, atol=1e-6)


def test_no_segment_gives_zeros() -> None:
    start, end, iou_map = boundary_labels(np.zeros((0, 2)), 6, 4)
    assert (start.shape, end.shape, iou_map.shape) == ((6,), (6,), (4, 6))
    assert not start.any()
    assert not end.any()
    assert not iou_map.any()


def test_validity_counts_integers() -> None:
    for tscale in range(1, 251):  # among them the 17 lengths at which the float test fails
        assert validity_mask(tscale, tscale).sum() == tscale * (tscale + 1) // 2


def test_rounding_beyond_one_is_clipped() -> None:
    for ours, clipped in zip(
        boundary_labels([[0.5, 1.0004]], 10, 10), boundary_labels([[0.5, 1.0]], 10, 10), strict=True
    ):
        np.testing.assert_array_equal(ours, clipped)


@pytest.mark.parametrize(
    ("segments", "message"),
    [
        ([[12.0, 40.0]], "fractions of the window.*found values from 12 to 40"),  # seconds
        ([[-0.5, 0.5]], "from -0.5 to 0.5"),
        ([[0.1, float("nan")]], "within .0, 1."),
        ([[0.1, 0.2], [0.6, 0.3]], r"ends before it starts: \[0.6, 0.3\]"),
        ([0.1, 0.2], r"shape \(n, 2\).*got \(2,\)"),
    ],
)
def test_refuses_bad_segments(segments: list[list[float]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        boundary_labels(segments, 10, 10)
