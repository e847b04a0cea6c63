"""Which frames of a segment a clip takes, by interval and by segments, and that the cache holds
them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from classification.finetune.frame_cache import cached_indices
from classification.finetune.sampling import clip_frames, segment_frames, spread_frames, view_positions
from video_datasets.dataset import Segment, Video
from video_datasets.time_grid import TimeGrid

HACS = TimeGrid(fps=30, stride_frames=16)


@pytest.mark.parametrize(
    ("segment", "num_frames", "frames"),
    [
        ((1.0, 2.0), 300, (30, 60)),
        ((0.0, 0.001), 300, (0, 1)),  # shorter than a frame
        ((9.0, 12.0), 300, (270, 300)),  # reaches over the end
        ((11.0, 12.0), 300, (299, 300)),  # behind the end
        ((1.01, 1.99), 300, (30, 60)),  # ends within frames
    ],
)
def test_the_frames_of_a_segment(
    segment: tuple[float, float], num_frames: int, frames: tuple[int, int]
) -> None:
    assert segment_frames(HACS, Segment(*segment, "run"), num_frames) == frames


def test_clips_of_a_long_segment_by_hand() -> None:
    segment = Segment(1.0, 4.0, "run")  # frames 30 to 119
    assert clip_frames(HACS, segment, 300, 0.0).tolist() == list(range(30, 87, 8))
    assert clip_frames(HACS, segment, 300, 1.0).tolist() == list(range(63, 120, 8))
    assert clip_frames(HACS, segment, 300, 0.0, start_step=4).tolist() == list(range(28, 85, 8))
    nine = TimeGrid(fps=30, stride_frames=16, spacing="linspace")  # the true step of the released code
    assert clip_frames(nine, segment, 300, 0.0).tolist() == list(range(30, 94, 9))


def test_the_clip_of_a_short_segment_lies_around_its_middle() -> None:
    frames = clip_frames(HACS, Segment(3.0, 3.5, "run"), 300, 0.7)  # frames 90 to 104, middle 97
    assert frames.tolist() == list(range(69, 126, 8))
    at_the_start = clip_frames(HACS, Segment(0.0, 0.5, "run"), 300, 0.7)
    assert at_the_start.tolist() == [0, 0, 0, 3, 11, 19, 27, 35]


def test_frames_by_segments_by_hand() -> None:
    segment = Segment(1.0, 3.0, "run")  # frames 30 to 89, 7.5 a part
    assert spread_frames(HACS, segment, 300, 0.0).tolist() == [30, 37, 45, 52, 60, 67, 75, 82]
    assert spread_frames(HACS, segment, 300, 0.5).tolist() == [33, 41, 48, 56, 63, 71, 78, 86]
    assert spread_frames(HACS, segment, 300, 1.0).tolist() == [37, 45, 52, 60, 67, 75, 82, 89]
    assert spread_frames(HACS, Segment(1.0, 1.1, "run"), 300, 0.5).tolist() == [
        30,
        30,
        30,
        31,
        31,
        32,
        32,
        32,
    ]


@st.composite
def cases(draw: st.DrawFn) -> tuple[TimeGrid, Segment, int, int]:
    """Draw a grid, a segment, the N of a video, and a step that divides the places of a clip's
    frames."""
    step = draw(st.sampled_from([1, 2, 4, 8]))
    interval = step * draw(st.integers(1, 4))
    fps = draw(st.sampled_from([15.0, 29.97, 30.0, 60.0]))
    grid = TimeGrid(fps=fps, stride_frames=16, clip_frames=draw(st.integers(1, 9)), interval_frames=interval)
    start_s = draw(st.floats(0, 20))
    end_s = start_s + draw(st.floats(0.01, 10))
    return grid, Segment(start_s, end_s, "run"), draw(st.integers(1, 900)), step


@given(cases(), st.floats(0, 1))
def test_frames_lie_inside_the_video_in_order_and_in_long_segments(
    case: tuple[TimeGrid, Segment, int, int], position: float
) -> None:
    grid, segment, num_frames, step = case
    frames = clip_frames(grid, segment, num_frames, position, step)
    assert frames.shape == (grid.clip_frames,)
    assert frames.min() >= 0
    assert frames.max() < num_frames
    assert (np.diff(frames) >= 0).all()
    assert (frames % step == 0).all()
    first, stop = segment_frames(grid, segment, num_frames)
    assert 0 <= first < stop <= num_frames
    if stop - first >= grid.clip_span_frames:
        assert frames[0] > first - step
        assert frames[-1] < stop
        assert (np.diff(frames) == grid.interval_frames).all()


@given(cases(), st.floats(0, 1))
def test_each_frame_by_segments_lies_in_its_part(
    case: tuple[TimeGrid, Segment, int, int], position: float
) -> None:
    grid, segment, num_frames, step = case
    frames = spread_frames(grid, segment, num_frames, position, step)
    first, stop = segment_frames(grid, segment, num_frames)
    edges = first + np.arange(grid.clip_frames + 1) * (stop - first) / grid.clip_frames
    assert (frames % step == 0).all()
    assert (frames > edges[:-1] - step).all()
    assert (frames <= edges[1:]).all()
    assert frames.max() < stop


@given(cases(), st.floats(0, 1), st.integers(0, 400))
def test_every_frame_that_a_clip_asks_for_is_cached(
    case: tuple[TimeGrid, Segment, int, int], position: float, more_frames: int
) -> None:
    """The cache is filled before N is known: it is told an upper bound."""
    grid, segment, num_frames, step = case
    assume(segment.start_s * grid.fps < num_frames)
    video = Video("a", "training", None, float("nan"), (segment,))
    wanted = cached_indices(video, grid, num_frames + more_frames, step)
    for sample in (clip_frames, spread_frames):
        assert set(sample(grid, segment, num_frames, position, step).tolist()) <= wanted


def test_test_clips_are_spread_as_in_the_original() -> None:
    assert view_positions(1, "interval") == view_positions(1, "segments") == [0.5]
    assert view_positions(10, "interval") == pytest.approx([index / 10 for index in range(10)])
    assert view_positions(2, "segments") == [0.5, 1.0]
    segment = Segment(0.0, 4.0, "run")  # frames 0 to 119, 15 a part
    middle, last = (spread_frames(HACS, segment, 120, place) for place in view_positions(2, "segments"))
    assert middle.tolist() == [7, 22, 37, 52, 67, 82, 97, 112]
    assert last.tolist() == [15, 30, 45, 60, 75, 90, 105, 119]
