"""A copy of a video with the labels of its detections burnt in.

Each label is drawn once, by matplotlib's font rendering, as a strip of pixels with transparency;
what a frame costs is blending the strips of the moment onto it. Frames keep their own times, so
videos of variable rate stay in step.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from evaluation.report.letters import any_letters
from pipeline.detector import VideoDetections
from runtime.atomic import atomic_path
from runtime.progress import progress
from runtime.text import encodable
from video_datasets.video.reader import stream_frames

TICKS_PER_S = 90_000
_TICK_S = Fraction(1, TICKS_PER_S)
MAX_STRIPS = 4
"""Labels on the screen at once: the best ones of the moment, one a class."""
FONT_SHARE = 0.05
"""Height of the letters as a share of the picture's shorter side."""
MIN_FONT_PX = 10.0
COLOURS = ("#0072b2", "#cc5500", "#009e73", "#8a4fb0", "#a3003f", "#5d7187")
"""Backgrounds of the strips, by label in the order of the scores; white letters are readable on
all."""
X264_OPTIONS = {"preset": "veryfast", "crf": "20"}


@dataclass(frozen=True, eq=False)
class Strip:
    """A label as pixels.

    Attributes:
        rgb: (H, W, 3) colour times opacity, float32, 0 to 255.
        through: (H, W, 1) share of the picture below that shows through, float32.
    """

    rgb: NDArray[np.float32]
    through: NDArray[np.float32]


def render_video(
    path: Path, destination: Path, found: VideoDetections, min_decoded_share: float = 0.0
) -> None:
    """Write the video as H.264 in mp4 with the labels of the detections of each moment; no sound.

    Args:
        path: of the video.
        destination: mp4, whole or not at all.
        found: its detections, by score, descending.
        min_decoded_share: as in `stream_frames`.

    Raises:
        VideoError: if the video cannot be decoded.
    """
    frames = stream_frames(path, min_decoded_share=min_decoded_share)
    bar = progress(description=f"{destination.name}", total=round(found.duration_s), unit="s of video")
    with atomic_path(destination) as temporary, av.open(str(temporary), "w", format="mp4") as container, bar:
        stream = container.add_stream("libx264", rate=TICKS_PER_S, options=X264_OPTIONS)
        strips: list[Strip] = []
        last_tick = -1
        for time_s, picture in frames:
            if last_tick < 0:
                height, width = (size - size % 2 for size in picture.shape[:2])  # 4:2:0 wants even sizes
                stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
                stream.codec_context.time_base = stream.time_base = _TICK_S
                strips = draw_strips(found, width, height)
            shown = np.array(picture[: stream.height, : stream.width])
            blend(shown, [strips[index] for index in active(found, time_s)])
            frame = VideoFrame.from_ndarray(shown, format="rgb24")
            last_tick = max(round(time_s * TICKS_PER_S), last_tick + 1)
            frame.pts, frame.time_base = last_tick, _TICK_S
            container.mux(stream.encode(frame))
            bar.update(int(time_s) - bar.n)
        container.mux(stream.encode())


def active(found: VideoDetections, time_s: float) -> list[int]:
    """Return the detections to name at a time: the best of each class, at most `MAX_STRIPS`, by
    score."""
    rows = np.flatnonzero((found.segments_s[:, 0] <= time_s) & (time_s < found.segments_s[:, 1]))
    best: dict[str, int] = {}
    for row in rows.tolist():
        best.setdefault(found.labels[row], row)
    return list(best.values())[:MAX_STRIPS]


def blend(picture_HWC: NDArray[np.uint8], strips: list[Strip]) -> None:
    """Put strips below each other into the upper left corner of a picture, in place."""
    top = 0
    for strip in strips:
        height, width = strip.through.shape[:2]
        place = picture_HWC[top : top + height, :width]
        rows, columns = place.shape[:2]
        place[:] = place * strip.through[:rows, :columns] + strip.rgb[:rows, :columns] + 0.5
        top += height


def draw_strips(found: VideoDetections, width: int, height: int) -> list[Strip]:
    """Draw the label and score of every detection, for a picture of some size; too long labels
    are shortened."""
    font_px = max(MIN_FONT_PX, FONT_SHARE * min(width, height))
    colours = {label: COLOURS[n % len(COLOURS)] for n, label in enumerate(dict.fromkeys(found.labels))}
    texts = [
        (_printable(label), f"  {score:.2f}", colours[label])
        for label, score in zip(found.labels, found.scores.tolist(), strict=True)
    ]
    with any_letters():
        return [_strip(label, score, colour, font_px, width) for label, score, colour in texts]


def _printable(label: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in encodable(label))


def _strip(label: str, score: str, colour: str, font_px: float, max_width: int) -> Strip:
    strip = _draw(label + score, colour, font_px)
    length = len(label)
    while strip.through.shape[1] > max_width and length > 1:
        length = min(length - 1, length * max_width // strip.through.shape[1])
        strip = _draw(label[:length] + "\N{HORIZONTAL ELLIPSIS}" + score, colour, font_px)
    return strip


def _draw(text: str, colour: str, font_px: float) -> Strip:
    # Figure and canvas without pyplot: no screen, and no list of open figures.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    dpi = 72  # a point is a pixel
    figure = Figure(dpi=dpi)
    canvas = FigureCanvasAgg(figure)
    written = figure.text(0, 0, text, fontsize=font_px, color="white", parse_math=False)
    extent = written.get_window_extent(canvas.get_renderer())
    pad = font_px * 0.4
    size = np.ceil([extent.width + 2 * pad, font_px * 1.2 + pad])
    figure.set_size_inches(*(size / dpi))
    figure.patch.set_facecolor((*_rgb(colour), 0.8))
    written.set_position((pad / size[0], 0.5))
    written.set_verticalalignment("center_baseline")
    canvas.draw()
    rgba: NDArray[np.float32] = np.asarray(canvas.buffer_rgba()).astype(np.float32)
    opacity = rgba[..., 3:] / np.float32(255)
    return Strip(rgba[..., :3] * opacity, 1 - opacity)


def _rgb(colour: str) -> tuple[float, float, float]:
    from matplotlib.colors import to_rgb

    return to_rgb(colour)
