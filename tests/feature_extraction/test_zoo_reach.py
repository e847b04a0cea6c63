"""What a grid can express, against trying all stretches of cells."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feature_extraction.zoo.reach import (
    best_grid_tiou,
    cell_borders_s,
    covered_s,
    expected_features,
    length_fits,
    likely_stride,
)
from video_datasets.time_grid import CONVENTIONS, TimeGrid, num_grid_frames

GRID = TimeGrid(fps=30, stride_frames=16)


def _tiou(a: tuple[float, float], b: tuple[float, float]) -> float:
    common = max(0.0, min(a[1], b[1]) - max(a[0], b[0]))
    return common / (a[1] - a[0] + b[1] - b[0] - common)


@given(
    segment=st.tuples(st.floats(-2, 12), st.floats(0.01, 8)).map(lambda s: (s[0], s[0] + s[1])),
    borders=st.lists(st.floats(0.05, 3), min_size=1, max_size=6).map(lambda gaps: np.cumsum([0.0, *gaps])),
)
def test_best_tiou_equals_all_stretches(segment: tuple[float, float], borders: np.ndarray) -> None:
    stretches = [(a, b) for i, a in enumerate(borders) for b in borders[i + 1 :]]
    expected = max(_tiou(segment, stretch) for stretch in stretches)
    assert best_grid_tiou([segment], borders)[0] == pytest.approx(expected, abs=1e-12)


def test_borders_lie_half_a_stride_around_the_times() -> None:
    """The default grid's cells are the frames [k s, (k + 1) s) that a feature stands for."""
    np.testing.assert_allclose(cell_borders_s(GRID, 3), np.array([0, 16, 32, 48]) / 30)
    last = TimeGrid(fps=60, stride_frames=8, convention="centred_on_last")
    np.testing.assert_allclose(cell_borders_s(last, 2), np.array([3, 11, 19]) / 60)


@given(convention=st.sampled_from(CONVENTIONS), stride=st.integers(1, 20), n=st.integers(1, 300))
def test_what_features_cover_has_as_many_features(convention: str, stride: int, n: int) -> None:
    grid = TimeGrid(fps=30, stride_frames=stride, convention=convention)
    assert grid.num_features(num_grid_frames(covered_s(grid, n), grid.fps)) == n


def test_lengths_that_fit_and_that_do_not() -> None:
    assert expected_features(GRID, 92.166667) == 173
    assert [length_fits(GRID, n, 92.166667) for n in (173, 171, 176, 169, 177)] == [
        True,
        True,
        True,
        False,
        False,
    ]
    assert [length_fits(GRID, n, 5.0) for n in (10, 11, 13)] == [True, True, False]


def test_the_likely_stride() -> None:
    expected = np.array([100, 50, 10])
    assert likely_stride(GRID, expected + np.array([0, 1, -1]), expected) is None
    assert likely_stride(GRID, 2 * expected, expected) == 8
    assert likely_stride(GRID, expected / 2, expected) == 32
