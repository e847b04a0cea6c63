"""Decode each video in a child process of its own, so that a bad one costs itself and not the run.

    parent                                          child, one per video
    DecodedVideo  <--- messages -----------------  stream_grid_frames
                       blocks (`frame_slots`), in the end the summary, or an error as text
                  ---- slots given back -------->

A decoder that crashes, hangs or runs out of memory takes its child along; the parent gets a
`VideoError`. The child decodes on while the parent is busy, but only some blocks ahead, so memory
is bounded. A child whose parent was killed ends at its next write (broken pipe), or, if its decoder
hangs, at its alarm.

Children are forked from a small server process that has loaded NumPy and PyAV only, whatever the
parent has loaded; that takes milliseconds. Where there is no forkserver they are spawned.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import itertools
import math
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.errors import InputError
from video_datasets.video.decoding import DEFAULT_LIMITS, DEFAULT_MIN_DECODED_SHARE, VideoError, VideoLimits
from video_datasets.video.frame_slots import Block, FrameMemory, SlotWriter
from video_datasets.video.reader import StreamSummary, stream_grid_frames

DEFAULT_TIME_LIMIT_S = 120.0
"""Longest silence of a decoder. A frame takes milliseconds; the rest is for slow disks and busy
machines."""

_HEARTBEAT_S = 1.0
"""A decoder between two wanted frames says this often that it is alive."""

_START_LOCK = threading.Lock()
_START_ATTEMPTS, _START_PAUSE_S = 5, 0.2


@dataclass(frozen=True, kw_only=True)
class DecodeJob:
    """Which frames of which video; see `stream_grid_frames`."""

    video_id: str
    path: Path
    fps: float
    """Rate of the uniform grid."""
    wanted: Callable[[int], bool] | Iterable[int] | None = None
    """Grid frames to give: a test that pickles (`TimeGrid.may_use`), their indices, or None for
    all."""
    min_decoded_share: float = DEFAULT_MIN_DECODED_SHARE
    """Smallest share of the promised frames that must decode."""
    limits: VideoLimits = DEFAULT_LIMITS
    """Hours and pixels that a file may have."""


class DecoderFaultError(RuntimeError):
    """A decoder failed through a mistake of the program; the message holds the child's
    traceback."""


FrameBlock = tuple[NDArray[np.int64], NDArray[np.uint8]]
"""Grid indices (n,), increasing, and their RGB frames (n, H, W, 3)."""


class DecodedVideo:
    """One video while a child process decodes it; iterate over its frame blocks, copies of one's
    own. Also a context manager.

    The child starts with the object and decodes some blocks ahead of the iteration.

    Args:
        job: what to decode.
        time_limit_s: seconds without a sign of life after which the child is ended.

    Raises:
        VideoError: from the iteration, with the reason; also when the child crashed or hung.
    """

    def __init__(self, job: DecodeJob, *, time_limit_s: float = DEFAULT_TIME_LIMIT_S) -> None:
        self.job = job
        self.summary: StreamSummary | None = None
        """What the pass found; None until the iteration has ended."""
        self._time_limit_s = time_limit_s
        self.connection, self._memory, self._process = _started(job, time_limit_s)
        self._heard_s = time.monotonic()

    @property
    def pid(self) -> int | None:
        """Process id of the child."""
        return self._process.pid

    @property
    def patience_s(self) -> float:
        """Seconds within which the child must show its next sign of life."""
        return max(0.0, self._heard_s + self._time_limit_s - time.monotonic())

    def __iter__(self) -> Iterator[FrameBlock]:
        with self:
            while self.summary is None:
                message = self.receive()
                if isinstance(message, tuple):
                    indices, frames = message[0], message[1].copy()
                    self.give_back()
                    yield indices, frames

    def receive(self) -> FrameBlock | StreamSummary | None:
        """Wait for the child's next message: a block, the summary, or None for a mere sign of
        life. The frames of a block are to be given back, with `give_back`."""
        if not self.connection.poll(self.patience_s):
            raise VideoError(self.job.path, f"no frame within {self._time_limit_s:g} s, the decoder hangs")
        try:
            kind, content = self.connection.recv()
            self._heard_s = time.monotonic()
        except (EOFError, OSError) as error:  # OSError: it died in the middle of a message
            self._process.join()
            raise VideoError(self.job.path, _death(self._process.exitcode)) from error
        if kind == "frames":
            return content.indices, self._memory.frames(content.offset, content.shape)
        if kind == "error":
            raise VideoError(self.job.path, content)
        if kind == "fault":
            raise DecoderFaultError(f"{self.job.path}: the decoder failed:\n{content}")
        if kind == "end":
            self.summary = content
        return self.summary

    def give_back(self) -> None:
        """Let the child write over the frames of the block that it sent longest ago."""
        with contextlib.suppress(OSError):  # of a child that has ended
            self.connection.send_bytes(b"")

    def close(self) -> None:
        """End the child, whatever it is doing."""
        if not self.connection.closed:
            self.connection.close()
            self._memory.close()
        self._process.kill()
        self._process.join()

    def __enter__(self) -> DecodedVideo:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _death(exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        return f"the decoder was killed by {signal.Signals(-exit_code).name}"
    return f"the decoder ended without a result (exit code {exit_code}); its own message stands above"


# ---- many videos


def decode_interleaved(
    jobs: Iterable[DecodeJob], *, workers: int, time_limit_s: float = DEFAULT_TIME_LIMIT_S
) -> Iterator[tuple[DecodeJob, FrameBlock | StreamSummary | VideoError]]:
    """Decode `workers` videos at a time and give what comes from any of them, as it comes.

    One consumer is thus fed by many cores in bounded memory: some blocks for each worker.

    Yields:
        (job, block) any number of times, a job's blocks in order, then once (job, summary) or (job,
        error). The frames of a block are written over once the next message is asked for.
    """
    running: list[DecodedVideo] = []
    remaining = iter(jobs)
    try:
        while True:
            for job in itertools.islice(remaining, workers - len(running)):
                running.append(DecodedVideo(job, time_limit_s=time_limit_s))
            if not running:
                return
            ready = wait([v.connection for v in running], timeout=min(v.patience_s for v in running))
            for video in [v for v in running if v.connection in ready or v.patience_s == 0]:
                message = _received(video)
                if isinstance(message, (StreamSummary, VideoError)):
                    running.remove(video)
                    video.close()
                if message is not None:
                    yield video.job, message
                if isinstance(message, tuple):
                    video.give_back()
    finally:
        for video in running:
            video.close()


def _received(video: DecodedVideo) -> FrameBlock | StreamSummary | VideoError | None:
    try:
        return video.receive()
    except VideoError as error:
        return error


# ---- starting children


@functools.cache
def _context() -> Any:
    """The context that starts children: of a clean server process where there is one, else
    spawned."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


def _channel() -> tuple[Connection, Connection, FrameMemory]:
    try:
        return *_context().Pipe(), FrameMemory()
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE):
            raise InputError(
                "too many open files: raise the limit (`ulimit -n`), or lower runtime.workers"
            ) from error
        raise


def _started(job: DecodeJob, time_limit_s: float) -> tuple[Connection, FrameMemory, Any]:
    """Start a child that decodes; return the parent's end of its pipe, the memory of its frames, and
    the process.

    The server that forks children may have been killed, together with them, by somebody who tidied
    up; Python starts another one as soon as it has noticed.
    """
    for attempt in range(1, _START_ATTEMPTS + 1):
        connection, childs_end, memory = _channel()
        arguments = (childs_end, memory, job, time_limit_s)
        process = _context().Process(target=_decode, args=arguments, daemon=True)
        try:
            with _START_LOCK, _without_main_module():
                process.start()
        except (ConnectionError, EOFError):
            connection.close()
            memory.close()
            if attempt == _START_ATTEMPTS:
                raise
            time.sleep(_START_PAUSE_S)
        else:
            return connection, memory, process
        finally:
            childs_end.close()  # else the end of the child would not end the pipe
    raise AssertionError  # the loop ends with a return or an error


@contextlib.contextmanager
def _without_main_module() -> Iterator[None]:
    """Hide the program's main module, which every child would import again, with all that it
    imports.

    Children need nothing of it: PyTorch alone would cost each of them seconds, and a script without
    the `if __name__ == "__main__"` guard would start itself over and over.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


# ---- in the child


def _decode(connection: Connection, memory: FrameMemory, job: DecodeJob, time_limit_s: float) -> None:
    """Decode one video and send it: what the child process does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles it, and ends its children
    sender = _Sender(connection, time_limit_s)
    writer = SlotWriter(memory, sender.wait_for_slot, sender.send_block)
    try:
        stream = stream_grid_frames(
            job.path,
            job.fps,
            job.wanted,
            min_decoded_share=job.min_decoded_share,
            limits=job.limits,
            progress=sender.heartbeat,
        )
        for index, frame in stream:
            writer.add(index, frame)
        writer.flush()
        sender.send("end", stream.summary)
    except VideoError as error:
        sender.send("error", error.reason)
    except Exception:
        sender.send("fault", traceback.format_exc())


class _Sender:
    """Talks with the parent; an alarm ends the process if its decoder falls silent."""

    def __init__(self, connection: Connection, time_limit_s: float) -> None:
        self._connection = connection
        # Only for orphans: a living parent ends the child at the limit itself.
        self._alarm_s = math.ceil(time_limit_s) + 1
        self._sent_s = time.monotonic()
        _set_alarm(self._alarm_s)

    def heartbeat(self) -> None:
        if time.monotonic() - self._sent_s > _HEARTBEAT_S:
            self.send("alive", None)

    def send_block(self, block: Block) -> None:
        self.send("frames", block)

    def send(self, kind: str, content: object) -> None:
        self._with_parent(lambda: self._connection.send((kind, content)))
        self._sent_s = time.monotonic()

    def wait_for_slot(self) -> None:
        self._with_parent(self._connection.recv_bytes)

    def _with_parent(self, talk: Callable[[], object]) -> None:
        _set_alarm(0)  # the parent may take its time
        try:
            talk()
        except (EOFError, BrokenPipeError, ConnectionResetError):
            os._exit(0)  # the parent is gone, or has closed its end: nobody cares
        _set_alarm(self._alarm_s)


def _set_alarm(seconds: int) -> None:
    if hasattr(signal, "alarm"):  # not on Windows
        signal.alarm(seconds)
