"""The time grid against FFmpeg's own output, exact rational arithmetic, and plain enumeration."""

from __future__ import annotations

import json
import math
import pickle
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from video_datasets.time_grid import (
    CONVENTIONS,
    TimeGrid,
    cell_centres_s,
    frames_to_seconds,
    grid_source_indices,
    interpolate_to_cells,
    num_grid_frames,
    seconds_to_frames,
    seconds_to_normalised,
)

HACS = TimeGrid(fps=30, stride_frames=16)
EK100 = TimeGrid(fps=60, stride_frames=8)

grids = st.builds(
    TimeGrid,
    fps=st.sampled_from([30.0, 60.0, 29.97]),
    stride_frames=st.integers(1, 20),
    clip_frames=st.integers(1, 9),
    interval_frames=st.integers(1, 9),
    convention=st.sampled_from(CONVENTIONS),
    spacing=st.sampled_from(["interval", "linspace"]),
)


# ---- shown frames -> grid frames


@pytest.mark.parametrize("fps", [30, 60])
@pytest.mark.parametrize(
    ("name", "share"),
    [
        ("v_GGSY1Qvo990.mp4", 1.0),
        ("test_video_structuralize.mp4", 1.0),
        ("demo.mp4", 0.99),  # holds 4 pairs of identical frames, where the reference may be one off
    ],
)
def test_agrees_with_ffmpegs_fps_filter(shared: Path, name: str, share: float, fps: int) -> None:
    expected = json.loads((shared / "videos" / "expected.json").read_text())[name]
    reference = np.array(expected[f"fps{fps}"]["ffmpeg_source_index"])
    with av.open(str(shared / "videos" / name)) as container:
        pts_s = [frame.time for frame in container.decode(video=0)]
    found = grid_source_indices(pts_s, fps, expected["stream_duration"])
    assert found.shape == reference.shape
    assert (found == reference).mean() >= share


@given(
    gaps=st.lists(st.integers(0, 400), max_size=30),
    last=st.integers(1, 400),
    time_base=st.sampled_from([600, 1001, 12800, 90000]),
    fps=st.sampled_from([25, 30, 60]),
    start=st.integers(-1000, 1000),
)
def test_source_indices_by_exact_arithmetic(
    gaps: list[int], last: int, time_base: int, fps: int, start: int
) -> None:
    ticks = np.concatenate([[0], np.cumsum(np.array(gaps, dtype=int))])

    def rounded(tick: int) -> int:
        return math.floor(Fraction(int(tick), time_base) * fps + Fraction(1, 2))

    expected = [
        max(i for i, tick in enumerate(ticks) if rounded(tick) <= k)
        for k in range(max(1, rounded(ticks[-1] + last)))
    ]
    found = grid_source_indices((ticks + start) / time_base, fps, float(ticks[-1] + last) / time_base)
    assert found.tolist() == expected


def test_halves_round_up_at_every_tie() -> None:
    # 60 fps shown at 30: each odd frame lies on a tie, and no rounding error may decide it.
    found = grid_source_indices(np.arange(20000) / 60, 30)
    assert (found[:-1] == 2 * np.arange(len(found) - 1)).all()


def test_one_frame_fills_one_grid_frame() -> None:
    assert grid_source_indices([5.0], 30).tolist() == [0]
    assert num_grid_frames(0.001, 30) == 1


@pytest.mark.parametrize(
    ("times", "fps", "message"),
    [
        ([], 30, "at least one frame"),
        ([0.0, 2.0, 1.0], 30, "must not decrease"),
        ([0.0], 0, "fps must be positive"),
    ],
)
def test_source_indices_refuse(times: list[float], fps: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        grid_source_indices(times, fps)


def test_frames_and_seconds_are_inverse() -> None:
    frames = np.arange(100000)
    assert (seconds_to_frames(frames_to_seconds(frames, 59.94), 59.94) == frames).all()
    assert seconds_to_frames(0.999, 30) == 29


# ---- grid frames -> features


@given(n_frames=st.integers(1, 300), stride=st.integers(1, 40))
def test_every_frame_belongs_to_exactly_one_feature(n_frames: int, stride: int) -> None:
    grid = TimeGrid(fps=30, stride_frames=stride)
    owners = [
        [k for k in range(grid.num_features(n_frames)) if k * stride <= frame < (k + 1) * stride]
        for frame in range(n_frames)
    ]
    assert all(len(owner) == 1 for owner in owners)
    # The time is the middle of the interval that the feature stands for.
    middles = [(k * stride + (k + 1) * stride) / 2 / 30 for k in range(grid.num_features(n_frames))]
    assert grid.times_s(n_frames) == pytest.approx(middles)


def slow_clips(grid: TimeGrid, n_frames: int) -> list[list[int]]:
    """Clips by enumeration, straight from the table in the facts about released features."""
    n, s = grid.clip_frames, grid.stride_frames
    if grid.spacing == "interval":
        steps = [j * grid.interval_frames for j in range(n)]
    else:
        steps = [int(x) for x in np.linspace(0, n * grid.interval_frames - 1, n)]
    span = steps[-1] + 1
    first = {  # first frame of clip 0
        "centred": s // 2 - (span - 1) // 2,
        "centred_on_first": -(n * grid.interval_frames // 2),
        "centred_on_last": s - 1 - n * grid.interval_frames // 2,
        "no_padding": 0,
    }[grid.convention]
    clips = []
    for k in range(n_frames + 1):
        fits = {
            "centred": k * s < n_frames,
            "centred_on_first": k * s < n_frames,
            "centred_on_last": k * s + s - 1 < n_frames,
            "no_padding": k * s + span <= n_frames,
        }[grid.convention]
        if fits:
            clips.append([min(max(first + k * s + step, 0), n_frames - 1) for step in steps])
    return clips


@given(grid=grids, n_frames=st.integers(0, 150))
def test_clips_by_enumeration(grid: TimeGrid, n_frames: int) -> None:
    expected = slow_clips(grid, n_frames)
    found = grid.clip_frame_indices(n_frames)
    assert found.shape == (len(expected), grid.clip_frames)
    assert found.tolist() == expected
    one_by_one = [grid.clip_frames_of(k).clip(0, n_frames - 1).tolist() for k in range(len(expected))]
    assert one_by_one == expected
    assert grid.num_features(n_frames) == len(expected) == len(grid.times_s(n_frames))


@settings(max_examples=50)
@given(grid=grids, n_frames=st.integers(1, 400))
def test_may_use_names_the_frames_of_clips_and_no_others(grid: TimeGrid, n_frames: int) -> None:
    used = set(grid.clip_frame_indices(n_frames).ravel().tolist())
    named = {frame for frame in range(n_frames) if grid.may_use(frame)}
    assert used <= named | {n_frames - 1}
    reach = int(np.abs(grid.clip_offsets).max()) + grid.clip_span_frames + 2 * grid.stride_frames
    assert {f for f in named if reach < f < n_frames - reach} <= used


def test_the_two_protocols() -> None:
    assert HACS.clip_offsets.tolist() == [-28, -20, -12, -4, 4, 12, 20, 28]
    assert HACS.clip_frame_indices(40).tolist() == [
        [0, 0, 0, 4, 12, 20, 28, 36],
        [0, 4, 12, 20, 28, 36, 39, 39],
        [12, 20, 28, 36, 39, 39, 39, 39],
    ]
    assert EK100.times_s(24) == pytest.approx([4 / 60, 12 / 60, 20 / 60])
    assert sum(map(HACS.may_use, range(8000))) == 1000 + 1  # 1 in 8, and frame 0
    assert sum(map(EK100.may_use, range(8000))) == 1000  # frame 0 is one of them


@pytest.mark.parametrize("n_frames", [1, 15, 16, 17])
def test_short_videos_have_a_feature(n_frames: int) -> None:
    clips = HACS.clip_frame_indices(n_frames)
    assert clips.shape == (-(-n_frames // 16), 8)
    assert clips.max() <= n_frames - 1


def test_released_code_steps_by_nine() -> None:
    grid = TimeGrid(fps=60, stride_frames=8, spacing="linspace", convention="no_padding")
    assert grid.clip_frame_indices(64).tolist() == [[0, 9, 18, 27, 36, 45, 54, 63]]
    assert grid.times_s(64) == pytest.approx([32 / 60])
    assert TimeGrid(fps=60, stride_frames=8, convention="no_padding").times_s(57) == pytest.approx(
        [28.5 / 60]
    )


def test_times_of_other_conventions() -> None:
    assert TimeGrid(30, 16, convention="centred_on_first").times_s(33) == pytest.approx([0, 16 / 30, 32 / 30])
    assert TimeGrid(30, 16, convention="centred_on_last").times_s(33) == pytest.approx([15 / 30, 31 / 30])


@given(grid=grids, n_frames=st.integers(100, 300))
def test_finetuning_sees_the_clips_of_extraction(grid: TimeGrid, n_frames: int) -> None:
    clips = grid.clip_frame_indices(n_frames)
    centres = grid._first_centre + grid.stride_frames * np.arange(len(clips))
    assert all(
        (np.clip(c + grid.clip_offsets, 0, n_frames - 1) == clip).all()
        for c, clip in zip(centres, clips, strict=True)
    )


@given(grid=grids, index=st.floats(-10, 1000))
def test_feature_index_and_seconds_are_inverse(grid: TimeGrid, index: float) -> None:
    assert grid.seconds_to_feature(grid.feature_to_seconds(index)) == pytest.approx(index, abs=1e-9)


@given(grid=grids)
def test_a_grid_survives_storage(grid: TimeGrid) -> None:
    as_read = {k: v if isinstance(v, str) else np.asarray(v)[()] for k, v in grid.to_dict().items()}
    assert TimeGrid.from_dict(as_read) == grid
    assert pickle.loads(pickle.dumps(grid)) == grid


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"fps": 0}, "fps must be positive and at most 10000, found 0"),
        ({"fps": math.nan}, "fps must be positive"),
        ({"stride_frames": 0}, "stride_frames must be a whole number of frames, 1 to 1000000, found 0"),
        ({"clip_frames": 2.5}, "clip_frames must be a whole number"),
        ({"convention": "left"}, r"convention must be one of \('centred', .*found 'left'"),
        ({"spacing": "log"}, "spacing must be one of"),
    ],
)
def test_refuses_impossible_grids(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TimeGrid(**{"fps": 30, "stride_frames": 16, **arguments})  # type: ignore[arg-type]


def test_refuses_incomplete_storage_and_negative_lengths() -> None:
    with pytest.raises(ValueError, match="time grid without stride_frames, clip_frames"):
        TimeGrid.from_dict({"fps": 30})
    with pytest.raises(ValueError, match="n_frames must be >= 0, got -1"):
        HACS.num_features(-1)


# ---- features -> cells


@given(
    n=st.integers(1, 12),
    tscale=st.integers(1, 30),
    duration_s=st.floats(0.5, 50),
    seed=st.integers(0, 2**31),
)
def test_interpolation_channel_by_channel(n: int, tscale: int, duration_s: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n, 3)).astype(np.float32)
    times_s = np.cumsum(rng.uniform(0.1, 3, n))
    found = interpolate_to_cells(features, times_s, duration_s, tscale)
    middles = [(i + 0.5) / tscale * duration_s for i in range(tscale)]
    expected = np.stack([np.interp(middles, times_s, features[:, c]) for c in range(3)], axis=1)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_linear_course_stays_linear_and_edges_are_held() -> None:
    times_s = np.arange(1, 10) * 1.0
    found = interpolate_to_cells(np.repeat(times_s[:, None], 2, axis=1), times_s, 10.0, 20)
    np.testing.assert_allclose(found[:, 0], np.clip(cell_centres_s(10.0, 20), 1, 9), rtol=1e-6)


def test_one_feature_fills_all_cells() -> None:
    found = interpolate_to_cells(np.array([[3.0, 4.0]], dtype=np.float16), [0.2], 100.0, 5)
    assert found.tolist() == [[3.0, 4.0]] * 5


@pytest.mark.parametrize(
    ("n", "times", "duration_s", "message"),
    [
        (0, [], 1.0, r"T >= 1; got \(0, 2\) and \(0,\)"),
        (2, [0.0], 1.0, r"got \(2, 2\) and \(1,\)"),
        (2, [1.0, 1.0], 1.0, "must increase"),
        (2, [0.0, 1.0], 0.0, "must be positive, got 0.0"),
    ],
)
def test_interpolation_refuses(n: int, times: list[float], duration_s: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        interpolate_to_cells(np.zeros((n, 2), np.float32), times, duration_s, 10)


def test_cells_tile_the_duration() -> None:
    centres = cell_centres_s(7.0, 100)
    assert centres[0] == pytest.approx(0.035)
    assert all(b - a == pytest.approx(0.07) for a, b in pairwise(centres))


def test_normalised_segments() -> None:
    assert seconds_to_normalised([[-1.0, 5.0], [2.5, 12.0]], 10.0).tolist() == [[0.0, 0.5], [0.25, 1.0]]
