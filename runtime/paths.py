"""Paths as people write them on a command line."""

from __future__ import annotations

from pathlib import Path


def user_path(text: str) -> Path:
    """Return a path of a command line; "~" is the home folder, behind `--option=` too, where no
    shell replaces it."""
    try:
        return Path(text).expanduser()
    except RuntimeError:  # "~somebody" whom this machine does not know: a name like any other
        return Path(text)
