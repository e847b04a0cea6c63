"""Crops, rows and samples of the one-stage heads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feature_extraction import FeatureStore
from feature_extraction.store import write_video_features
from one_stage.crops import random_crop, shares_inside
from one_stage.rows import rows_to_seconds, seconds_to_rows
from one_stage.samples import CropSamples, LabelledVideo
from one_stage.settings import OneStageConfig
from one_stage.weights import configured_architecture
from video_datasets.time_grid import TimeGrid

GRID = TimeGrid(fps=30, stride_frames=15)  # a feature every half second, the first at 0.25 s
CONFIG = OneStageConfig(channels=8, heads=2, levels=3, max_length=40)


@given(st.lists(st.floats(0.1, 5.0), min_size=1, max_size=20), st.floats(-50, 150), st.floats(0.1, 2.0))
def test_rows_and_seconds_are_inverse(steps: list[float], second: float, stride_s: float) -> None:
    times_s = np.cumsum(steps)
    row = seconds_to_rows(times_s, stride_s, second)
    assert rows_to_seconds(times_s, stride_s, row) == pytest.approx(second, abs=1e-6)


@given(st.integers(1, 100), st.integers(5, 60), st.integers(0, 2**31))
def test_crops_hold_a_segment_where_one_fits(length: int, max_length: int, seed: int) -> None:
    segments = np.array([(0.3 * length, 0.3 * length + 2.0), (0.0, length + 5.0)])
    settings = {"max_length": max_length, "shortest": 0.9, "min_share": 0.5, "margin": 1.0}
    first, stop, held = random_crop(length, segments, np.random.default_rng(seed), **settings)
    assert 0 <= first < stop <= length
    assert stop - first == max_length if length > max_length else stop - first >= round(0.9 * length)
    assert held.tolist() == (shares_inside(segments, first - 1.0, stop + 1.0) >= 0.5).tolist()


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    features_TC = np.arange(60, dtype=np.float32)[:, None] * np.ones((1, 4), np.float32)
    for name, length in (("long", 60), ("short", 20)):
        write_video_features(
            tmp_path,
            name,
            features_TC[:length],
            GRID.feature_to_seconds(np.arange(length)),
            GRID,
            attributes={"duration_s": length / 2},
            dtype="float32",
        )
    return FeatureStore(tmp_path)


def samples(store: FeatureStore, augmented: bool) -> CropSamples:
    videos = [
        LabelledVideo(name, np.array([(2.25, 4.25), (8.0, 9.0)]), np.array([[0], [2]]))
        for name in ("long", "short")
    ]
    arch = configured_architecture("temporalmaxer", 4, (3,), CONFIG)
    return CropSamples(videos, store, arch, CONFIG, length=40, seed=7, augmented=augmented)


def test_a_short_video_is_whole_without_augmentation(store: FeatureStore) -> None:
    sample = samples(store, augmented=False)[0, 1]
    assert sample["valid"].sum() == 20
    assert sample["features"][0].tolist() == [*range(20), *[0] * 20]
    # From row 4 to row 8, so row 6 of the finest level is its centre.
    assert sample["classes"][6].tolist() == [True, False, False]
    assert sample["offsets"][6].tolist() == [2.0, 2.0]


def test_rows_that_nobody_has_watched_are_seen_and_not_learnt(store: FeatureStore) -> None:
    video = LabelledVideo("short", np.array([(2.25, 4.25)]), np.array([[0]]), np.array([(0.0, 5.0)]))
    arch = configured_architecture("temporalmaxer", 4, (3,), CONFIG)
    data = CropSamples([video], store, arch, CONFIG, length=40, seed=7, augmented=False)
    sample = data[0, 0]
    times_s = store.times("short")
    assert sample["valid"].sum() == 20
    assert sample["known"][:20].tolist() == (times_s <= 5.0).tolist()
    assert not sample["known"][20:].any()
    assert samples(store, augmented=False)[0, 1]["known"].equal(sample["valid"])


def test_crops_follow_from_seed_epoch_and_item(store: FeatureStore) -> None:
    data = samples(store, augmented=True)
    firsts = {float(data[epoch, 0]["features"][0, 0]) for epoch in range(20)}
    assert len(firsts) > 1
    assert data[3, 0]["features"].equal(data[3, 0]["features"])
    for epoch in range(20):
        sample = data[epoch, 0]
        first = float(sample["features"][0, 0])
        labelled = np.flatnonzero(sample["classes"][:40, 0].numpy()) + first
        assert all(4.5 <= row <= 7.5 for row in labelled)  # the centre region, wherever the crop begins
