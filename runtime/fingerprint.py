"""Fingerprint of a stage's result, as one flat table, so that a change can be named.

Fingerprint = the stage's own config sections + the fingerprints of the stages that it reads + names
and sizes of its input files.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any


def digest(parts: Mapping[str, Any]) -> str:
    """Return a short stable hash of a table of plain values."""
    canonical = json.dumps(parts, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def file_sha256(path: Path) -> str:
    """Hash a file of any size."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def file_state(path: Path) -> str:
    """Describe one input file by name and size, or say that it is missing."""
    return f"{path.name} ({path.stat().st_size} bytes)" if path.is_file() else f"{path.name} (missing)"


def content_state(path: Path) -> str:
    """Describe one input file by name, size and content: an edit that keeps the size counts."""
    state = file_state(path)
    return f"{state[:-1]}, sha256 {file_sha256(path)[:16]})" if path.is_file() else state


def size_state(state: str) -> str:
    """Return a description without the content, as versions before 0.2 recorded it.

    >>> size_state("a.json (12 bytes, sha256 0123456789abcdef), b.csv (missing)")
    'a.json (12 bytes), b.csv (missing)'
    """
    return re.sub(r", sha256 [0-9a-f]{16}\)", ")", state)


def listing_state(paths: Iterable[Path]) -> str:
    """Describe many input files by their number and a hash over names and sizes."""
    entries = sorted((path.name, path.stat().st_size) for path in paths)
    return f"{len(entries)} files, {digest(dict(entries))}"


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Name every entry that changed, in words for the user.

    >>> differences({"config.bmn.epochs": 9, "seed": 0}, {"config.bmn.epochs": 10, "seed": 0})
    ['config.bmn.epochs was 9, is now 10']
    """
    changed = []
    for key in sorted(before.keys() | now.keys()):
        old, new = before.get(key, "not set"), now.get(key, "not set")
        if old != new:
            changed.append(f"{key} was {old}, is now {new}")
    return changed
