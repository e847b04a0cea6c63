"""Open a video file and make one pass over its frames (PyAV): times, rotation, damage, plain-language errors.

The rules that this module sets are listed in `video_datasets.video.reader`, which is what other code calls.
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
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from runtime.errors import InputError

DEFAULT_MIN_DECODED_SHARE = 0.9
"""Smallest share of the promised frames that must decode; 0 accepts whatever is left of a damaged file."""

_MAX_GAP_S = 3600.0
"""A longer wait between two frames is a broken time stamp; the grid would repeat one frame for hours."""

_FALLBACK_FPS = 25.0
"""For streams without a rate (raw ones); FFmpeg assumes the same."""


class VideoError(InputError):
    """A video that cannot be read, with the reason in plain words."""

    def __init__(self, path: Path | str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = Path(path)
        self.reason = reason

    def __reduce__(self) -> tuple[type[VideoError], tuple[Path, str]]:
        return type(self), (self.path, self.reason)  # by default the joined message alone would be passed


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
    rotation_deg: int
    """Turn to the left that display applies: 0, 90, 180 or 270."""


# ---- opening, and plain words for what goes wrong


@contextlib.contextmanager
def opened(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open the first video stream; whatever PyAV raises, here or in the body, becomes a VideoError."""
    try:
        if not path.is_file():
            raise VideoError(path, "no such file")
        if path.stat().st_size == 0:
            raise VideoError(path, "the file is empty (0 bytes); fetch it again")
        with av.open(str(path), metadata_errors="replace") as container:
            pictures = Disposition.attached_pic  # the cover of a sound file
            streams = [s for s in container.streams.video if not s.disposition & pictures]
            if not streams:
                raise VideoError(path, "no video stream")
            streams[0].codec_context.thread_count = 1
            yield container, streams[0]
    except VideoError:
        raise
    except av.error.InvalidDataError as error:
        raise VideoError(path, "not a video, or damaged beyond reading; fetch it again") from error
    except Exception as error:
        # Damaged files make PyAV raise UnicodeDecodeError, MemoryError, EOFError, IndexError and more.
        raise VideoError(path, f"cannot be decoded ({type(error).__name__}: {error})") from error


def probe(path: Path | str) -> VideoInfo:
    """Read what a video says about itself; decodes one frame, because only frames know their rotation.

    Raises:
        VideoError: if the file is missing, empty, no video, or not even one frame decodes.
    """
    path = Path(path)
    with opened(path) as (container, stream):
        turns = next((_quarter_turns(frame) for _, frame in FramePass(path, container, stream)), None)
        if turns is None:
            raise VideoError(path, "not a single frame decodes")
        return _info(container, stream, turns)


def read_header(path: Path | str) -> VideoInfo:
    """Read what a video says about itself, without decoding a frame (milliseconds); rotation is taken as none.

    Raises:
        VideoError: if the file is missing, empty, or no video.
    """
    with opened(Path(path)) as (container, stream):
        return _info(container, stream, turns=0)


def _info(container: InputContainer, stream: VideoStream, turns: int) -> VideoInfo:
    size = (stream.width, stream.height)
    width, height = size[::-1] if turns % 2 else size
    return VideoInfo(
        width=width,
        height=height,
        fps=average_fps(stream),
        promised_frames=stream.frames or None,
        promised_duration_s=_promised_duration_s(container, stream),
        codec=stream.codec_context.name,
        rotation_deg=turns * 90,
    )


def average_fps(stream: VideoStream) -> float:
    return float(stream.average_rate) if stream.average_rate else float("nan")


def _stores_presentation_times(container: InputContainer) -> bool:
    """False for AVI, which has one constant rate, and marks longer pauses by counting empty frames."""
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
    """Iterate over (time in s, frame) of an opened stream, counting; times start at 0 and never decrease."""

    def __init__(self, path: Path, container: InputContainer, stream: VideoStream) -> None:
        self._path = path
        self._container = container
        self._stream = stream
        self._size_px = (stream.width, stream.height)  # before decoding, which may change it
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
        self.last_s = time_s
        self._last_duration_s = self._period_s
        if frame.duration and frame.time_base:
            self._last_duration_s = float(frame.duration * frame.time_base)
        return time_s

    def _pts_s(self, frame: VideoFrame) -> float | None:
        if _stores_presentation_times(self._container):
            return frame.time
        # What FFmpeg makes up instead is wrong where frames are reordered; but they come out in the right
        # order, and at the pace of the packets (dts).
        self.times_are_pts = False
        return None if frame.dts is None or frame.time_base is None else float(frame.dts * frame.time_base)

    @property
    def end_s(self) -> float:
        """End of the last frame's time on screen."""
        return last_frame_end_s(self._stream, self.first_pts_s or 0.0, self.last_s, self._last_duration_s)

    @property
    def promised_frames(self) -> int | None:
        """Frames in the header less the hidden ones; None if the container does not count (all of) them."""
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
        """Convert to RGB as displayed, in the stream's first size: uint8, shape (H, W, 3), contiguous."""
        width, height = self._size_px
        image = frame.to_ndarray(format="rgb24", width=width, height=height)
        return np.ascontiguousarray(np.rot90(image, _quarter_turns(frame)))


def _decode(packet: Packet) -> Sequence[VideoFrame]:
    try:
        return packet.decode()
    except av.error.InvalidDataError:
        return []  # what is missing shows in the count


def _quarter_turns(frame: VideoFrame) -> int:
    return round(frame.rotation / 90) % 4


def last_frame_end_s(stream: VideoStream, first_pts_s: float, last_s: float, last_duration_s: float) -> float:
    """End of the last frame by its own duration, but not after the stream's end (so does FFmpeg's `fps`)."""
    end_s = last_s + last_duration_s
    if stream.duration is not None and stream.time_base is not None:
        stream_end = ((stream.start_time or 0) + stream.duration) * stream.time_base
        stream_end_s = float(stream_end) - first_pts_s
        if last_s < stream_end_s < end_s:  # a stream that "ends" before its last frame is not believed
            return stream_end_s
    return end_s
