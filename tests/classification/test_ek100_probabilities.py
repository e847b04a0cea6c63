"""Class probabilities of proposals: against the original's maps, and against a plain loop."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from classification.action_probabilities import sample_times, sampled_probabilities


@pytest.mark.parametrize("task", ["verb", "noun"])
def test_equals_the_maps_of_the_original(shared: Path, task: str) -> None:
    golden = np.load(shared / "golden/bmn/cls_map_T20_D10.npz")
    logits_RKT, expected_KDT = golden[f"{task}_cls"][0].reshape(3, -1, 20), golden[f"{task}_map"][0]
    valid = [(d, t) for d in range(10) for t in range(20) if t + d < 20]
    # In cells of one second; cell (d, t) is the proposal from t to t + d + 1.
    segments = np.array([(t, t + d + 1) for d, t in valid], dtype=np.float64)
    points = sample_times(segments, 18, inset_s=0.5).reshape(-1, 6, 3)
    found = sampled_probabilities(logits_RKT.transpose(2, 0, 1), np.arange(20) + 0.5, points, 1.0)
    expected = np.stack([expected_KDT[:, d, t] for d, t in valid])
    np.testing.assert_allclose(found, expected, atol=1e-6)


@given(
    rows=st.integers(1, 7),
    crops=st.integers(1, 3),
    samples=st.integers(1, 4),
    points=st.integers(1, 3),
    proposals=st.integers(0, 150),
    seed=st.integers(0, 99),
)
def test_equals_plain_loop(
    rows: int, crops: int, samples: int, points: int, proposals: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 3, (rows, crops, 4))
    times_s = np.cumsum(rng.uniform(0.1, 1, rows))
    segments = np.sort(rng.uniform(-1, rows + 1, (proposals, 2)), axis=1)
    points_NSP = sample_times(segments, samples * points, inset_s=0.25).reshape(-1, samples, points)
    found = sampled_probabilities(logits, times_s, points_NSP, temperature=2.0)
    assert found.shape == (proposals, 4)
    for row in range(0, proposals, 40):
        mean = np.zeros(4)
        for sample in range(samples):
            for crop in range(crops):
                at = np.zeros(4)
                for time_s in points_NSP[row, sample]:
                    at += [np.interp(time_s, times_s, logits[:, crop, k]) / points for k in range(4)]
                powers = np.exp(2.0 * (at - at.max()))
                mean += powers / powers.sum() / (samples * crops)
        np.testing.assert_allclose(found[row], mean, atol=1e-9)


@pytest.mark.parametrize(
    ("segment", "count", "expected"),
    [
        ((2.0, 5.0), 3, [2.5, 3.5, 4.5]),
        ((2.0, 2.4), 3, [2.2, 2.2, 2.2]),  # shorter than both insets: its middle
        ((2.0, 2.0), 2, [2.0, 2.0]),  # no length
        ((2.0, 5.0), 1, [3.5]),  # one sample
    ],
)
def test_places_of_samples(segment: tuple[float, float], count: int, expected: list[float]) -> None:
    assert sample_times(np.array([segment]), count, 0.5)[0] == pytest.approx(expected)
