"""Open a video file as a file, choose its stream as players do, and say in plain words what is
wrong with it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from runtime.errors import InputError
from runtime.settings import RuntimeConfig

_OPEN_OTHER_FILES = frozenset(
    {"applehttp", "concat", "dash", "hls", "image2", "imf", "lavfi", "rtp", "rtsp", "sdp"}
)
"""Kinds of files that name others, which FFmpeg would fetch. A video is one file."""

_DAMAGE = (
    av.FFmpegError, ArithmeticError, EOFError, IndexError, MemoryError, OSError, UnicodeError, ValueError,
)  # fmt: skip
"""What PyAV raises over damaged files. TypeError, AttributeError and their like are mistakes of
a program."""


class VideoError(InputError):
    """A video that cannot be read, with the reason in plain words."""

    def __init__(self, path: Path | str, reason: str) -> None:
        # A name that is not UTF-8 could not be printed.
        name = str(path).encode(errors="backslashreplace").decode()
        super().__init__(f"{name}: {reason}")
        self.path = Path(path)
        self.reason = reason

    def __reduce__(self) -> tuple[type[VideoError], tuple[Path, str]]:
        return type(self), (self.path, self.reason)  # by default the joined message alone would be passed


@dataclass(frozen=True, kw_only=True)
class VideoLimits:
    """What a single file may ask of this machine; a small file can promise days of video or
    gigabytes a frame."""

    max_hours: float = 24.0
    """Of one file, by its header or by its frames."""
    max_megapixels: float = 36.0
    """Of a frame; 8K has 33 to 35. A decoder takes up to 80 bytes a pixel: 3 GB at this limit."""

    @classmethod
    def from_config(cls, config: RuntimeConfig) -> VideoLimits:
        """The limits that a run's configuration sets."""
        return cls(max_hours=config.video_max_hours, max_megapixels=config.video_max_megapixels)

    @property
    def max_coded_pixels(self) -> int:
        """For the decoder, since damage or malice may announce larger frames on the way; codecs
        round sizes up."""
        return round(1.1e6 * self.max_megapixels) + (1 << 16)

    def check_size(self, path: Path, width: int, height: int) -> None:
        """Raise VideoError if frames are too large."""
        if width * height > self.max_megapixels * 1e6:
            raise VideoError(
                path,
                f"frames of {width} x {height} px, more than runtime.video_max_megapixels="
                f"{self.max_megapixels:g} allows; raise it if the file is meant so",
            )

    def check_length(self, path: Path, seconds: float) -> None:
        """Raise VideoError if a file is too long."""
        if seconds > self.max_hours * 3600:
            raise VideoError(
                path,
                f"lasts {seconds / 3600:.1f} hours, more than runtime.video_max_hours={self.max_hours:g} allows; "
                "raise it if the file is meant so",
            )


DEFAULT_LIMITS = VideoLimits()


@contextlib.contextmanager
def opened(path: Path, limits: VideoLimits = DEFAULT_LIMITS) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open the stream that players show; what PyAV raises over damage, here or in the body,
    becomes a VideoError."""
    try:
        _check_file(path)
        with open_as_file(path) as container:
            stream = main_stream(path, container)
            limits.check_size(path, stream.width, stream.height)
            stream.codec_context.options = {"max_pixels": str(limits.max_coded_pixels)}
            stream.codec_context.thread_count = 1
            yield container, stream
    except VideoError:
        raise
    except av.error.InvalidDataError as error:
        raise VideoError(path, "not a video, or damaged beyond reading; fetch it again") from error
    except _DAMAGE as error:
        raise VideoError(path, f"cannot be decoded ({type(error).__name__}: {error})") from error


def _check_file(path: Path) -> None:
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise VideoError(path, "the file's name is not UTF-8; rename the file") from None
    if path.is_dir():
        raise VideoError(path, "a folder; expected a video file")
    if not path.is_file():
        raise VideoError(path, "no such file")
    if path.stat().st_size == 0:
        raise VideoError(path, "the file is empty (0 bytes); fetch it again")


def open_as_file(path: Path, opener: Callable[..., Any] = av.open) -> InputContainer:
    """Open a path as a file, whatever its name or content look like to FFmpeg.

    "file:" keeps `lecture:1.mp4` from being taken for a protocol; a list of the formats that stand
    for themselves keeps a text file from opening its neighbours.

    Args:
        path: of the file.
        opener: `av.open`, with the signature of PyAV 18 or of 19.
    """
    own = {"format_whitelist": ",".join(sorted(av.formats_available - _OPEN_OTHER_FILES))}
    given: dict[str, Any] = {"container_options": own, "metadata_errors": "replace"}
    try:
        try:
            # Titles in other encodings than UTF-8 are common; PyAV 19 replaces what it cannot read
            # unasked.
            container: InputContainer = opener(f"file:{path}", **given)
        except TypeError as error:
            if "metadata_errors" not in str(error):
                raise
            container = opener(f"file:{path}", container_options=own)
    except av.error.ArgumentError as error:
        raise VideoError(path, "not a video, but perhaps a list of other files; name those") from error
    return container


def main_stream(path: Path, container: InputContainer) -> VideoStream:
    """Return the stream that FFmpeg and players take: the default one, else the one with the most
    to show.

    Covers of sound files are no video.

    Raises:
        VideoError: if there is none, or nothing here decodes it.
    """
    streams = video_streams(container)
    if not streams:
        raise VideoError(path, "no video stream")
    best = container.streams.best("video")
    stream = next((own for own in streams if best is not None and own.index == best.index), streams[0])
    if stream.codec_context is None:
        raise VideoError(path, "no decoder here for its kind of compression")
    return stream


def video_streams(container: InputContainer) -> list[VideoStream]:
    """Return the moving pictures of a file, in its order."""
    return [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
