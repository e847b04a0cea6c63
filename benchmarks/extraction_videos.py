"""Videos for the extraction benchmarks: rendered on the spot, as hard to decode as real ones of
their size."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

SIZE = (854, 480)
KEY_FRAME_INTERVAL = 250
"""Frames; x264's own default, which most videos on the web have."""

GRAIN = 20
"""Grey levels of noise: chosen for the bit rate."""


def render(path: Path, *, fps: int, duration_s: float, size: tuple[int, int] = SIZE) -> Path:
    """Write H.264 of a little over 1 Mbit/s: a grainy scene that pans, with a part that moves on
    its own."""
    width, height = size
    rng = np.random.default_rng(0)
    coarse = rng.integers(30, 220, (height // 8 + 2, width // 8 + 2))
    scene = np.kron(coarse, np.ones((8, 8), dtype=int))[:height, :width].astype(np.uint8)
    grains = rng.integers(0, GRAIN, (7, height, width), dtype=np.uint8)
    planes = np.full((height * 3 // 2, width), 128, dtype=np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps, options={"preset": "veryfast", "crf": "23"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.gop_size = KEY_FRAME_INTERVAL
        stream.codec_context.thread_count = 0
        for i in range(round(duration_s * fps)):
            planes[:height] = np.roll(scene, i // 2, axis=1) + grains[i % len(grains)]
            left, top = (7 * i) % (width - 160), (3 * i) % (height - 120)
            planes[top : top + 120, left : left + 160] = scene[:120, 160:320][::-1]
            frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            frame.pts, frame.time_base = i, Fraction(1, fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def repeat(source: Path, path: Path, times: int) -> Path:
    """Write a long video: the packets of a short one again and again, at later times; nothing is
    encoded."""
    with av.open(str(source)) as short, av.open(str(path), "w") as long:
        template = short.streams.video[0]
        stream = long.add_stream_from_template(template)
        packets = [packet for packet in short.demux(template) if packet.size]
        assert template.duration is not None
        for turn in range(times):
            for packet in packets:
                again = av.Packet(bytes(packet))
                assert packet.pts is not None
                assert packet.dts is not None
                again.pts = packet.pts + turn * template.duration
                again.dts = packet.dts + turn * template.duration
                again.duration, again.time_base = packet.duration, packet.time_base
                again.is_keyframe = packet.is_keyframe
                again.stream = stream
                long.mux(again)
    return path
