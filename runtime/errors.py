"""The one error class that means: the user's input is wrong, and the message says what to do."""

from __future__ import annotations

from collections.abc import Sequence

MAX_SHOWN_ERRORS = 20


class InputError(ValueError):
    """Bad arguments, configuration or input data.

    The message states what was expected, what was found, where, and what to do next. Commands print
    the message without a traceback and exit with code 2.
    """


def error_list(where: str, errors: Sequence[str]) -> str:
    """Join the errors of one file into one message: the first 20 and their number.

    >>> error_list("a.json", ["one thing"])
    'a.json: one thing'
    """
    if len(errors) == 1:
        return f"{where}: {errors[0]}"
    left_out = f"; the first {MAX_SHOWN_ERRORS}" if len(errors) > MAX_SHOWN_ERRORS else ""
    return "\n  ".join([f"{where}: {len(errors)} errors{left_out}:", *errors[:MAX_SHOWN_ERRORS]])
