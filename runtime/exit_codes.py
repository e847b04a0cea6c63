"""Exit codes of every command, and how exceptions become them. Light: loads neither the configuration nor a stage."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable

from runtime.atomic import DiskFullError
from runtime.errors import InputError

EXIT_DONE, EXIT_SKIPPED_ITEMS, EXIT_BAD_INPUT, EXIT_UNCAUGHT = 0, 1, 2, 3
EXIT_INTERRUPTED = 130
"""Ctrl-C, as shells have it."""

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
"""What the user can mend: a wrong path or value, a full disk; the message suffices without a traceback."""


def guarded(action: Callable[[], int]) -> int:
    """Call `action` and turn what it raises into the exit codes: 2 for bad input, 3 for anything uncaught."""
    try:
        return action()
    except BAD_INPUT as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_BAD_INPUT
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from here", file=sys.stderr)
        return EXIT_INTERRUPTED
    except Exception:
        traceback.print_exc()
        return EXIT_UNCAUGHT
