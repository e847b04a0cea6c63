"""Read the frames of a video file: streamed once from end to end, or a few at random positions
(PyAV).

What counts as a frame, and when it is shown:

- Every frame that the decoder puts out is counted; nothing is believed from the header. Frames that
  an edit list hides (stream-copied trims) are not shown.
- Times are the frames' own (pts), counted from the first shown frame, so files that start late or
  run at a variable rate are placed correctly. Never index / average rate.
- The display matrix is applied, turns and mirrors, and of several streams the one is read that
  players show.
- A damaged packet is skipped and decoding goes on; the frame before it stays on screen. In the end
  the frames decoded are compared with the frames promised, and too small a share is an error: a
  file that was cut short stops without any error of its own.

One decoder, PyAV, streams and reads at random positions. decord would read training clips 1.25
times as fast at best (`benchmarks/random_access.py`), but it serves other frames of stream-copied
trims, wrong times of AVI files and aborts after a fork, so that every file would first have to be
decoded with both and compared: not worth it.

Memory is bounded: one frame at a time, and only frames asked for are converted to RGB. Each call
opens and closes the file by itself, so nothing has to survive a fork. Decoding uses one thread,
because many videos are read at once, one process each.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from video_datasets.time_grid import first_grid_index, grid_source_indices, num_grid_frames
from video_datasets.video.decoding import (
    DEFAULT_LIMITS,
    DEFAULT_MIN_DECODED_SHARE,
    FramePass,
    VideoError,
    VideoInfo,
    VideoLimits,
    average_fps,
    last_frame_end_s,
    opened,
    probe,
    start_offset_s,
)

__all__ = [
    "DEFAULT_MIN_DECODED_SHARE",
    "FrameTimes",
    "GridStream",
    "StreamSummary",
    "VideoError",
    "VideoInfo",
    "frame_times",
    "probe",
    "read_clip",
    "stream_frames",
    "stream_grid_frames",
]

_SAME_TIME_S = 1e-6
"""Times of one frame read in two ways differ by rounding only."""


@dataclass(frozen=True)
class StreamSummary:
    """What one pass over a video found."""

    frames_decoded: int
    """Frames that the decoder put out."""
    promised_frames: int | None
    """Frames in the header less those hidden by an edit list; None if the container does not
    say."""
    duration_s: float
    """From the first shown frame to the end of the last one's time on screen."""
    source_fps: float
    """Average frame rate in the header, nan if unknown."""
    n_frames: int
    """Frames of the uniform grid (N)."""
    seconds_spent: float
    """Wall time of the pass, waiting for the consumer included."""
    start_offset_s: float = 0.0
    """How long after the beginning of the file, mostly of its sound, the first frame is shown."""


@dataclass(frozen=True)
class FrameTimes:
    """When each shown frame appears: all that is needed to place a video on a uniform grid."""

    times_s: NDArray[np.float64]
    """Seconds from the first shown frame, not decreasing, shape (n,)."""
    duration_s: float
    """End of the last frame's time on screen."""
    first_pts_s: float | None
    """The first shown frame on the file's own clock; None where that clock does not serve for
    seeking."""

    def n_frames(self, fps: float) -> int:
        """Frames of the uniform grid of rate `fps`."""
        return num_grid_frames(self.duration_s, fps)


# ---- from end to end


def stream_frames(
    path: Path | str, *, min_decoded_share: float = DEFAULT_MIN_DECODED_SHARE
) -> Iterator[tuple[float, NDArray[np.uint8]]]:
    """Yield (seconds from the first frame, RGB frame) of every shown frame.

    Args:
        path: video file.
        min_decoded_share: smallest share of the promised frames that must decode.

    Yields:
        Time in seconds, and uint8 array (H, W, 3).

    Raises:
        VideoError: if the file cannot be read, or (at the end) is cut short.
    """
    path = Path(path)
    with opened(path) as (container, stream):
        frames = FramePass(path, container, stream)
        for time_s, frame in frames:
            yield time_s, frames.rgb(frame)
        frames.check_share(min_decoded_share)


def stream_grid_frames(
    path: Path | str,
    fps: float,
    wanted: Callable[[int], bool] | Iterable[int] | None = None,
    *,
    min_decoded_share: float = DEFAULT_MIN_DECODED_SHARE,
    limits: VideoLimits = DEFAULT_LIMITS,
    progress: Callable[[], object] = lambda: None,
) -> GridStream:
    """Stream a video on the uniform grid of rate `fps`, decoding every source frame once.

    Args:
        path: video file.
        fps: grid frames per second.
        wanted: which grid frames to give: a test (`TimeGrid.may_use`), their indices, or None for
            all. The last frame of the grid is always given, because clips at the end repeat it.
        min_decoded_share: smallest share of the promised frames that must decode.
        limits: hours and pixels that a file may have.
        progress: called after each decoded source frame.

    Returns:
        Iterator over (grid index, uint8 RGB frame (H, W, 3)), indices increasing; a source frame
        shown at several grid indices is one and the same array. Its `summary` is set when the pass
        ends. VideoError is raised on the way: if the file cannot be read, or (at the end) is cut
        short.
    """
    if wanted is not None and not callable(wanted):
        wanted = frozenset(int(index) for index in wanted).__contains__
    return GridStream(Path(path), fps, wanted, min_decoded_share, limits, progress)


@dataclass
class GridStream:
    """One pass over a video on a uniform grid; made by `stream_grid_frames`."""

    path: Path
    fps: float
    wanted: Callable[[int], bool] | None
    min_decoded_share: float
    limits: VideoLimits
    progress: Callable[[], object]
    summary: StreamSummary | None = None
    """What the pass found; None until it has ended."""

    def __iter__(self) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        began = time.monotonic()
        with opened(self.path, self.limits) as (container, stream):
            frames = FramePass(self.path, container, stream, self.limits)
            given = -1
            for frame, shown_at in self._spans(frames):
                image = None
                for index in shown_at:
                    if self.wanted is None or self.wanted(index):
                        image = frames.rgb(frame) if image is None else image
                        yield index, image
                        given = index
            if given != shown_at[-1]:
                yield shown_at[-1], frames.rgb(frame)
            self.summary = StreamSummary(
                frames_decoded=frames.frames_decoded,
                promised_frames=frames.promised_frames,
                duration_s=frames.end_s,
                source_fps=average_fps(stream),
                n_frames=shown_at[-1] + 1,
                seconds_spent=time.monotonic() - began,
                start_offset_s=start_offset_s(container, stream),
            )

    def _spans(self, frames: FramePass) -> Iterator[tuple[VideoFrame, range]]:
        """Yield each shown frame with its grid indices: from its own until the next frame's,
        without gaps.

        The streaming form of `grid_source_indices`.
        """
        newest: VideoFrame | None = None
        start = 0
        for time_s, frame in frames:
            stop = int(first_grid_index(time_s, self.fps))
            if newest is not None and start < stop:
                yield newest, range(start, stop)
            newest, start = frame, stop
            self.progress()
        frames.check_share(self.min_decoded_share)
        end = num_grid_frames(frames.end_s, self.fps)
        if newest is not None and start < end:
            yield newest, range(start, end)


# ---- at random positions


def frame_times(path: Path | str, *, min_decoded_share: float = DEFAULT_MIN_DECODED_SHARE) -> FrameTimes:
    """Find when each shown frame appears.

    Takes them from the index of a file whose index can be trusted (milliseconds), else decodes it
    once.

    Raises:
        VideoError: if the file cannot be read, or is cut short.
    """
    path = Path(path)
    with opened(path) as (container, stream):
        times = _times_in_index(path, container, stream)
    if times is not None:
        return times
    with opened(path) as (container, stream):
        frames = FramePass(path, container, stream)
        times_s = np.array([time_s for time_s, _ in frames])
        frames.check_share(min_decoded_share)
        return FrameTimes(times_s, frames.end_s, frames.first_pts_s if frames.times_are_pts else None)


def _times_in_index(path: Path, container: InputContainer, stream: VideoStream) -> FrameTimes | None:
    """Times by the packets of an MP4 file, one frame each; None unless they are sure to be the
    decoder's.

    That is: every promised packet is there (the file was not cut), all have distinct times of their
    own, and the first of them is the first that decodes.
    """
    if "mp4" not in container.format.name or stream.time_base is None:
        return None
    packets = [packet for packet in container.demux(stream) if packet.size]
    shown = {p.pts: p.duration or 0 for p in packets if p.pts is not None and not p.is_discard}
    hidden = sum(p.is_discard for p in packets)
    if not shown or not len(packets) == stream.frames == len(shown) + hidden:
        return None
    with opened(path) as (again, first_stream):
        frames = FramePass(path, again, first_stream)
        next(iter(frames), None)
    pts = np.array(sorted(shown))
    seconds = pts * float(stream.time_base)
    if frames.first_pts_s is None or abs(frames.first_pts_s - seconds[0]) > _SAME_TIME_S:
        return None
    times_s = seconds - seconds[0]
    last_duration_s = shown[pts[-1]] * float(stream.time_base) or 1 / average_fps(stream)
    end_s = last_frame_end_s(stream, float(seconds[0]), float(times_s[-1]), last_duration_s)
    return FrameTimes(times_s, end_s, float(seconds[0]))


def read_clip(
    path: Path | str,
    grid_indices: Sequence[int] | NDArray[np.integer],
    fps: float,
    times: FrameTimes | None = None,
) -> NDArray[np.uint8]:
    """Read single frames of the uniform grid, the same ones that `stream_grid_frames` gives.

    Seeks to the key frame before the first of them and decodes up to the last: meant for one clip.

    Args:
        path: video file.
        grid_indices: frames of the grid of rate `fps`, in any order, repeats welcome; shape (n,).
        fps: grid frames per second.
        times: what `frame_times(path)` returned; None: found anew on every call.

    Returns:
        uint8 array of shape (n, H, W, 3), RGB.

    Raises:
        VideoError: if the file cannot be read.
        ValueError: if an index lies outside the video.
    """
    path = Path(path)
    times = frame_times(path) if times is None else times
    source = grid_source_indices(times.times_s, fps, times.duration_s)
    indices = np.asarray(grid_indices, dtype=np.int64)
    if indices.ndim != 1 or indices.size == 0 or indices.min() < 0 or indices.max() >= source.size:
        raise ValueError(
            f"{path}: expected grid indices, shape (n,), within 0 ... {source.size - 1} at {fps} fps; "
            f"got {indices}"
        )
    wanted_s = times.times_s[source[indices]]
    images = _frames_at(path, wanted_s, times.first_pts_s) or _frames_at(path, wanted_s, None)
    if images is None:
        raise VideoError(path, f"no frame decodes up to {wanted_s.min():.2f} s")
    return np.stack([images[time_s] for time_s in wanted_s.tolist()])


def _frames_at(
    path: Path, wanted_s: NDArray[np.float64], seek_from_pts_s: float | None
) -> dict[float, NDArray[np.uint8]] | None:
    """Decode the frames on screen at given times, after a seek or (None) from the start of the
    file.

    Returns:
        The images by time. None if the first frame decoded is too late, or if what is on screen
        after a seek is not the very frame wanted (then only decoding from the start tells what a
        stream would show).
    """
    shown: dict[float, tuple[float, VideoFrame]] = {}
    with opened(path) as (container, stream):
        frames = FramePass(path, container, stream)
        if seek_from_pts_s is not None:
            frames.seek(seek_from_pts_s, wanted_s.min())
        for time_s, frame in frames:
            if time_s > wanted_s.max() + _SAME_TIME_S:
                break
            # A frame stays on screen until the next one replaces it here.
            shown.update(
                {at_s: (time_s, frame) for at_s in wanted_s.tolist() if time_s <= at_s + _SAME_TIME_S}
            )
        exact = all(abs(time_s - at_s) <= _SAME_TIME_S for at_s, (time_s, _) in shown.items())
        if len(shown) < np.unique(wanted_s).size or (seek_from_pts_s is not None and not exact):
            return None
        return {at_s: frames.rgb(frame) for at_s, (_, frame) in shown.items()}
