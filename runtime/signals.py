"""SIGTERM and SIGHUP (Slurm, systemd, a closed terminal) end a command as Ctrl-C does, with its
child processes."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

ENDING_SIGNALS = (signal.SIGTERM, signal.SIGHUP)


class EndedError(KeyboardInterrupt):
    """A signal asked the process to end; handled wherever Ctrl-C is."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """While the context is open, the first ending signal raises `EndedError` in the main thread;
    more are ignored.

    A signal that is ignored already (`nohup`) or that somebody else handles stays so. Processes
    that are forked meanwhile die of the signals as they would without this.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    owner = os.getpid()

    def end(number: int, frame: FrameType | None) -> None:
        if os.getpid() != owner:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        for taken in earlier:
            signal.signal(taken, signal.SIG_IGN)
        raise EndedError(number)

    earlier = [number for number in ENDING_SIGNALS if signal.getsignal(number) is signal.SIG_DFL]
    for number in earlier:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in earlier:
            signal.signal(number, signal.SIG_DFL)


def end_children() -> None:
    """End the child processes that Python would wait for at its exit; the others it ends itself."""
    import multiprocessing  # not for every command

    for process in multiprocessing.active_children():
        if not process.daemon:
            process.terminate()
