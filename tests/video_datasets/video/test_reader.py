"""The reader on videos rendered here, where every frame's brightness tells its number, and on
real ones."""

from __future__ import annotations

import json
import pickle
import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from video_datasets.time_grid import TimeGrid, grid_source_indices
from video_datasets.video import reader
from video_datasets.video.decoding import FramePass, opened
from video_datasets.video.display import Orientation
from video_datasets.video.reader import (
    VideoError,
    frame_times,
    probe,
    read_clip,
    stream_frames,
    stream_grid_frames,
)

STEP = 6  # grey levels from one frame to the next: more than compression blurs


def render(path: Path, pts_ms: Sequence[int], size: tuple[int, int] = (64, 48), gop: int = 12) -> Path:
    """Write a video whose frame i is grey level STEP * i (its left half darker), shown at
    pts_ms[i]."""
    width, height = size
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.time_base = stream.time_base = Fraction(1, 1000)
        stream.codec_context.gop_size = gop
        stream.codec_context.bit_rate = 2_000_000
        for i, pts in enumerate(pts_ms):
            image = np.full((height, width, 3), STEP * i % 240 + 10, np.uint8)
            image[:, : width // 2] -= 10
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = pts, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def number(image: np.ndarray) -> int:
    """Number of a rendered frame (the first 40 are distinct)."""
    return round((float(image[:, -image.shape[1] // 4 :].mean()) - 10) / STEP)


REGULAR = [40 * i for i in range(30)]
VARIABLE = [40 * i for i in range(10)] + [400 + 300 * i for i in range(8)]
LATE = [3700 + 40 * i for i in range(20)]


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
@pytest.mark.parametrize("pts_ms", [REGULAR, VARIABLE, LATE, [0], [500]], ids=str)
def test_times_are_the_frames_own_from_the_first_shown(
    tmp_path: Path, pts_ms: list[int], suffix: str
) -> None:
    path = render(tmp_path / f"video.{suffix}", pts_ms)
    streamed = list(stream_frames(path))
    expected = [(pts - pts_ms[0]) / 1000 for pts in pts_ms]
    assert [time_s for time_s, _ in streamed] == pytest.approx(expected, abs=1e-3)
    assert [number(image) for _, image in streamed] == list(range(len(pts_ms)))
    assert frame_times(path).times_s == pytest.approx(expected, abs=1e-3)


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="counts threads where Linux lists them")
def test_decoding_leaves_no_threads_for_a_forked_process_to_wait_for(tmp_path: Path) -> None:
    path = render(tmp_path / "video.mp4", REGULAR, size=(640, 480))
    threads = Path("/proc/self/task")
    before = len(list(threads.iterdir()))
    with opened(path) as (container, stream):
        frames = FramePass(path, container, stream)
        shown = [frame for _, frame in frames]
        images = [frames.rgb(frame) for frame in shown]  # a frame lives as long as somebody holds it
        assert len(list(threads.iterdir())) == before
    assert [number(image) for image in images] == list(range(len(REGULAR)))


@pytest.mark.parametrize("fps", [10, 25, 30, 60])
@pytest.mark.parametrize("pts_ms", [REGULAR, VARIABLE, LATE, [0]], ids=str)
def test_grid_stream_shows_what_the_rule_says(tmp_path: Path, pts_ms: list[int], fps: int) -> None:
    path = render(tmp_path / "video.mp4", pts_ms)
    times = frame_times(path)
    expected = grid_source_indices(times.times_s, fps, times.duration_s).tolist()
    stream = stream_grid_frames(path, fps)
    shown = list(stream)
    assert [index for index, _ in shown] == list(range(len(expected)))
    assert [number(image) for _, image in shown] == expected
    assert stream.summary is not None
    assert stream.summary.n_frames == times.n_frames(fps) == len(expected)
    assert stream.summary.frames_decoded == stream.summary.promised_frames == len(pts_ms)
    assert stream.summary.duration_s == pytest.approx(times.duration_s)


def test_only_wanted_frames_and_the_last_are_converted_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = render(tmp_path / "video.mp4", REGULAR)  # 1.2 s
    converted = []
    convert = reader.FramePass.rgb
    monkeypatch.setattr(
        reader.FramePass, "rgb", lambda self, frame: converted.append(frame.pts) or convert(self, frame)
    )
    shown = list(stream_grid_frames(path, 100, [4, 5, 7, 50]))
    assert [index for index, _ in shown] == [4, 5, 7, 50, 119]
    assert [number(image) for _, image in shown] == [1, 1, 1, 12, 29]
    assert len(converted) == 3
    grid = TimeGrid(fps=30, stride_frames=16)
    assert [index for index, _ in stream_grid_frames(path, 30, grid.may_use)] == [0, 4, 12, 20, 28, 35]


def test_progress_is_told_of_every_source_frame(tmp_path: Path) -> None:
    calls: list[int] = []
    path = render(tmp_path / "video.mp4", REGULAR)
    list(stream_grid_frames(path, 30, [0], progress=lambda: calls.append(1)))
    assert len(calls) == len(REGULAR)


CONTAINERS = [("mp4", REGULAR), ("mp4", VARIABLE), ("mp4", LATE), ("mkv", VARIABLE), ("avi", REGULAR)]


@pytest.mark.parametrize(("suffix", "pts_ms"), CONTAINERS, ids=str)
def test_clips_are_the_frames_of_the_stream(tmp_path: Path, suffix: str, pts_ms: list[int]) -> None:
    path = render(tmp_path / f"video.{suffix}", pts_ms)
    streamed = dict(stream_grid_frames(path, 30))
    rng = np.random.default_rng(0)
    for times in (frame_times(path), None):
        for indices in rng.integers(0, len(streamed), (5, 4)):
            clip = read_clip(path, indices, 30, times)
            np.testing.assert_array_equal(clip, np.stack([streamed[i] for i in indices]))


def test_a_clip_outside_the_video_is_refused(tmp_path: Path) -> None:
    path = render(tmp_path / "video.mp4", REGULAR)
    with pytest.raises(ValueError, match=r"within 0 \.\.\. 35 at 30 fps; got \[ 3 36\]"):
        read_clip(path, [3, 36], 30)


def rotated(path: Path) -> Path:
    """Write "turn a quarter to the right" into the display matrix of an MP4 file's track header."""
    content = bytearray(path.read_bytes())
    matrix = content.index(b"tkhd") + 4 + 40
    content[matrix : matrix + 36] = struct.pack(">9i", 0, 1 << 16, 0, -1 << 16, 0, 0, 0, 0, 1 << 30)
    path.write_bytes(content)
    return path


def test_rotation_is_applied(tmp_path: Path) -> None:
    path = rotated(render(tmp_path / "video.mp4", REGULAR))
    info = probe(path)
    assert (info.width, info.height) == (48, 64)
    assert info.orientation == Orientation(transposed=True, mirrored_columns=True)
    _, image = list(stream_frames(path))[20]
    assert image.shape == (64, 48, 3)
    assert image[:30].mean() + 5 < image[34:].mean()  # the darker left half has become the upper one
    np.testing.assert_array_equal(read_clip(path, [20], 25)[0], image)


def test_probe(tmp_path: Path) -> None:
    info = probe(render(tmp_path / "video.mp4", REGULAR))
    assert (info.width, info.height, info.codec, info.promised_frames) == (64, 48, "mpeg4", 30)
    assert info.promised_duration_s == pytest.approx(1.2)
    assert probe(render(tmp_path / "video.mkv", REGULAR)).promised_frames is None


# ---- what cannot be read


def test_missing_and_empty_files(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match=r"none\.mp4: no such file"):
        probe(tmp_path / "none.mp4")
    (tmp_path / "empty.mp4").touch()
    with pytest.raises(VideoError, match="the file is empty"):
        list(stream_frames(tmp_path / "empty.mp4"))


def test_a_cut_file_without_frame_count_is_known_by_its_duration(tmp_path: Path) -> None:
    path = render(tmp_path / "video.mkv", [40 * i for i in range(200)])
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(VideoError, match=r"cut or damaged: \d\S* / 8 seconds decoded"):
        list(stream_grid_frames(path, 30))


def test_times_that_jump_are_refused(tmp_path: Path) -> None:
    path = render(tmp_path / "video.mkv", [0, 40, 50_000_000])
    with pytest.raises(VideoError, match=r"frame times jump from 0\.0 s to 50000\.0 s"):
        list(stream_grid_frames(path, 30))


def test_damage_ends_in_frames_or_in_a_video_error(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    intact = render(tmp_path / "intact.mp4", REGULAR).read_bytes()
    outcomes = set()
    for _ in range(25):
        damaged = bytearray(intact)
        start = int(rng.integers(len(damaged) - 200))
        damaged[start : start + 200] = rng.bytes(200)
        path = tmp_path / "damaged.mp4"
        path.write_bytes(damaged)
        try:
            outcomes.add(len(list(stream_grid_frames(path, 30))) > 0)
        except VideoError as error:
            outcomes.add(error.reason)
    assert len(outcomes) > 1  # some survived, some were lost


def test_errors_travel_between_processes() -> None:
    error = pickle.loads(pickle.dumps(VideoError("a.mp4", "no video stream")))
    assert (str(error), error.reason) == ("a.mp4: no video stream", "no video stream")


# ---- real files


REAL = ["demo.mp4", "test.avi", "test_video_structuralize.mp4", "v_GGSY1Qvo990.mp4"]
UNUSUAL = ["rotate90.mp4", "trim_copy.mp4", "two_frames.mp4", "vfr_slow.mp4"]


@pytest.fixture(scope="module")
def folders(shared: Path) -> dict[str, Path]:
    return {name: shared / "videos" / name for name in REAL} | {
        name: shared / "videos_bad" / name for name in UNUSUAL
    }


@pytest.mark.parametrize("name", REAL)
def test_counts_and_lengths_of_real_videos(shared: Path, folders: dict[str, Path], name: str) -> None:
    expected = json.loads((shared / "videos" / "expected.json").read_text())[name]
    for fps in (30, 60):
        stream = stream_grid_frames(folders[name], fps, [0])
        assert [index for index, _ in stream] == [0, expected[f"fps{fps}"]["n"] - 1]
        assert stream.summary is not None
        assert stream.summary.n_frames == expected[f"fps{fps}"]["n"]
        assert stream.summary.frames_decoded == expected["decoded_frames"]


@pytest.mark.parametrize("name", REAL + UNUSUAL)
def test_times_without_decoding_are_those_of_decoding(folders: dict[str, Path], name: str) -> None:
    times = frame_times(folders[name])
    with opened(folders[name]) as (container, stream):
        frames = FramePass(folders[name], container, stream)
        decoded_s = [time_s for time_s, _ in frames]
        assert times.duration_s == pytest.approx(frames.end_s, abs=1e-9)
    assert times.times_s == pytest.approx(decoded_s, abs=1e-9)


@pytest.mark.parametrize("name", REAL + UNUSUAL)
def test_clips_of_real_videos_are_the_frames_of_the_stream(folders: dict[str, Path], name: str) -> None:
    rng = np.random.default_rng(0)
    times = frame_times(folders[name])
    for fps in (30, 60):
        grid = TimeGrid(fps=fps, stride_frames=8)
        n_frames = times.n_frames(fps)
        clips = [np.clip(int(c) + grid.clip_offsets, 0, n_frames - 1) for c in rng.integers(0, n_frames, 1)]
        clips.append(np.array([n_frames - 1]))
        streamed = dict(stream_grid_frames(folders[name], fps, np.concatenate(clips)))
        for clip in clips:
            expected = np.stack([streamed[i] for i in clip.tolist()])
            np.testing.assert_array_equal(read_clip(folders[name], clip, fps, times), expected)


@pytest.mark.parametrize("name", UNUSUAL)
def test_unusual_files_against_the_measured_counts(shared: Path, folders: dict[str, Path], name: str) -> None:
    measured = json.loads((shared / "videos_bad" / "measured.json").read_text())[name]["pyav"]
    times_s = [time_s for time_s, _ in stream_frames(folders[name])]
    assert len(times_s) == measured["n"]
    assert times_s[-1] == pytest.approx(measured["ts_last"])


def test_rotation_as_decord_has_it(shared: Path, folders: dict[str, Path]) -> None:
    measured = json.loads((shared / "videos_bad" / "measured.json").read_text())["rotate90.mp4"]
    _, image = next(stream_frames(folders["rotate90.mp4"]))
    assert str(image.shape) == measured["decord"]["shape"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("cut_40pct.mp4", r"cut or damaged: 21 / 79 frames decoded, less than .* \(90%\)"),
        ("cut_no_index.mp4", "not a video, or damaged"),
        ("empty.mp4", r"the file is empty \(0 bytes\)"),
        ("html_404.mp4", "not a video, or damaged"),
        ("sound_only.mp4", "no video stream"),
    ],
)
def test_reasons_for_bad_files(shared: Path, name: str, reason: str) -> None:
    path = shared / "videos_bad" / name
    for read in (lambda: list(stream_grid_frames(path, 30)), lambda: frame_times(path)):
        with pytest.raises(VideoError, match=f"{name}: {reason}"):
            read()


def test_what_is_left_of_a_cut_file_can_be_asked_for(shared: Path) -> None:
    stream = stream_grid_frames(shared / "videos_bad" / "cut_40pct.mp4", 30, min_decoded_share=0.2)
    list(stream)
    assert stream.summary is not None
    assert (stream.summary.frames_decoded, stream.summary.promised_frames) == (21, 79)
