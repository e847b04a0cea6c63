"""Frame selection against FFmpeg's own `fps` filter, as PyAV's filter graph runs it, on files of
many rates."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from video_datasets.time_grid import grid_source_indices
from video_datasets.video.reader import frame_times, stream_grid_frames

TICKS_PER_S = 90_000


def render(path: Path, times_s: np.ndarray) -> Path:
    """Write a video whose frame i can be told from its picture, shown at times_s[i]."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 64, 16, "yuv420p"
        stream.codec_context.time_base = stream.time_base = Fraction(1, TICKS_PER_S)
        pts = np.round(times_s * TICKS_PER_S).astype(int)
        for i, (at, until) in enumerate(zip(pts, np.append(pts[1:], 2 * pts[-1] - pts[-2]), strict=True)):
            # The number in binary: eight columns, black or white.
            image = np.repeat([255 * (i >> bit & 1) for bit in range(8)], 8).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(np.broadcast_to(image[None, :, None], (16, 64, 3)).copy())
            frame.pts, frame.duration, frame.time_base = int(at), int(until - at), Fraction(1, TICKS_PER_S)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def number(image: np.ndarray) -> int:
    bits = image[:, :, 0].reshape(16, 8, 8).mean(axis=(0, 2)) > 127
    return int(sum(1 << bit for bit in range(8) if bits[bit]))


def by_ffmpeg(path: Path, fps: int) -> list[int]:
    """Which source frame the filter shows at each frame of its output."""
    shown = []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        graph = av.filter.Graph()
        graph.link_nodes(
            graph.add_buffer(template=stream, time_base=stream.time_base),
            graph.add("fps", f"fps={fps}"),
            graph.add("buffersink"),
        ).configure()
        frames = list(container.decode(stream))
        first_pts = frames[0].pts
        for frame in frames:
            frame.pts -= first_pts  # as the ffmpeg program does before its filters
        for frame in (*frames, None):
            graph.push(frame)
            while True:
                try:
                    shown.append(number(graph.pull().to_ndarray(format="rgb24")))
                except (BlockingIOError, av.error.EOFError):
                    break
    return shown


def rate(fps: Fraction | int, n_frames: int = 150) -> np.ndarray:
    return np.arange(n_frames) / float(fps)


RATES = {
    "59.94": rate(Fraction(60000, 1001)),
    "50": rate(50),
    "29.97": rate(Fraction(30000, 1001)),
    "23.976": rate(Fraction(24000, 1001)),
    "19.62": rate(Fraction(981, 50)),
    "variable": np.cumsum(np.random.default_rng(0).choice([0.02, 1 / 30, 0.05, 0.31], 150)),
    "late": rate(25) + 3.71,
}


@pytest.mark.parametrize("fps", [30, 60])
@pytest.mark.parametrize("name", RATES)
def test_frames_are_those_of_ffmpegs_filter(tmp_path: Path, name: str, fps: int) -> None:
    path = render(tmp_path / "video.mp4", RATES[name])
    expected = by_ffmpeg(path, fps)
    streamed = [number(image) for _, image in stream_grid_frames(path, fps)]
    times = frame_times(path)
    assert streamed == grid_source_indices(times.times_s, fps, times.duration_s).tolist()
    assert len(expected) > 60
    assert streamed == expected
