"""BMN over a video: fused maps of a model with known answers, what is in memory, and the
constants of one video."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from bmn import BMN
from bmn.head import scored_candidates
from bmn.inference import WINDOWS_AT_ONCE, video_maps, window_maps
from bmn.samples import window_features
from bmn.settings import ProposalsConfig
from bmn.weights import TrainedBmn
from bmn.windows import WindowGrid
from feature_extraction import FeatureStore
from feature_extraction.store import write_video_features
from proposals.suppression import suppress_by_width
from runtime.sections import run_config
from video_datasets.time_grid import TimeGrid, interpolate_to_cells

EK100 = TimeGrid(fps=60, stride_frames=8)
CPU = torch.device("cpu")


class KnownAnswers(nn.Module):
    """Says where it is: by the features (position in the video) and by the place in the window."""

    def __init__(self, tscale: int, dscale: int) -> None:
        super().__init__()
        self.tscale, self.dscale = tscale, dscale
        self.batches: list[int] = []

    def forward(self, feats_BCT: Tensor) -> dict[str, Tensor]:
        self.batches.append(len(feats_BCT))
        position_BT = feats_BCT[:, 0]
        place_T = torch.arange(float(self.tscale))
        duration_D1 = 1000 * torch.arange(float(self.dscale))[:, None]
        confidence_map = [
            position_BT[:, None] + duration_D1,
            (place_T + duration_D1).expand(len(feats_BCT), -1, -1),
        ]
        return {
            "start": position_BT,
            "end": place_T.expand(len(feats_BCT), -1),
            "confidence_map": torch.stack(confidence_map, dim=1),
        }


def store_of(folder: Path, features_TC: np.ndarray, duration_s: float) -> FeatureStore:
    times_s = EK100.feature_to_seconds(np.arange(len(features_TC)))
    attributes = {"duration_s": duration_s}
    write_video_features(folder, "P01", features_TC, times_s, EK100, attributes=attributes, dtype="float32")
    return FeatureStore(folder)


def windows_of(tscale: int, step_cells: int, cell_features: int) -> WindowGrid:
    return WindowGrid(grid=EK100, tscale=tscale, step_cells=step_cells, cell_features=cell_features)


@settings(max_examples=40)
@given(
    tscale=st.integers(1, 8),
    dscale=st.integers(1, 8),
    step_cells=st.integers(1, 8),
    frames=st.integers(1, 900),
)
def test_fused_maps_equal_the_definition_of_each_cell(
    tmp_path_factory: pytest.TempPathFactory, tscale: int, dscale: int, step_cells: int, frames: int
) -> None:
    dscale, step_cells = min(dscale, tscale), min(step_cells, tscale)
    num_features, duration_s = EK100.num_features(frames), frames / 60
    features = np.arange(1.0, num_features + 1)[:, None]
    store = store_of(tmp_path_factory.mktemp("store"), features, duration_s)
    windows = windows_of(tscale, step_cells, cell_features=1)  # a cell reads its feature as it is
    bmn = TrainedBmn(KnownAnswers(tscale, dscale), EK100, windows)
    maps = video_maps(bmn, store, "P01", CPU)

    starts = [
        g for g in range(0, num_features, step_cells) if g == 0 or duration_s - g * 8 / 60 >= 0.2 - 1e-9
    ]
    assert maps.start.shape == (min(num_features, starts[-1] + tscale),)
    assert (maps.duration_s, maps.span_s) == (duration_s, pytest.approx(len(maps.start) * 8 / 60))
    np.testing.assert_array_equal(maps.start, features[: len(maps.start), 0])
    for g in range(len(maps.start)):
        places = [g - start for start in starts if 0 <= g - start < tscale]
        assert maps.end[g] == pytest.approx(np.mean(places), abs=1e-5)
        for d in range(dscale):
            valid = [place for place in places if place + d < tscale]
            expected = [features[g, 0] + 1000 * d, np.mean(valid) + 1000 * d] if valid else [0, 0]
            np.testing.assert_allclose(maps.confidence_map[:, d, g], expected, rtol=1e-6)


def test_a_real_network_over_windows_equals_windows_one_by_one(tmp_path: Path) -> None:
    torch.manual_seed(0)
    store = store_of(tmp_path, np.random.default_rng(0).normal(size=(113, 8)), 15.0)
    model = BMN(8, 12, 6, hidden_1d=8, hidden_2d=8, hidden_3d=8).eval()
    windows = windows_of(12, 6, cell_features=2)
    found = list(window_maps(model, windows, store, "P01", CPU))
    assert [window.first_position for window in found] == list(range(0, 57, 6))
    for window in found:
        with torch.no_grad():
            expected = model(window_features(store, "P01", windows, window.first_position)[None])
        for name in ("start", "end", "confidence_map"):
            np.testing.assert_allclose(getattr(window, name), expected[name][0], atol=1e-6)


def test_a_whole_video_is_one_item_at_the_cells_of_its_duration(tmp_path: Path) -> None:
    features = np.random.default_rng(0).normal(size=(50, 8)).astype(np.float32)
    store = store_of(tmp_path, features, 6.7)
    maps = video_maps(TrainedBmn(KnownAnswers(20, 10), EK100, None), store, "P01", CPU)
    assert (maps.duration_s, maps.span_s) == (6.7, 6.7)
    expected = interpolate_to_cells(features, EK100.times_s(400), 6.7, 20)
    np.testing.assert_array_equal(maps.start, expected[:, 0])


def test_only_a_few_windows_are_read_ahead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = store_of(tmp_path, np.zeros((200, 4)), 26.6)
    model, read = KnownAnswers(10, 10), []

    def spy(*arguments: object) -> Tensor:
        read.append(arguments[-1])
        return window_features(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr("bmn.inference.window_features", spy)
    maps = window_maps(model, windows_of(10, 10, 2), store, "P01", CPU)
    next(maps)
    assert len(read) == WINDOWS_AT_ONCE
    assert len(list(maps)) == len(read) - 1 == 9
    assert model.batches == [WINDOWS_AT_ONCE, WINDOWS_AT_ONCE, 2]


def test_an_hour_of_video_takes_little_memory(tmp_path: Path) -> None:
    num_features = EK100.num_features(3600 * 60)
    features = np.zeros((num_features, 16), dtype=np.float32)
    features[:, 0] = np.random.default_rng(0).random(num_features)
    store = store_of(tmp_path, features, 3600.0)
    bmn = TrainedBmn(KnownAnswers(200, 100), EK100, windows_of(200, 100, 2))
    config = run_config(proposals=ProposalsConfig(proposals_per_s=0.1))
    tracemalloc.start()
    try:
        maps = video_maps(bmn, store, "P01", CPU)
        suppress_by_width(scored_candidates(maps, config.proposals), config)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert maps.confidence_map.shape == (2, 100, 13_500)
    assert peak_bytes < 400e6  # one map of 13,500 x 13,500 cells would take 729 MB in float32


@pytest.mark.parametrize(
    ("per_s", "duration_s", "kept"),
    [(0.0, 3600.0, 100), (1.0, 131.37, 132), (1.0, 131.0, 132), (0.5, 10.5, 6), (1.0, 0.3, 1)],
)
def test_proposals_per_second_replace_the_fixed_number(per_s: float, duration_s: float, kept: int) -> None:
    config = ProposalsConfig(proposals_per_s=per_s, max_proposals=100)
    assert config.kept(duration_s) == kept
