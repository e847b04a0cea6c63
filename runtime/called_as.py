"""The form in which messages name commands: `python -m MODULE`, or `tadaloc NAME` for whoever called
that.

Messages are written in the first form. The installed command says, here, what it calls each module,
and the processes that it starts inherit it.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

_VARIABLE = "TADALOC_CALLED_AS"


@contextmanager
def called_as(names: Mapping[str, str]) -> Iterator[None]:
    """Name commands otherwise, in this process and those that it starts.

    Args:
        names: words after `python -m` -> the whole command to name instead.
    """
    before = os.environ.get(_VARIABLE)
    os.environ[_VARIABLE] = json.dumps(dict(names))
    try:
        yield
    finally:
        if before is None:
            del os.environ[_VARIABLE]
        else:
            os.environ[_VARIABLE] = before


def as_called(text: str) -> str:
    """Return a message with its commands in the form that the user used.

    >>> with called_as({"pipeline.detect": "tadaloc detect"}):
    ...     as_called("see `python -m pipeline.detect --help` and `python -m pipeline.detect_page`")
    'see `tadaloc detect --help` and `python -m pipeline.detect_page`'
    """
    names: dict[str, str] = json.loads(os.environ.get(_VARIABLE, "{}"))
    if not names:
        return text
    longest_first = "|".join(re.escape(words) for words in sorted(names, key=len, reverse=True))
    return re.sub(rf"python -m\s+({longest_first})(?!\.?\w)", lambda found: names[found[1]], text)


def in_help(text: str) -> str:
    """As `as_called`; the shipped configurations in the examples of a help are named, too."""
    named = as_called(text)
    return text if named == text else re.sub(r"\bconfigs/(\w+)\.yaml", r"\1", named)
