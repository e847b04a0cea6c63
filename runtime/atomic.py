"""Files that appear whole or not at all.

Everything a stage leaves behind is written under a temporary name beside its destination, flushed
to the disk and renamed; a reader, or the same command after a crash, never sees half a file. Of a
symbolic link it is the target that is replaced; pipes and devices are written into.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from runtime.errors import InputError

TEMPORARY_SUFFIX = ".part"
_LONG_NAME_BYTES = 200
_FULL_BELOW_BYTES = 64 * 1024
"""Free space that a failed write may have left on a full disk: less than a file system block or
two."""


class DiskFullError(OSError):
    """There is no space left for an output; says what was being written and what to do."""


@contextmanager
def atomic_path(destination: Path) -> Iterator[Path]:
    """Give a temporary path to write to; on success it becomes `destination`, on an error it is
    removed.

    Args:
        destination: final path; its folder is made when missing.

    Yields:
        Path in the same folder, named `<name>.<thread>.part` (long names shortened): two threads,
        of whatever processes, never share one. For a pipe or a device, one elsewhere.

    Raises:
        DiskFullError: if the disk is full.
        InputError: if the path begins with "~", which no shell has replaced.
    """
    _refuse_tilde(destination)
    if _is_pipe_or_device(destination):
        with _into_pipe_or_device(destination) as temporary:
            yield temporary
        return
    place = _target(destination)
    place.parent.mkdir(parents=True, exist_ok=True)
    temporary = place.with_name(f"{_short(place.name)}.{threading.get_native_id()}{TEMPORARY_SUFFIX}")
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(place)
    except (OSError, RuntimeError) as error:  # HDF5 and torch raise RuntimeError when a write fails
        if _disk_is_full(place.parent, error):
            raise DiskFullError(
                f"{destination}: no space left on the disk; nothing that was finished is lost: "
                f"free some space and start the same command again"
            ) from error
        if isinstance(error, OSError) and error.filename == str(temporary):
            error.filename = str(destination)  # the name that the user knows
            error.filename2 = None
        raise
    finally:
        with suppress(OSError):  # of a disk that is read-only; there is nothing to remove
            temporary.unlink(missing_ok=True)


def _refuse_tilde(destination: Path) -> None:
    if destination.parts[:1] == ("~",):
        raise InputError(f"{destination}: would make a folder named '~'; write {destination.expanduser()}")


def _target(destination: Path) -> Path:
    """What a link leads to, whether it is there or not."""
    if not destination.is_symlink():
        return destination
    with suppress(FileNotFoundError):
        destination.stat()  # refuses links that lead in a circle
    return destination.resolve()


def _is_pipe_or_device(path: Path) -> bool:
    return path.exists() and not path.is_file() and not path.is_dir()


@contextmanager
def _into_pipe_or_device(destination: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="tadaloc-") as folder:
        temporary = Path(folder) / destination.name
        yield temporary
        with temporary.open("rb") as source, destination.open("wb") as target:
            shutil.copyfileobj(source, target)


def _short(name: str) -> str:
    """A name that leaves room for more behind it: file systems end at 255 bytes."""
    content = os.fsencode(name)
    return name if len(content) <= _LONG_NAME_BYTES else hashlib.sha256(content).hexdigest()


def _disk_is_full(folder: Path, error: Exception) -> bool:
    code = error.errno if isinstance(error, OSError) else None
    if code is not None:
        return code in (errno.ENOSPC, errno.EDQUOT)
    return shutil.disk_usage(folder).free < _FULL_BELOW_BYTES


def write_text(destination: Path, text: str) -> None:
    """Write a UTF-8 text file atomically."""
    with atomic_path(destination) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(destination: Path, content: Any) -> None:
    """Write a JSON file atomically, indented, non-finite numbers refused.

    Raises:
        ValueError: if `content` holds NaN or infinity (JSON has neither).
    """
    write_text(destination, json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False) + "\n")


def sweep_temporary_files(folder: Path) -> int:
    """Remove what killed writers left below `folder`; return how many files that were."""
    stale = list(folder.rglob(f"*{TEMPORARY_SUFFIX}"))
    for path in stale:
        path.unlink(missing_ok=True)
    return len(stale)
