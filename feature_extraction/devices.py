"""Features of many videos on the devices of this machine: a network on each, one queue of videos.

    videos  --->  thread of cuda:0: its decoders, its network  --->  results, as they come
            --->  thread of cuda:1: its decoders, its network  --->

A device takes the next video when one of its decoders is free. Features do not depend on which took
it: batches hold clips of one video only. Threads suffice for that, since torch lets go of Python's
lock while it computes and the decoders are processes.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from queue import SimpleQueue

from feature_extraction.outcome import Outcome
from feature_extraction.recipe import LoadedRecipe
from training.watching import StepClock
from video_datasets.video.container import VideoError
from video_datasets.video.decoder_process import DecodeJob
from video_datasets.video.drive import drive

Result = tuple[DecodeJob, Outcome | VideoError]

_PATIENCE_S = 10.0
"""How long a work that ends early waits for a device that is in the middle of a batch."""


def extract_on_devices(
    networks: Sequence[LoadedRecipe], jobs: Iterable[DecodeJob], clock: StepClock
) -> Iterator[Result]:
    """Extract videos, `runtime.workers` at a time altogether and one at least on each device.

    Args:
        networks: the same one on every device.
        jobs: ids differ.
        clock: adds up how long the devices worked, and how much of it they waited for frames.

    Yields:
        (job, outcome or the reason why there is none), in the order in which they end.
    """
    queue = _Jobs(jobs)
    workers = _shared_out(networks[0].recipe.runtime.workers, len(networks))
    work = [_drive(*pair, queue, clock) for pair in zip(networks, workers, strict=True)]
    yield from work[0] if len(work) == 1 else _in_threads(work, queue)


def _drive(network: LoadedRecipe, workers: int, queue: _Jobs, clock: StepClock) -> Iterator[Result]:
    limit_s = network.recipe.runtime.video_time_limit_s
    with clock.step(items=0):  # one long step, with all the videos that there will be
        yield from drive(
            queue,
            network.writer,
            workers=workers,
            time_limit_s=limit_s,
            progress=queue.look,
            timed=clock.timed,
        )


def _in_threads(work: Sequence[Iterator[Result]], queue: _Jobs) -> Iterator[Result]:
    """Yield what several iterators give, each in a thread of its own, as it comes; what one of them
    raises is raised, and ends the others."""
    results: SimpleQueue[Result | BaseException | None] = SimpleQueue()

    def run(part: Iterator[Result]) -> None:
        end: BaseException | None = None
        try:
            for result in part:
                results.put(result)
        except BaseException as error:  # the other thread raises it
            end = error
        results.put(end)

    # Daemons, so that a command that was told to end is not held up by a decoder that hangs.
    threads = [threading.Thread(target=run, args=(part,), name="device", daemon=True) for part in work]
    for thread in threads:
        thread.start()
    running = len(threads)
    try:
        while running:
            result = results.get()
            if isinstance(result, BaseException):
                raise result
            if result is None:
                running -= 1
            else:
                yield result
    finally:
        queue.ended = True
        for thread in threads:
            thread.join(_PATIENCE_S)


def _shared_out(workers: int, devices: int) -> list[int]:
    """Share decoders out, one at least to each device.

    >>> _shared_out(5, 2), _shared_out(1, 2)
    ([3, 2], [1, 1])
    """
    return [max(1, (workers + devices - 1 - number) // devices) for number in range(devices)]


class _EndedError(Exception):
    """The work has ended early."""


class _Jobs:
    """Jobs that several threads take, until somebody ends the work."""

    def __init__(self, jobs: Iterable[DecodeJob]) -> None:
        self._jobs, self._lock = iter(jobs), threading.Lock()
        self.ended = False

    def __iter__(self) -> Iterator[DecodeJob]:
        return self

    def __next__(self) -> DecodeJob:
        with self._lock:
            if self.ended:
                raise StopIteration
            return next(self._jobs)

    def look(self, job: DecodeJob, done_s: float) -> None:
        """End a thread's work if all work has ended; told of each block of frames."""
        if self.ended:
            raise _EndedError
