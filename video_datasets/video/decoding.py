"""Header of a video, and one pass over its frames (PyAV): times, orientation, damage.

The rules that this module sets are listed in `video_datasets.video.reader`, which is what other
code calls.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from video_datasets.video.container import DEFAULT_LIMITS, VideoError, VideoLimits, opened, video_streams
from video_datasets.video.display import AS_STORED, Orientation, orientation_of

__all__ = [
    "DEFAULT_LIMITS",
    "DEFAULT_MIN_DECODED_SHARE",
    "FramePass",
    "VideoError",
    "VideoInfo",
    "VideoLimits",
    "average_fps",
    "last_frame_end_s",
    "late_start",
    "opened",
    "probe",
    "read_header",
    "start_offset_s",
]

DEFAULT_MIN_DECODED_SHARE = 0.9
"""Smallest share of the promised frames that must decode; 0 accepts whatever is left of a
damaged file."""

_MAX_GAP_S = 3600.0
"""A longer wait between two frames is a broken time stamp; the grid would repeat one frame for
hours."""

MAX_START_OFFSET_S = 0.1
"""A later first picture is worth a word: times that were noted in a player are off by as much."""

_FALLBACK_FPS = 25.0
"""For streams without a rate (raw ones); FFmpeg assumes the same."""


@dataclass(frozen=True)
class VideoInfo:
    """What a file says about itself, before it is decoded."""

    width: int
    """Pixels, after rotation."""
    height: int
    """Pixels, after rotation."""
    fps: float
    """Average frame rate in the header, nan if unknown; not to be used for times."""
    promised_frames: int | None
    """Frames in the header, hidden ones included; None if the container does not say."""
    promised_duration_s: float | None
    """Duration of the video stream in the header; None if the container does not say."""
    codec: str
    """FFmpeg's name of the codec, such as "h264"."""
    orientation: Orientation
    """How display turns and mirrors the stored pictures."""
    start_offset_s: float = 0.0
    """How long after the beginning of the file, mostly of its sound, the first picture is shown."""
    stream: str = ""
    """Which video stream is read, in words, where there are several."""

    @property
    def notes(self) -> str:
        """What a person who compares times or pictures with a player should know; mostly empty."""
        return "; ".join(words for words in (late_start(self.start_offset_s), self.stream) if words)


def probe(path: Path | str) -> VideoInfo:
    """Read what a video says about itself; decodes one frame, because only frames know their
    rotation.

    Raises:
        VideoError: if the file is missing, empty, no video, or not even one frame decodes.
    """
    path = Path(path)
    with opened(path) as (container, stream):
        frame = next((frame for _, frame in FramePass(path, container, stream)), None)
        if frame is None:
            raise VideoError(path, "not a single frame decodes")
        return _info(container, stream, orientation_of(frame))


def read_header(path: Path | str, limits: VideoLimits = DEFAULT_LIMITS) -> VideoInfo:
    """Read what a video says about itself, without decoding a frame (milliseconds), as if shown as
    stored.

    Raises:
        VideoError: if the file is missing, empty, no video, or beyond the limits.
    """
    path = Path(path)
    with opened(path, limits) as (container, stream):
        limits.check_length(path, _promised_duration_s(container, stream) or 0.0)
        return _info(container, stream, AS_STORED)


def _info(container: InputContainer, stream: VideoStream, orientation: Orientation) -> VideoInfo:
    size = (stream.width, stream.height)
    width, height = size[::-1] if orientation.transposed else size
    return VideoInfo(
        width=width,
        height=height,
        fps=average_fps(stream),
        promised_frames=stream.frames or None,
        promised_duration_s=_promised_duration_s(container, stream),
        codec=stream.codec_context.name,
        orientation=orientation,
        start_offset_s=start_offset_s(container, stream),
        stream=_stream_words(container, stream),
    )


def start_offset_s(container: InputContainer, stream: VideoStream) -> float:
    """Seconds from the beginning of a file to its first picture, by its header; 0 where that
    does not say."""
    if stream.start_time is None or stream.time_base is None or container.start_time is None:
        return 0.0
    return max(float(stream.start_time * stream.time_base) - container.start_time / av.time_base, 0.0)


def late_start(offset_s: float) -> str:
    """Say in words that a picture begins after the sound; empty up to a tenth of a second.

    >>> late_start(2.0)
    "its picture begins 2.00 s after its sound: our times count from the first picture, a player's from the sound"
    """
    if offset_s <= MAX_START_OFFSET_S:
        return ""
    return (
        f"its picture begins {offset_s:.2f} s after its sound: our times count from the first picture, "
        "a player's from the sound"
    )


def _stream_words(container: InputContainer, stream: VideoStream) -> str:
    streams = video_streams(container)
    if len(streams) < 2:
        return ""
    number = [s.index for s in streams].index(stream.index) + 1
    kind = f"{stream.codec_context.name}, {stream.width} x {stream.height}"
    return f"video stream {number} of {len(streams)} is read ({kind}), as players do"


def average_fps(stream: VideoStream) -> float:
    return float(stream.average_rate) if stream.average_rate else float("nan")


def _stores_presentation_times(container: InputContainer) -> bool:
    """False for AVI, which has one constant rate, and marks longer pauses by counting empty
    frames."""
    return "avi" not in container.format.name


def _promised_duration_s(container: InputContainer, stream: VideoStream) -> float | None:
    if stream.time_base is not None and stream.duration is not None:
        return float(stream.duration * stream.time_base)
    start_s = float((stream.start_time or 0) * (stream.time_base or 0))
    # Matroska tags each stream with its end, such as "00:01:02.500000000".
    parts = stream.metadata.get("DURATION", "").split(":")
    if len(parts) == 3:
        with contextlib.suppress(ValueError):
            return int(parts[0]) * 3600 + int(parts[1]) * 60 + float(parts[2]) - start_s
    if len(container.streams) == 1 and container.duration is not None:
        return container.duration / av.time_base - start_s
    return None


class FramePass:
    """Iterate over (time in s, frame) of an opened stream, counting; times start at 0 and never
    decrease."""

    def __init__(
        self,
        path: Path,
        container: InputContainer,
        stream: VideoStream,
        limits: VideoLimits = DEFAULT_LIMITS,
    ) -> None:
        limits.check_length(path, _promised_duration_s(container, stream) or 0.0)
        self._path = path
        self._limits = limits
        self._container = container
        self._stream = stream
        self._size_px = (stream.width, stream.height)  # before decoding, which may change it
        self._converter = VideoReformatter()
        self._period_s = 1 / float(stream.average_rate or stream.guessed_rate or _FALLBACK_FPS)
        self.frames_decoded = 0
        self.frames_hidden = 0
        self.times_are_pts = True
        self.first_pts_s: float | None = None
        self.last_s = -math.inf
        self._last_duration_s = 0.0

    def __iter__(self) -> Iterator[tuple[float, VideoFrame]]:
        with contextlib.suppress(av.error.InvalidDataError):  # of the container: what follows is lost
            for packet in self._container.demux(self._stream):
                self.frames_hidden += packet.is_discard
                for frame in _decode(packet):
                    time_s = self._time_of(frame)
                    self.frames_decoded += 1
                    yield time_s, frame

    def seek(self, first_pts_s: float, time_s: float) -> None:
        """Start at the key frame before a time; call it before iterating.

        Args:
            first_pts_s: the video's first shown frame on the file's own clock.
            time_s: seconds from the first shown frame.
        """
        assert self._stream.time_base is not None  # streams with times of their own have one
        self.first_pts_s = first_pts_s
        self._container.seek(round((first_pts_s + time_s) / self._stream.time_base), stream=self._stream)

    def _time_of(self, frame: VideoFrame) -> float:
        is_first = self.frames_decoded == 0
        next_s = 0.0 if is_first else self.last_s + self._period_s
        pts_s = self._pts_s(frame)
        if pts_s is None:
            self.times_are_pts = False
            time_s = next_s
        else:
            if self.first_pts_s is None:
                self.first_pts_s = pts_s
            time_s = pts_s - self.first_pts_s
            if time_s < self.last_s:  # the clock was set back within the stream: go on from here
                self.times_are_pts = False
                time_s = next_s
                self.first_pts_s = pts_s - time_s
        if not is_first and time_s - self.last_s > _MAX_GAP_S:
            raise VideoError(self._path, f"frame times jump from {self.last_s:.1f} s to {time_s:.1f} s")
        self._limits.check_length(self._path, time_s)
        self.last_s = time_s
        self._last_duration_s = self._period_s
        if frame.duration and frame.time_base:
            self._last_duration_s = float(frame.duration * frame.time_base)
        return time_s

    def _pts_s(self, frame: VideoFrame) -> float | None:
        if _stores_presentation_times(self._container):
            return frame.time
        # What FFmpeg makes up instead is wrong where frames are reordered; but they come out in the
        # right order, and at the pace of the packets (dts).
        self.times_are_pts = False
        return None if frame.dts is None or frame.time_base is None else float(frame.dts * frame.time_base)

    @property
    def end_s(self) -> float:
        """End of the last frame's time on screen."""
        return last_frame_end_s(self._stream, self.first_pts_s or 0.0, self.last_s, self._last_duration_s)

    @property
    def promised_frames(self) -> int | None:
        """Frames in the header less the hidden ones; None if the container does not count (all
        of) them."""
        if not self._stream.frames or not _stores_presentation_times(self._container):
            return None
        return self._stream.frames - self.frames_hidden

    def check_share(self, min_share: float) -> None:
        """Raise VideoError if fewer frames were decoded than a share of those promised."""
        promised_s = _promised_duration_s(self._container, self._stream)
        if self.frames_decoded == 0:
            raise VideoError(self._path, "not a single frame decodes")
        if self.promised_frames is not None:
            done, promised, unit = float(self.frames_decoded), float(self.promised_frames), "frames"
        elif promised_s is not None:
            done, promised, unit = self.end_s, promised_s, "seconds"
        else:
            return
        if done < min_share * promised:
            raise VideoError(
                self._path,
                f"cut or damaged: {done:.10g} / {promised:.10g} {unit} decoded, "
                f"less than the smallest share accepted ({min_share:.0%}); fetch it again",
            )

    def rgb(self, frame: VideoFrame) -> NDArray[np.uint8]:
        """Convert to RGB as displayed, in the stream's first size: uint8, shape (H, W, 3),
        contiguous."""
        width, height = self._size_px
        # A frame's own converter would start and end threads for that frame, which costs more than
        # the conversion; and a process forked from this one would wait for them for ever.
        rgb = self._converter.reformat(frame, width=width, height=height, format="rgb24", threads=1)
        image = np.asarray(rgb.to_ndarray(), dtype=np.uint8)
        return orientation_of(frame).apply(image)


def _decode(packet: Packet) -> Sequence[VideoFrame]:
    try:
        return packet.decode()
    except av.error.InvalidDataError:
        return []  # what is missing shows in the count


def last_frame_end_s(stream: VideoStream, first_pts_s: float, last_s: float, last_duration_s: float) -> float:
    """End of the last frame by its own duration, but not after the stream's end (so does
    FFmpeg's `fps`)."""
    end_s = last_s + last_duration_s
    if stream.duration is not None and stream.time_base is not None:
        stream_end = ((stream.start_time or 0) + stream.duration) * stream.time_base
        stream_end_s = float(stream_end) - first_pts_s
        if last_s < stream_end_s < end_s:  # a stream that "ends" before its last frame is not believed
            return stream_end_s
    return end_s
