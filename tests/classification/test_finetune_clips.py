"""Training clips: what an epoch holds, that the cache holds their frames, flips, and damaged
videos."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from classification.finetune.clips import SegmentClips, labelled_segments
from classification.finetune.frame_cache import FrameCache, build_frame_cache
from classification.finetune.mirror import mirrored_labels
from classification.finetune.sampling import clip_frames, segment_frames, spread_frames
from classification.finetune.settings import FinetuneConfig
from classification.finetune.video_files import VideoFiles, load_times
from pipeline.stages import load_config
from runtime.errors import InputError
from runtime.stage import StageRun
from tadaconv.inputs import NetworkInput
from video_datasets.dataset import Segment, Video, VideoDataset, load_dataset
from video_datasets.time_grid import TimeGrid
from video_datasets.video.decoding import VideoError
from video_datasets.video.reader import frame_times, read_clip
from video_datasets.video.transforms import resize_short_side, to_float

HACS = TimeGrid(fps=30, stride_frames=16)
CONFIGS = Path(__file__).resolve().parents[2] / "configs"


def _video(video_id: str, *segments: tuple[float, float], path: Path | None = None) -> Video:
    return Video(video_id, "training", path, 60.0, tuple(Segment(*segment, "run") for segment in segments))


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
    return SegmentClips(
        labelled_segments(videos, lambda label: {"action": 0}), source, HACS, CONFIG, seed, NetworkInput()
    )


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


def test_random_changes_come_before_normalisation_and_repeat() -> None:
    segments = labelled_segments([_video("a", (0, 60))], lambda label: {"action": 0})
    config = replace(CONFIG, rand_augment=4)
    plain, changed, again = (
        SegmentClips(segments, Frames(), HACS, settings, 0, NetworkInput())
        for settings in (CONFIG, config, config)
    )
    differ = 0
    for epoch in range(10):
        clip = changed[(epoch, 0)]["clip"]
        assert torch.equal(clip, again[(epoch, 0)]["clip"])
        pixels = clip * 0.225 + 0.45
        assert pixels.min() > -1e-6
        assert pixels.max() < 1 + 1e-6
        differ += not torch.equal(clip, plain[(epoch, 0)]["clip"])
    assert differ > 5


def test_a_damaged_video_is_replaced_by_another_and_named() -> None:
    videos = [_video("a: b", (0, 10)), _video("b", (20, 30)), _video("c", (40, 50))]
    clips = _clips(Frames("a: b", "b"), videos)
    item = clips[(0, 0)]
    assert item["damaged"] == ("a: b", "cut: short")
    assert item["clip"].shape == (3, 8, 8, 8)
    assert clips[(0, 1)]["damaged"][0] == "b"
    assert clips[(0, 2)]["damaged"] == ("", "")


class CountedFrames(Frames):
    """The same, counting what is asked for by video."""

    def __init__(self, *damaged: str) -> None:
        super().__init__(*damaged)
        self.reads: Counter[str] = Counter()

    def read(self, video: Video, frames: np.ndarray) -> np.ndarray:
        self.reads[video.video_id] += 1
        return super().read(video, frames)


def test_the_many_segments_of_a_damaged_video_are_not_tried_one_after_another() -> None:
    count = 60
    spans = [(float(start), start + 1.0) for start in range(count)]
    source = CountedFrames("bad")
    clips = _clips(source, [_video("bad", *spans), _video("good", *spans)])
    assert all(clips[(0, item)]["damaged"][0] == "bad" for item in range(count))
    # Half of all segments are good: a random one is found at the second trial on average (+- 0.2),
    # not at the 30th.
    assert source.reads["good"] == count
    assert source.reads["bad"] < 3 * count


def test_every_other_segment_may_replace_a_damaged_one() -> None:
    classes = ("bad", "b", "c", "d")
    videos = [
        Video(name, "training", None, 60.0, (Segment(10.0 * index, 10.0 * index + 5, name),))
        for index, name in enumerate(classes)
    ]
    segments = labelled_segments(videos, lambda label: {"action": classes.index(label)})
    clips = SegmentClips(segments, Frames("bad"), HACS, CONFIG, 0, NetworkInput())
    chosen = Counter(classes[clips[(epoch, 0)]["classes"]["action"]] for epoch in range(60))
    assert set(chosen) == {"b", "c", "d"}
    assert min(chosen.values()) >= 8  # 20 expected, +- 3.7


def test_a_replacement_does_not_depend_on_what_was_loaded_before(tiny_mini: Path, tmp_path: Path) -> None:
    bad = [tmp_path / f"bad{index}.mp4" for index in range(2)]
    for path in bad:
        path.write_text("<html>404</html>")
    good = sorted((tiny_mini / "videos").rglob("*.mp4"))[:2]
    videos = [
        _video(f"video{index}", (0, 0.5), (0.5, 1), (1, 1.5), path=path)
        for index, path in enumerate(bad + good)
    ]
    segments = labelled_segments(videos, lambda label: {"action": 0})

    def fresh() -> SegmentClips:  # as in a new process
        return SegmentClips(segments, VideoFiles(HACS, 0.9), HACS, CONFIG, 0, NetworkInput())

    in_turn = fresh()
    later = {item: in_turn[(0, item)] for item in range(len(segments) - 1, -1, -1)}
    assert sum(bool(item["damaged"][0]) for item in later.values()) == 6
    for item, expected in later.items():
        alone = fresh()[(0, item)]
        assert torch.equal(alone["clip"], expected["clip"])
        assert alone["damaged"] == expected["damaged"]


def test_without_any_readable_video_training_stops(tmp_path: Path) -> None:
    clips = _clips(Frames("a"), [_video("a", (0, 10), path=tmp_path / "a.mp4")])
    with pytest.raises(InputError, match="no training video can be decoded; the first: a: cut: short"):
        clips[(0, 0)]


def test_a_clip_by_segments_has_one_frame_of_each_part() -> None:
    config = FinetuneConfig(short_side_px=(8, 10), crop_px=8, sampling="segments")
    segments = labelled_segments([_video("a", (0, 8))], lambda label: {"action": 0})  # 30 frames a part
    clips = SegmentClips(segments, Frames(), HACS, config, 0, NetworkInput())
    greys = [((clips[(epoch, 0)]["clip"][0, :, 0, 0] * 0.225 + 0.45) * 255).round() for epoch in range(20)]
    parts = torch.arange(8) * 30
    offsets = torch.stack([(grey - parts) % 256 for grey in greys])
    assert ((offsets >= 0) & (offsets < 30)).all()
    assert len(offsets.unique()) > 20  # random inside its part, each frame for itself


# ---- left and right


class Ramp(Frames):
    """Frames that are dark on the left and bright on the right."""

    def read(self, video: Video, frames: np.ndarray) -> np.ndarray:
        ramp = np.arange(0, 200, 20, dtype=np.uint8)[None, None, :, None]
        return np.broadcast_to(ramp, (len(frames), 8, 10, 3)).copy()


@pytest.mark.parametrize("swap", [False, True])
def test_flips_exchange_the_classes_of_left_and_right_or_do_not_happen(swap: bool) -> None:
    labels = ("keep left", "sit", "turn left", "turn right")
    dataset = VideoDataset({}, labels)
    segments = tuple(Segment(0, 10, label) for label in labels)
    video = Video("a", "training", None, 60.0, segments)
    found = labelled_segments([video], dataset.class_indices, mirrored_labels(labels, swap=swap))
    clips = SegmentClips(found, Ramp(), HACS, CONFIG, 0, NetworkInput())
    seen = set()
    for epoch in range(16):
        for item, label in enumerate(labels):
            content = clips[(epoch, item)]
            flipped = bool(content["clip"][0, 0, 0, 0] > content["clip"][0, 0, 0, -1])
            seen.add((label, flipped, labels[content["classes"]["action"]]))
    always = {("keep left", False, "keep left"), ("sit", False, "sit"), ("sit", True, "sit")}
    unflipped = {("turn left", False, "turn left"), ("turn right", False, "turn right")}
    swapped = {("turn left", True, "turn right"), ("turn right", True, "turn left")}
    assert seen == always | unflipped | (swapped if swap else set())


# ---- videos and their cache


def test_frames_of_a_video_are_those_of_the_reader(tiny_mini: Path) -> None:
    path = next((tiny_mini / "videos").rglob("*.mp4"))
    video = _video("a", (0.5, 2.0), path=path)
    files = VideoFiles(HACS, 0.9)
    frames = clip_frames(HACS, video.segments[0], files.num_frames(video), 0.5)
    np.testing.assert_array_equal(files.read(video, frames), read_clip(path, frames, 30))
    with pytest.raises(VideoError, match="video file not found"):
        files.num_frames(_video("absent"))


def test_a_cut_video_is_damaged_unless_little_is_asked_of_it(shared: Path) -> None:
    video = _video("a", (0, 0.5), path=shared / "videos_bad/cut_40pct.mp4")  # 21 of 79 frames
    with pytest.raises(VideoError):
        VideoFiles(HACS, 0.9).num_frames(video)
    assert VideoFiles(HACS, 0.2).num_frames(video) > 0


def test_a_damaged_file_is_opened_once_a_process(tiny_mini: Path, tmp_path: Path) -> None:
    path, times = tmp_path / "a.mp4", tmp_path / "times"
    path.write_text("<html>404</html>")
    video, files = _video("a", (0, 1), path=path), VideoFiles(HACS, 0.9, times)
    with pytest.raises(VideoError, match="not a video"):
        files.num_frames(video)
    path.write_bytes(next((tiny_mini / "videos").rglob("*.mp4")).read_bytes())
    for _ in range(2):  # who opened it again would now succeed
        with pytest.raises(VideoError, match=r"a\.mp4: not a video"):
            files.num_frames(video)
    with pytest.raises(VideoError, match="not a video"):
        files.read(video, np.array([0]))
    assert VideoFiles(HACS, 0.9, times).num_frames(video) > 0


def test_the_times_of_a_video_are_found_once_and_kept(tiny_mini: Path, tmp_path: Path) -> None:
    path = next((tiny_mini / "videos").rglob("*.mp4"))
    copy = tmp_path / "a.mp4"
    copy.write_bytes(path.read_bytes())
    video = _video("a", (0.5, 2.0), path=copy)
    num_frames = VideoFiles(HACS, 0.9, tmp_path / "times").num_frames(video)
    assert [file.name for file in (tmp_path / "times").iterdir()] == ["a.npy"]
    kept, expected = load_times(tmp_path / "times" / "a.npy"), frame_times(path)
    np.testing.assert_array_equal(kept.times_s, expected.times_s)
    assert (kept.duration_s, kept.first_pts_s) == (expected.duration_s, expected.first_pts_s)
    # Another process finds the times without the file.
    copy.unlink()
    again = VideoFiles(HACS, 0.8, tmp_path / "times")
    assert again.num_frames(video) == num_frames
    with pytest.raises(VideoError, match="no such file"):
        again.read(video, np.array([0]))


@pytest.fixture
def run(tiny_mini: Path, tmp_path: Path) -> StageRun:
    words = [f"run_dir={tmp_path}", "data.mini=false", f"data.root={tiny_mini}"]
    return StageRun(load_config(CONFIGS / "hacs_mini.yaml", words), tmp_path)


def test_the_cache_holds_the_frames_of_the_videos_scaled(run: StageRun) -> None:
    videos = list(load_dataset(run.config.data).subset("training"))[:3]
    cache = build_frame_cache(run, videos, HACS)
    from_files = FrameCache(cache.folder, 4, held_bytes=0)
    files = VideoFiles(HACS, 0.9)
    assert run.skipped == {}
    assert cache.start_step == 4
    for video in videos:
        assert cache.num_frames(video) == files.num_frames(video)
        for segment in video.segments:
            num_frames = files.num_frames(video)
            for position in (0.0, 0.4, 1.0):
                frames = clip_frames(HACS, segment, num_frames, position, 4)
                if position == 0.4:
                    frames = spread_frames(HACS, segment, num_frames, position, 4)
                expected = resize_short_side(to_float(files.read(video, frames)), 72) * 255
                found = torch.from_numpy(cache.read(video, frames)).permute(3, 0, 1, 2)
                assert (found - expected).abs().max() <= 0.501  # rounding to whole levels
                np.testing.assert_array_equal(from_files.read(video, frames), cache.read(video, frames))


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


def test_changes_of_colour_and_erasing_follow_the_item_and_are_off_by_default() -> None:
    def item(key: tuple[int, int], **settings: float) -> torch.Tensor:
        segments = labelled_segments([_video("a", (0, 10))], lambda label: {"action": 0})
        config = replace(CONFIG, **settings)
        return SegmentClips(segments, Frames(), HACS, config, 0, NetworkInput())[key]["clip"]

    plain = item((0, 0))
    for settings in ({"colour_jitter": 0.5, "grey_probability": 0.5}, {"random_erasing": 1.0}):
        changed = item((0, 0), **settings)
        assert torch.equal(changed, item((0, 0), **settings))
        assert not torch.equal(changed, plain)
        assert not torch.equal(changed, item((1, 0), **settings))
    pixels = NetworkInput().pixels(item((0, 0), colour_jitter=1.0))
    assert -1e-6 <= pixels.min() <= pixels.max() <= 1 + 1e-6
