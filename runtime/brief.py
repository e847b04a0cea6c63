"""Whether a command says only what everybody wants to know: a whole run does, unless it is asked for
more."""

from __future__ import annotations

import os
import shutil
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager

_VARIABLE = "TADALOC_BRIEF"


@contextmanager
def brief(on: bool) -> Iterator[None]:
    """Be brief or not, in this process and those that it starts."""
    before = os.environ.get(_VARIABLE, "")
    os.environ[_VARIABLE] = "1" if on else ""
    try:
        yield
    finally:
        os.environ[_VARIABLE] = before


def is_brief() -> bool:
    """Whether details are to be left out."""
    return os.environ.get(_VARIABLE, "") == "1"


def in_brief(line: str) -> str:
    """Return a line, cut at the terminal's width where details are to be left out."""
    if not is_brief():
        return line
    indent = line[: len(line) - len(line.lstrip())]
    return indent + textwrap.shorten(line, columns() - len(indent), placeholder=" ...")


def columns() -> int:
    """Return how wide a line of the terminal may be."""
    return max(40, shutil.get_terminal_size((100, 24)).columns - 1)
