"""HDF5 files that survive a full disk, a file system without locks, and what strangers may have put
into them.

HDF5 crashes the process when a write fails under it. So it writes through a Python file here that
keeps the first failure to itself, and the failure is raised when HDF5 has closed the file.
"""

from __future__ import annotations

import contextlib
import errno
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import h5py

from runtime.atomic import atomic_path
from runtime.errors import InputError

_NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP)
"""Of file systems without locks, beside ENOSYS, which HDF5 knows."""
_MAX_COMPRESSION = 1100
"""Deflate reaches 1032; a dataset that promises more values than this holds none."""


@contextlib.contextmanager
def writing_hdf5(destination: Path) -> Iterator[h5py.File]:
    """Write an HDF5 file that appears whole or not at all.

    Raises:
        DiskFullError: if the disk is full.
    """
    with (
        atomic_path(destination) as temporary,
        temporary.open("w+b", buffering=0) as raw,
        hdf5_into(raw) as file,
    ):
        yield file


@contextlib.contextmanager
def hdf5_into(raw: BinaryIO) -> Iterator[h5py.File]:
    """Write an HDF5 file into an open, unbuffered binary file.

    Raises:
        OSError: what writing raised first, after HDF5 is through with the file.
    """
    kept = _FailureKept(raw)
    try:
        with h5py.File(kept, "w") as file:
            yield file
    except (OSError, RuntimeError, ValueError):
        if kept.failure is None:
            raise
    if kept.failure is not None:
        raise kept.failure


class _FailureKept(io.RawIOBase):
    """A binary file to which every write succeeds, as far as HDF5 can see."""

    def __init__(self, raw: BinaryIO) -> None:
        self._raw = raw
        self.failure: OSError | None = None

    def write(self, data: Any) -> int:
        rest = memoryview(data).cast("B")
        size = len(rest)
        try:
            while self.failure is None and len(rest):  # a nearly full disk takes a part
                rest = rest[self._raw.write(rest) :]
        except OSError as error:
            self.failure = error
        return size

    def truncate(self, size: int | None = None) -> int:
        try:
            return self._raw.truncate(size)
        except OSError as error:
            self.failure = self.failure or error
            return size or 0

    def readinto(self, buffer: Any) -> int:
        count: int = self._raw.readinto(buffer)  # type: ignore[attr-defined]
        return count

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._raw.seek(offset, whence)

    def tell(self) -> int:
        return self._raw.tell()

    def flush(self) -> None:
        """Nothing waits in between."""


def open_hdf5(path: Path) -> h5py.File:
    """Open a file for reading, also where the file system has no locks.

    Raises:
        InputError: if another process is writing it.
        OSError: if it is missing, damaged or no HDF5 file.
    """
    try:
        return h5py.File(path, "r", locking="best-effort")
    except BlockingIOError as error:
        raise InputError(
            f"{path}: in use by another process that writes to it; wait for it, or end it"
        ) from error
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        return h5py.File(path, "r", locking=False)


def own_dataset(file: h5py.File, name: str) -> h5py.Dataset | None:
    """Return a dataset whose values are in the file that names it; None if there is none of that
    name.

    A link or a virtual dataset of a stranger's file would read other files of whoever opens it, and
    a shape without values would fill the memory with nothing.

    Args:
        file: open for reading.
        name: "dataset" or "group/dataset".

    Raises:
        InputError: if the values lie elsewhere, or nowhere.
        OSError: if the file is damaged there.
    """
    group = name.partition("/")[0]
    if group in ("", "."):
        return None
    for part in (group, name) if group != name else (name,):
        try:
            link = file.id.links.get_info(
                part.encode()
            )  # faster than Group.get, and this is done for every video
        except (KeyError, RuntimeError):
            return None
        if link.type != h5py.h5l.TYPE_HARD:
            raise InputError(f"{file.filename}: '{part}' is a link to another place: refused")
    try:
        dataset = file[name]
    except KeyError as error:  # the link is there
        raise OSError(f"'{name}': {error.args[0]}") from error
    if not isinstance(dataset, h5py.Dataset):
        return None
    plan = dataset.id.get_create_plist()
    if plan.get_layout() == h5py.h5d.VIRTUAL or plan.get_external_count():
        raise InputError(f"{file.filename}: '{name}' takes its values from other files: refused")
    try:
        size = dataset.nbytes
    except TypeError as error:  # a type that h5py does not know
        raise OSError(f"'{name}': {error}") from error
    if size > _MAX_COMPRESSION * dataset.id.get_storage_size():
        stored = f"{dataset.id.get_storage_size()} bytes"
        raise InputError(
            f"{file.filename}: '{name}' promises {dataset.shape} values and holds {stored}: refused"
        )
    return dataset
