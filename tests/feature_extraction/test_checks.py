"""A store that does not fit its run is refused with file, video and remedy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from feature_extraction import FeatureStore
from feature_extraction.checks import check_store
from feature_extraction.store import write_video_features
from video_datasets.time_grid import TimeGrid

GRID = TimeGrid(fps=30, stride_frames=16)


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    attributes = {"backbone": "tada2d_mini", "backbone_sha256": "abc"}
    write_video_features(tmp_path, "cat", np.ones((3, 12)), GRID.times_s(40), GRID, attributes=attributes)
    return FeatureStore(tmp_path)


def test_a_store_that_fits_gives_its_channels(store: FeatureStore) -> None:
    assert check_store(store, GRID) == check_store(store, GRID, "abc") == 12


def test_another_grid_is_named(store: FeatureStore) -> None:
    with pytest.raises(
        ValueError, match=r"video 'cat' was extracted on another grid: stride_frames was 16, is now 8"
    ):
        check_store(store, TimeGrid(fps=30, stride_frames=8))


def test_another_backbone_is_named(store: FeatureStore) -> None:
    with pytest.raises(ValueError, match=r"video 'cat' was extracted with another backbone \(tada2d_mini\)"):
        check_store(store, GRID, "def")


def test_an_empty_store_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no video; run `python -m feature_extraction` first"):
        check_store(FeatureStore(tmp_path), GRID)
