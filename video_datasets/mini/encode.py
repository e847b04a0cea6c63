"""H.264 in mp4, with the time of every frame given."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import av
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter

from runtime.atomic import atomic_path
from video_datasets.mini.scene import Picture
from video_datasets.mini.timeline import Clock

X264_OPTIONS = {"preset": "ultrafast", "crf": "23", "bf": "2"}
"""Fast to write and to read, yet with B-frames (stored in another order than shown), as real
videos have."""
KEY_FRAME_INTERVAL_S = 1.0


def to_yuv(pictures: Iterable[Picture]) -> list[VideoFrame]:
    """Convert H x W x 3 RGB pictures to the encoder's 4:2:0 format; H and W must be even."""
    # One converter for all frames keeps its tables; its own threads would cost more than they give.
    convert = VideoReformatter().reformat
    return [
        convert(VideoFrame.from_ndarray(p, format="rgb24"), format="yuv420p", threads=1) for p in pictures
    ]


def write_mp4(path: Path, frames: Sequence[VideoFrame], clock: Clock) -> None:
    """Encode `frames` (of `to_yuv`) with the times of `clock`; the file appears when it is whole.

    One encoder thread, so that the bytes do not depend on the machine's cores.
    """
    tick_s = 1 / clock.ticks_per_s
    with atomic_path(path) as temporary, av.open(str(temporary), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=clock.ticks_per_s, options=X264_OPTIONS)
        stream.width, stream.height, stream.pix_fmt = frames[0].width, frames[0].height, "yuv420p"
        stream.codec_context.time_base = tick_s
        stream.codec_context.gop_size = round(KEY_FRAME_INTERVAL_S * clock.ticks_per_s)
        stream.codec_context.thread_count = 1
        for frame, tick, ticks in zip(frames, clock.ticks.tolist(), clock.frame_ticks.tolist(), strict=True):
            frame.pts, frame.duration, frame.time_base = tick, ticks, tick_s
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
