"""Sliding windows against the original's, against plain loops in seconds, and what is read of
the features."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from bmn.labels import boundary_labels
from bmn.samples import WindowSamples, window_features
from bmn.windows import WindowGrid
from feature_extraction import FeatureStore
from feature_extraction.store import write_video_features
from video_datasets.dataset import Segment, Video
from video_datasets.time_grid import TimeGrid

EK100 = TimeGrid(fps=60, stride_frames=8)
RELEASED = TimeGrid(fps=60, stride_frames=8, convention="centred_on_last")  # centres at (7 + 8 k) / 60 s


def window_grid(
    tscale: int, step_cells: int, *, cell_features: int = 2, grid: TimeGrid = EK100
) -> WindowGrid:
    return WindowGrid(grid=grid, tscale=tscale, step_cells=step_cells, cell_features=cell_features)


def store_of(folder: Path, features_TC: np.ndarray, grid: TimeGrid, duration_s: float) -> FeatureStore:
    times_s = grid.feature_to_seconds(np.arange(len(features_TC)))
    attributes = {"duration_s": duration_s}
    write_video_features(folder, "P01", features_TC, times_s, grid, attributes=attributes, dtype="float32")
    return FeatureStore(folder)


def video_with(*segments_s: tuple[float, float]) -> Video:
    return Video("P01", "training", None, 100.0, tuple(Segment(*segment, "0,0") for segment in segments_s))


def test_windows_and_their_features_equal_the_original(shared: Path, tmp_path: Path) -> None:
    golden = np.load(shared / "golden/bmn/window_fusion.npz")
    duration_s, num_features = float(golden["duration"]), 985  # centres within the video; the rest is spare
    assert (
        RELEASED.feature_to_seconds(num_features - 1)
        <= duration_s
        < RELEASED.feature_to_seconds(num_features)
    )
    windows = window_grid(40, 20, grid=RELEASED)
    first_cells = windows.first_cells(duration_s, num_features)
    starts_s = [windows.start_s(first) for first in first_cells]
    np.testing.assert_allclose(starts_s, golden["segs"][:, 0], atol=1e-4)
    assert windows.window_s == pytest.approx(float(np.diff(golden["segs"][0])[0]), abs=1e-4)
    assert windows.num_cells(duration_s, num_features) == len(golden["fused/start"])
    store = store_of(tmp_path, golden["feat_per_0133s"][:num_features], RELEASED, duration_s)
    for index, first_cell in enumerate(first_cells):
        found = window_features(store, "P01", windows, first_cell)
        np.testing.assert_allclose(found, golden[f"win{index}/features"], atol=1e-6)


def test_segments_of_a_window_equal_the_original(shared: Path) -> None:
    golden = np.load(shared / "golden/bmn/labels.npz")
    windows = window_grid(200, 100)
    inside = windows.as_fractions(golden["sw_T200_D100/gt_time"], 0)
    np.testing.assert_allclose(inside, golden["sw_T200_D100/gt_norm"], atol=1e-6)


@pytest.mark.parametrize(
    ("duration_s", "starts"),
    [
        (0.1, 1),  # shorter than the least remainder: still one
        (10.5, 1),  # the shortest video of EPIC-KITCHENS-100
        (26.7, 1),  # 0.03 s would remain for a second window
        (26.9, 2),
        (308.0, 12),  # the median
        (3600.0, 135),
        (3708.0, 140),  # the longest; 139.05 steps
    ],
)
def test_number_of_windows(duration_s: float, starts: int) -> None:
    windows = window_grid(200, 100)
    num_features = EK100.num_features(round(duration_s * 60))
    assert windows.first_cells(duration_s, num_features) == [100 * i for i in range(starts)]
    assert windows.num_cells(duration_s, num_features) == -(-round(duration_s * 60) // 16)


def test_sizes_are_those_of_the_facts() -> None:
    windows = window_grid(200, 100)
    assert windows.cell_s == pytest.approx(2 * 0.13333333)
    assert windows.window_s == pytest.approx(53.33, abs=0.01)
    assert windows.start_s(100) == pytest.approx(26.67, abs=0.01)
    assert windows.num_cells(3600.0, EK100.num_features(3600 * 60)) == 13_500


SIZES = st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 3)).filter(lambda s: s[1] <= s[0])
SEGMENTS = st.lists(st.tuples(st.floats(0, 30), st.floats(0.05, 12)), max_size=5)


def plain_starts(duration_s: float, step_s: float) -> list[float]:
    """The original's rule in seconds; the first window always stays."""
    starts, start = [], 0.0
    while start < duration_s:
        if not starts or duration_s - start >= 0.2 - 1e-9:  # times are multiples of 1/60 s
            starts.append(start)
        start = len(starts) * step_s if start == starts[-1] else duration_s
    return starts


@given(sizes=SIZES, frames=st.integers(1, 1800), stride=st.sampled_from([4, 8, 16]))
@example(sizes=(4, 4, 1), frames=17, stride=8)
def test_windows_equal_plain_loops_in_seconds(sizes: tuple[int, int, int], frames: int, stride: int) -> None:
    grid = TimeGrid(fps=60, stride_frames=stride)
    tscale, step_cells, cell_features = sizes
    windows = window_grid(tscale, step_cells, cell_features=cell_features, grid=grid)
    duration_s, times_s = frames / 60, grid.times_s(frames)
    step_s = step_cells * cell_features * stride / 60
    starts_s = plain_starts(duration_s, step_s)
    first_cells = windows.first_cells(duration_s, len(times_s))
    np.testing.assert_allclose([windows.start_s(first) for first in first_cells], starts_s)
    for first_cell, start_s in zip(first_cells, starts_s, strict=True):
        first, stop = windows.feature_range(first_cell)
        end_s = start_s + windows.window_s
        inside = [k for k, time_s in enumerate(times_s) if start_s - 1e-9 <= time_s < end_s - 1e-9]
        assert inside == list(range(first, min(stop, len(times_s))))
        assert stop - first == round(windows.window_s / (stride / 60))
    last_end_s = starts_s[-1] + windows.window_s
    cells = [g for g in range(2000) if g * windows.cell_s < min(duration_s, last_end_s) - 1e-9]
    assert windows.num_cells(duration_s, len(times_s)) == len(cells)


@settings(max_examples=40)
@given(sizes=SIZES, frames=st.integers(30, 1800), segments=SEGMENTS)
def test_training_windows_equal_plain_loops(
    tmp_path_factory: pytest.TempPathFactory,
    sizes: tuple[int, int, int],
    frames: int,
    segments: list[tuple[float, float]],
) -> None:
    tscale, step_cells, cell_features = sizes
    windows = window_grid(tscale, step_cells, cell_features=cell_features)
    duration_s = frames / 60
    assume(abs(duration_s % (windows.step_cells * windows.cell_s) - 0.2) > 1e-6)
    features = np.zeros((EK100.num_features(frames), 4), dtype=np.float32)
    store = store_of(tmp_path_factory.mktemp("store"), features, EK100, duration_s)
    video = video_with(*((start, start + length) for start, length in segments if start < duration_s - 0.01))
    expected, seen = [], set()
    for start_s in plain_starts(duration_s, windows.step_cells * windows.cell_s):
        kept = []
        for number, segment in enumerate(video.segments):
            end_s = min(segment.end_s, duration_s)
            inner = max(segment.start_s, start_s), min(end_s, start_s + windows.window_s)
            if (inner[1] - inner[0]) / (end_s - segment.start_s) > 0.999:
                kept.append([(time_s - start_s) / windows.window_s for time_s in inner])
                seen.add(number)
        if kept:
            expected.append((start_s, kept))
    samples = WindowSamples([video], store, windows, dscale=2)
    assert len(samples) == len(expected)
    assert samples.num_unseen == len(video.segments) - len(seen)
    for index, (start_s, kept) in enumerate(expected):
        window = samples.windows[index]
        assert windows.start_s(window.first_cell) == pytest.approx(start_s)
        np.testing.assert_allclose(window.segments, kept, atol=1e-9)
        sample = samples[(0, index)]
        for name, label in zip(
            ("start", "end", "iou_map"), boundary_labels(window.segments, tscale, 2), strict=True
        ):
            np.testing.assert_array_equal(sample[name], label)
        assert sample["features"].shape == (4, tscale)


def test_a_segment_across_two_windows_is_learnt_by_the_one_that_holds_it(tmp_path: Path) -> None:
    windows = window_grid(10, 5)  # 2.67 s, every 1.33 s
    store = store_of(tmp_path, np.zeros((60, 4), dtype=np.float32), EK100, 8.0)
    samples = WindowSamples([video_with((2.0, 3.5), (0.0, 7.0))], store, windows, dscale=5)
    assert [(window.video_id, window.first_cell) for window in samples.windows] == [("P01", 5)]
    assert samples.num_unseen == 1
    np.testing.assert_allclose(samples.windows[0].segments, [[0.25, 0.8125]])


def test_features_before_the_first_clip_are_zeros_where_clips_are_not_padded(tmp_path: Path) -> None:
    grid = TimeGrid(
        fps=60, stride_frames=8, convention="no_padding"
    )  # feature 0 stands at 28.5 frames: stride 3
    features = np.arange(1, 41, dtype=np.float32)[:, None]
    store = store_of(tmp_path, features, grid, 6.0)
    windows = window_grid(8, 4, cell_features=1, grid=grid)
    assert window_features(store, "P01", windows, 0)[0].tolist() == [0, 0, 0, 1, 2, 3, 4, 5]
    assert window_features(store, "P01", windows, 4)[0].tolist() == [2, 3, 4, 5, 6, 7, 8, 9]
    assert windows.num_cells(6.0, 40) == 43


class RecordingStore(FeatureStore):
    """Remembers which rows were read."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.read: list[slice] = []

    @contextmanager
    def open_video(self, video_id: str) -> Iterator[Any]:
        with super().open_video(video_id) as file:
            yield {video_id: _Recorder(file[video_id], self.read)}


class _Recorder:
    def __init__(self, dataset: Any, read: list[slice]) -> None:
        self.dataset, self.read = dataset, read
        self.shape, self.attrs, self.dtype = dataset.shape, dataset.attrs, dataset.dtype

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, rows: slice) -> np.ndarray:
        self.read.append(rows)
        array: np.ndarray = self.dataset[rows]
        return array


def test_a_window_reads_its_own_features_only(tmp_path: Path) -> None:
    store_of(tmp_path, np.zeros((1000, 4), dtype=np.float32), EK100, 133.0)
    store = RecordingStore(tmp_path)
    samples = WindowSamples([video_with((30.0, 31.0), (120.0, 121.0))], store, window_grid(20, 20), dscale=10)
    assert store.read == []
    assert [window.first_cell for window in samples.windows] == [100, 440]
    samples[(0, 0)]
    samples[(3, 1)]
    assert store.read == [slice(200, 240), slice(880, 920)]


@pytest.mark.parametrize("sizes", [(10, 11, 2), (10, 0, 2), (10, 5, 0)])
def test_refuses_windows_with_gaps(sizes: tuple[int, int, int]) -> None:
    tscale, step_cells, cell_features = sizes
    with pytest.raises(
        ValueError, match=f"cell_features={cell_features}, step_cells={step_cells}, tscale=10"
    ):
        window_grid(tscale, step_cells, cell_features=cell_features)


@pytest.mark.parametrize("change", [{"cell_features": 0.5}, {"cell_features": 10**9}, {"step_cells": 2.0}])
def test_windows_without_measure_are_refused(change: dict[str, int]) -> None:
    sizes = {"tscale": 16, "step_cells": 8, "cell_features": 2} | change
    with pytest.raises(ValueError, match="windows need whole"):
        WindowGrid(grid=TimeGrid(), **sizes)
