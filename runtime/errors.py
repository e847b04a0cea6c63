"""The one error class that means: the user's input is wrong, and the message says what to do."""

from __future__ import annotations


class InputError(ValueError):
    """Bad arguments, configuration or input data.

    The message states what was expected, what was found, where, and what to do next. Commands print
    the message without a traceback and exit with code 2.
    """
