"""One process at a time works in a run folder; the second is told who holds it."""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from runtime.errors import InputError

LOCK_NAME = ".lock"


@contextmanager
def hold(run_dir: Path, command: str) -> Iterator[None]:
    """Hold the run folder while the context is open.

    The lock belongs to the open file, so the operating system releases it even after `kill -9`.

    Raises:
        InputError: if another process holds it; the message names host, process and command.
    """
    with (run_dir / LOCK_NAME).open("a+", encoding="utf-8") as file:
        if not _try_lock(file):
            file.seek(0)
            holder = file.read().strip() or "an unknown process"
            raise InputError(f"{run_dir} is in use by {holder}; wait for it or stop it")
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()} (python -m {command})")
        file.flush()
        yield


def _try_lock(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
