"""Lock of a run folder: one process at a time works in it; the second learns who holds it.

Some network file systems have no locks (Lustre without `-o flock`, NFS without its lock service):
there a warning stands in for the lock, and the work goes on.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from runtime.errors import InputError

LOCK_NAME = ".lock"
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
"""What a file system without locks answers."""

_warned: set[Path] = set()
"""Folders whose lack of locks has been told."""


@contextmanager
def hold(run_dir: Path, command: str) -> Iterator[None]:
    """Hold the run folder while the context is open.

    The lock belongs to the open file, so the operating system releases it even after `kill -9`.
    Where the file system has no locks, this is said once, and nothing is held.

    Raises:
        InputError: if another process holds it; the message names host, process and command.
        OSError: if the folder cannot be written.
    """
    with (run_dir / LOCK_NAME).open("a+", encoding="utf-8") as file:
        if not _try_lock(file, run_dir):
            file.seek(0)
            holder = file.read().strip() or "an unknown process"
            raise InputError(f"{run_dir} is in use by {holder}; wait for it or stop it")
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()} (python -m {command})")
        file.flush()
        yield


def _try_lock(file: IO[str], run_dir: Path) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        if run_dir not in _warned:
            _warned.add(run_dir)
            print(
                f"note: the file system of {run_dir} has no locks ({error.strerror}), so nothing stops a second "
                f"process there: start one at a time",
                file=sys.stderr,
            )
    return True
