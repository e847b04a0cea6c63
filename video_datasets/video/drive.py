"""The one loop over decoded videos: frames come from children, go to whatever makes something of
them, and end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from video_datasets.video.container import VideoError
from video_datasets.video.decoder_process import (
    DEFAULT_TIME_LIMIT_S,
    DecodeJob,
    FrameBlock,
    decode_interleaved,
)
from video_datasets.video.reader import StreamSummary

Result = TypeVar("Result")
ResultOut = TypeVar("ResultOut", covariant=True)
Message = tuple[DecodeJob, FrameBlock | StreamSummary | VideoError]
Progress = Callable[[DecodeJob, float], object]
"""Called with a job and the seconds of its video that are done."""


class FrameConsumer(Protocol[ResultOut]):
    """Makes something of the frames of one video; a VideoError that it raises is that video's
    reason."""

    def add(self, indices: NDArray[np.int64], frames_NHWC: NDArray[np.uint8]) -> None:
        """Take RGB frames (n, H, W, 3) and their grid indices (n,), increasing over all calls."""

    def finish(self, summary: StreamSummary) -> ResultOut:
        """Return what was made, when the last frame has come."""


def drive(
    jobs: Iterable[DecodeJob],
    consumer_of: Callable[[DecodeJob], FrameConsumer[Result]],
    *,
    workers: int = 1,
    time_limit_s: float = DEFAULT_TIME_LIMIT_S,
    progress: Progress = lambda job, done_s: None,
    timed: Callable[[Iterator[Message]], Iterator[Message]] = lambda messages: messages,
) -> Iterator[tuple[DecodeJob, Result | VideoError]]:
    """Decode videos, `workers` at a time, each into a consumer of its own.

    Args:
        jobs: what to decode; ids differ.
        consumer_of: makes the consumer of a job; consumers work in this process, one call at a
            time.
        workers: children that decode.
        time_limit_s: a decoder that shows no sign of life for so long is stopped.
        progress: told of each block of frames.
        timed: gives on what it is given, and may time the waiting (`StepClock.timed`).

    Yields:
        (job, result or the reason why there is none), in the order in which they end.
    """
    under_way: dict[str, FrameConsumer[Result]] = {}
    failed: dict[str, VideoError] = {}
    for job, message in timed(decode_interleaved(jobs, workers=workers, time_limit_s=time_limit_s)):
        name = job.video_id
        if isinstance(message, VideoError):
            under_way.pop(name, None)
            failed.pop(name, None)
            yield job, message
            continue
        if name not in under_way and name not in failed:
            under_way[name] = consumer_of(job)
        try:
            if not isinstance(message, tuple):
                yield job, failed.pop(name) if name in failed else under_way.pop(name).finish(message)
            elif name in under_way:
                under_way[name].add(*message)
                progress(job, int(message[0][-1]) / job.fps)
        except VideoError as error:
            if not isinstance(message, tuple):
                yield job, error
            else:  # the rest of its frames are let pass
                failed[name] = error
                del under_way[name]


def drive_one(
    job: DecodeJob,
    consumer: FrameConsumer[Result],
    *,
    time_limit_s: float = DEFAULT_TIME_LIMIT_S,
    progress: Callable[[float], object] = lambda done_s: None,
) -> Result:
    """Decode one video into a consumer and return its result.

    Raises:
        VideoError: if it cannot be decoded, or by the consumer.
    """
    told: Progress = lambda _, done_s: progress(done_s)  # noqa: E731
    ((_, result),) = drive([job], lambda _: consumer, time_limit_s=time_limit_s, progress=told)
    if isinstance(result, VideoError):
        raise result
    return result
