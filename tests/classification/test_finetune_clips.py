"""Training clips: which frames they take, that the cache holds them, and what happens to damaged videos."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from classification.finetune.clips import (
    LabelledSegment,
    SegmentClips,
    VideoFiles,
    clip_frames,
    labelled_segments,
    middle_clip,
    segment_frames,
)
from classification.finetune.frame_cache import build_frame_cache, cached_indices
from runtime.config import load_config
from runtime.errors import InputError
from runtime.schema import FinetuneConfig
from runtime.stage import StageRun
from video_datasets.dataset import Segment, Video, load_dataset
from video_datasets.decoding import VideoError
from video_datasets.reader import read_clip
from video_datasets.time_grid import TimeGrid
from video_datasets.transforms import normalise, resize_short_side, to_float

HACS = TimeGrid(fps=30, stride_frames=16)
CONFIGS = Path(__file__).resolve().parents[2] / "configs"


def _video(video_id: str, *segments: tuple[float, float], path: Path | None = None) -> Video:
    return Video(video_id, "training", path, 60.0, tuple(Segment(*segment, "run") for segment in segments))


# ---- which frames


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


def test_the_clip_of_a_short_segment_lies_around_its_middle() -> None:
    frames = clip_frames(HACS, Segment(3.0, 3.5, "run"), 300, 0.7)  # frames 90 to 104, middle 97
    assert frames.tolist() == list(range(69, 126, 8))
    at_the_start = clip_frames(HACS, Segment(0.0, 0.5, "run"), 300, 0.7)
    assert at_the_start.tolist() == [0, 0, 0, 3, 11, 19, 27, 35]


@st.composite
def cases(draw: st.DrawFn) -> tuple[TimeGrid, Segment, int, int]:
    """Draw a grid, a segment, the N of a video, and a step that divides the places of a clip's frames."""
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


@given(cases(), st.floats(0, 1), st.integers(0, 400))
def test_every_frame_that_a_clip_asks_for_is_cached(
    case: tuple[TimeGrid, Segment, int, int], position: float, more_frames: int
) -> None:
    """The cache is filled before N is known: it is told an upper bound."""
    grid, segment, num_frames, step = case
    assume(segment.start_s * grid.fps < num_frames)
    video = Video("a", "training", None, float("nan"), (segment,))
    wanted = cached_indices(video, grid, num_frames + more_frames, step)
    assert set(clip_frames(grid, segment, num_frames, position, step).tolist()) <= wanted


# ---- items of an epoch


class Frames:
    """Clip source without videos: grey frames of 8 x 10 pixels; some videos are damaged."""

    start_step = 1

    def __init__(self, *damaged: str) -> None:
        self.damaged = damaged

    def num_frames(self, video: Video) -> int:
        return 1800

    def read(self, video: Video, frames: np.ndarray) -> np.ndarray:
        if video.video_id in self.damaged:
            raise VideoError("x.mp4", "cut: short")
        return np.broadcast_to(
            (frames % 256).astype(np.uint8)[:, None, None, None], (len(frames), 8, 10, 3)
        ).copy()


CONFIG = FinetuneConfig(short_side_px=(8, 10), crop_px=8, clips_per_segment=2)


def _clips(source: Frames, videos: list[Video], seed: int = 0) -> SegmentClips:
    return SegmentClips(labelled_segments(videos, {"run": 0}), source, HACS, CONFIG, seed)


def test_an_epoch_covers_all_segments_equally_often() -> None:
    videos = [_video("a", (0, 10), (20, 22)), _video("b", (30, 40))]
    clips = _clips(Frames(), videos)
    assert len(clips) == 6
    chosen = [clips.segments[item % 3] for item in range(6)]
    for item, expected in enumerate(chosen):
        clip = clips[(0, item)]["clip"]
        assert clip.shape == (3, 8, 8, 8)
        grey = (clip[0, :, 0, 0] * 0.225 + 0.45) * 255
        first, stop = segment_frames(HACS, expected.segment, 1800)
        possible = np.arange(first - 57, stop + 57) % 256
        assert set(grey.round().int().tolist()) <= set(possible.tolist())
    assert {id(segment) for segment in chosen} == {id(segment) for segment in clips.segments}


def test_a_clip_depends_on_seed_epoch_and_item_alone() -> None:
    videos = [_video("a", (0, 60))]
    clip = _clips(Frames(), videos)[(0, 0)]["clip"]
    assert torch.equal(clip, _clips(Frames(), videos)[(0, 0)]["clip"])
    for other in (
        _clips(Frames(), videos)[(1, 0)],
        _clips(Frames(), videos)[(0, 1)],
        _clips(Frames(), videos, 1)[(0, 0)],
    ):
        assert not torch.equal(clip, other["clip"])


def test_a_damaged_video_is_replaced_by_the_next_and_named() -> None:
    videos = [_video("a: b", (0, 10)), _video("b", (20, 30)), _video("c", (40, 50))]
    clips = _clips(Frames("a: b", "b"), videos)
    item = clips[(0, 0)]
    assert item["damaged"] == ("a: b", "cut: short")
    assert item["clip"].shape == (3, 8, 8, 8)
    assert clips[(0, 1)]["damaged"][0] == "b"
    assert clips[(0, 2)]["damaged"] == ("", "")


def test_without_any_readable_video_training_stops(tmp_path: Path) -> None:
    clips = _clips(Frames("a"), [_video("a", (0, 10), path=tmp_path / "a.mp4")])
    with pytest.raises(InputError, match="no training video can be decoded; the first: a: cut: short"):
        clips[(0, 0)]


def test_segments_get_the_index_of_their_label() -> None:
    video = Video("a", "training", None, 9.0, (Segment(0, 1, "x"), Segment(1, 2, "y"), Segment(2, 3, "z")))
    found = labelled_segments([video], {"y": 0, "z": 1})
    assert [(item.segment.label, item.class_index) for item in found] == [("y", 0), ("z", 1)]


# ---- videos and their cache


def test_frames_of_a_video_are_those_of_the_reader(tiny_mini: Path) -> None:
    path = next((tiny_mini / "videos").rglob("*.mp4"))
    video = _video("a", (0.5, 2.0), path=path)
    files = VideoFiles(HACS, 0.9)
    frames = clip_frames(HACS, video.segments[0], files.num_frames(video), 0.5)
    np.testing.assert_array_equal(files.read(video, frames), read_clip(path, frames, 30))
    clip = middle_clip(LabelledSegment(video, video.segments[0], 0), files, HACS, short_side_px=32)
    expected = normalise(resize_short_side(to_float(read_clip(path, frames, 30)), 32))
    torch.testing.assert_close(clip, expected)
    with pytest.raises(VideoError, match="video file not found"):
        files.num_frames(_video("absent"))


def test_a_cut_video_is_damaged_unless_little_is_asked_of_it(shared: Path) -> None:
    video = _video("a", (0, 0.5), path=shared / "videos_bad/cut_40pct.mp4")  # 21 of 79 frames
    with pytest.raises(VideoError):
        VideoFiles(HACS, 0.9).num_frames(video)
    assert VideoFiles(HACS, 0.2).num_frames(video) > 0


@pytest.fixture
def run(tiny_mini: Path, tmp_path: Path) -> StageRun:
    words = [f"run_dir={tmp_path}", "data.mini=false", f"data.root={tiny_mini}"]
    return StageRun(load_config(CONFIGS / "hacs_mini.yaml", words), tmp_path)


def test_the_cache_holds_the_frames_of_the_videos_scaled(run: StageRun) -> None:
    videos = list(load_dataset(run.config.data).subset("training"))[:3]
    cache = build_frame_cache(run, videos, HACS)
    files = VideoFiles(HACS, 0.9)
    assert run.skipped == {}
    assert cache.start_step == 4
    for video in videos:
        assert cache.num_frames(video) == files.num_frames(video)
        for segment in video.segments:
            for position in (0.0, 0.4, 1.0):
                frames = clip_frames(HACS, segment, files.num_frames(video), position, 4)
                expected = resize_short_side(to_float(files.read(video, frames)), 72) * 255
                found = torch.from_numpy(cache.read(video, frames)).permute(3, 0, 1, 2)
                assert (found - expected).abs().max() <= 0.501  # rounding to whole levels


def test_the_cache_is_filled_once_and_lists_what_cannot_be_decoded(run: StageRun) -> None:
    good = next(load_dataset(run.config.data).subset("training"))
    bad_file = run.folder / "v_bad.mp4"
    bad_file.write_text("<html>404</html>")
    bad = _video("bad", (0, 1), path=bad_file)
    build_frame_cache(run, [good, bad], HACS)
    assert list(run.skipped) == ["bad"]
    assert "not a video" in run.skipped["bad"]
    files = list((run.folder / "frames").iterdir())
    assert [file.name for file in files] == [f"{good.video_id}.h5"]
    before = files[0].stat().st_mtime_ns
    build_frame_cache(run, [good], HACS)
    assert files[0].stat().st_mtime_ns == before


def test_a_segment_behind_the_end_of_its_video_is_an_error_of_the_video(run: StageRun) -> None:
    video = next(load_dataset(run.config.data).subset("training"))
    late = _video(video.video_id, (50, 55), path=video.path)
    cache = build_frame_cache(run, [late], HACS)
    with pytest.raises(VideoError, match="a labelled segment lies after the last frame of the video"):
        cache.read(late, clip_frames(HACS, late.segments[0], cache.num_frames(late), 0.5, 4))


@pytest.mark.parametrize("grid", [TimeGrid(30, 16, 8, 6), TimeGrid(30, 16, 8, 8, spacing="linspace")])
def test_a_step_that_misses_frames_of_clips_is_refused(run: StageRun, grid: TimeGrid) -> None:
    with pytest.raises(
        InputError, match=r"finetune\.frame_cache_step=4 must divide the places of a clip's frames"
    ):
        build_frame_cache(run, [], grid)
