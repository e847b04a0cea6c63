"""Fusion of sliding windows against the original's and against plain loops."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bmn.window_fusion import WindowMaps, fuse_windows


def test_equals_original(shared: Path) -> None:
    golden = np.load(shared / "golden/bmn/window_fusion.npz")
    step = golden["map_mask"].shape[0]  # windows start every D cells
    windows = (
        WindowMaps(i * step, *(golden[f"win{i}/{name}"] for name in ("start", "end", "confidence_map")))
        for i in range(len(golden["segs"]))
    )
    fused = fuse_windows(windows, len(golden["fused/start"]))
    for name, ours in zip(("start", "end", "confidence_map"), fused, strict=True):
        assert ours.dtype == np.float32
        np.testing.assert_allclose(ours, golden[f"fused/{name}"], atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 6),
    st.integers(1, 6),
    st.integers(1, 12),
    st.lists(st.integers(0, 11), min_size=1, max_size=4),
)
def test_equals_plain_loops(tscale: int, dscale: int, num_positions: int, firsts: list[int]) -> None:
    rng = np.random.default_rng(0)
    windows = [
        WindowMaps(
            first % num_positions, rng.random(tscale), rng.random(tscale), rng.random((2, dscale, tscale))
        )
        for first in firsts
    ]
    start, end, confidence_map = fuse_windows(windows, num_positions)
    for g in range(num_positions):
        covering = [(w, g - w.first_position) for w in windows if 0 <= g - w.first_position < tscale]
        for ours, side in ((start, "start"), (end, "end")):
            values = [getattr(w, side)[t] for w, t in covering]
            np.testing.assert_allclose(ours[g], np.mean(values) if values else 0.0, atol=1e-6)
        for d in range(dscale):
            cells = [w.confidence_map[:, d, t] for w, t in covering if t + d < tscale]
            expected = np.mean(cells, axis=0) if cells else np.zeros(2)
            np.testing.assert_allclose(confidence_map[:, d, g], expected, atol=1e-6)


def window(first: int, tscale: int = 4) -> WindowMaps:
    return WindowMaps(first, np.ones(tscale), np.ones(tscale), np.ones((2, 3, tscale)))


@pytest.mark.parametrize(
    ("windows", "message"),
    [
        ([], "no windows to fuse"),
        ([window(0), window(8)], "position 8, off the video's grid of 8"),
        ([window(-1)], "position -1, off"),
        ([window(0), window(2, tscale=5)], r"expected \(2, 3, 4\), got \(\(5,\), \(5,\), \(2, 3, 5\)\)"),
    ],
)
def test_refuses_bad_windows(windows: list[WindowMaps], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fuse_windows(windows, 8)
