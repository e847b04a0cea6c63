"""Exit codes of every command, and how exceptions become them. Light: loads neither the
configuration nor a stage."""

from __future__ import annotations

import errno
import os
import select
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress

from runtime.atomic import DiskFullError
from runtime.called_as import as_called
from runtime.errors import InputError
from runtime.signals import EndedError, end_children, ended_by_signals

EXIT_DONE, EXIT_SKIPPED_ITEMS, EXIT_BAD_INPUT, EXIT_UNCAUGHT = 0, 1, 2, 3
EXIT_INTERRUPTED = 130
"""Ctrl-C, as shells have it."""
EXIT_READER_GONE = 141
"""SIGPIPE, likewise."""

EXIT_CODES_HELP = (
    "exit codes: 0 done; 1 done with skipped items, listed; 2 bad arguments or input; 3 anything else"
)

BAD_INPUT = (
    InputError,
    DiskFullError,
    FileNotFoundError,
    FileExistsError,
    IsADirectoryError,
    NotADirectoryError,
    PermissionError,
)
"""What the user can mend: a wrong path or value, a full disk; the message suffices without a
traceback."""

REMEDIES = {
    errno.EROFS: "name a place that can be written",
    errno.EACCES: "you may not read or write it",
    errno.EPERM: "you may not read or write it",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.ELOOP: "its symbolic links lead in a circle",
    errno.ENOSPC: "free some space and start the same command again",
    errno.EDQUOT: "free some space and start the same command again",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENFILE: "the machine has too many files open; end other programs",
    errno.EIO: "the disk or its connection fails; start the same command again once it works",
    errno.ESTALE: "the network drive was changed under us; start the same command again",
    errno.ENOLCK: "the file system has no locks; work on another",
    errno.ENOSYS: "the file system or the system cannot do this; work on another",
}
"""Troubles of the machine, and what to do about each: `OSError.errno` -> words."""


def guarded(action: Callable[[], int]) -> int:
    """Call `action` and turn what it raises into the exit codes: 2 for bad input, 3 for anything
    uncaught.

    Ctrl-C gives 130, SIGTERM and SIGHUP 128 and their number, as shells have it; child processes
    end with it. So does an output that nobody reads any longer: 141, without a word.
    """
    try:
        with ended_by_signals():
            code = action()
            sys.stdout.flush()
            return code
    except EndedError as error:
        return _interrupted(f"ended by {error}", 128 + error.number)
    except KeyboardInterrupt:
        return _interrupted("interrupted", EXIT_INTERRUPTED)
    except Exception as error:
        if isinstance(error, BrokenPipeError) and _reader_is_gone():
            return EXIT_READER_GONE
        if not _is_the_users(error):
            traceback.print_exc()
            return EXIT_UNCAUGHT
        words = as_called(_words(error))
        print(f"error: {words}", file=sys.stderr)
        return EXIT_BAD_INPUT


def _reader_is_gone() -> bool:
    """Whether what reads our output, such as `head`, has ended; Python is to be quiet about it,
    too."""
    output = select.poll()
    output.register(sys.stdout.fileno(), 0)  # a pipe without a reader reports itself
    if not output.poll(0):
        return False
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return True


def _interrupted(word: str, code: int) -> int:
    with suppress(OSError):  # the terminal may be gone
        print(f"{word}; the same command goes on from here", file=sys.stderr)
    end_children()
    return code


def _is_the_users(error: Exception) -> bool:
    """Whether the message is all that is needed: bad input, an error of a named file, or one of
    the machine."""
    if isinstance(error, BAD_INPUT):
        return True
    return isinstance(error, OSError) and (error.filename is not None or error.errno in REMEDIES)


def _words(error: Exception) -> str:
    """The message of an error; that of the system as `file: what is wrong; what to do`."""
    if not isinstance(error, OSError) or error.errno is None or error.strerror is None:
        return str(error)
    where = "" if error.filename is None else f"{os.fsdecode(error.filename)}: "
    remedy = f"; {REMEDIES[error.errno]}" if error.errno in REMEDIES else ""
    return f"{where}{error.strerror[:1].lower()}{error.strerror[1:]}{remedy}"
