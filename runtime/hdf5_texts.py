"""Texts in HDF5 files: written with a fixed length, and looked at before those of any length are
read.

HDF5 keeps texts of any length in heaps, apart from the values, and its library reads a heap that is
damaged in one way for ever (a free stretch of no bytes), where nothing can stop it but SIGKILL. A
file without such texts has no heap; one that has some is searched for such damage first.
"""

from __future__ import annotations

import functools
import mmap
import struct
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from runtime.errors import InputError

_HEAP = b"GCOL\x01\x00\x00\x00"
"""How a heap begins: signature, version 1, and three zeros."""
_OBJECT = struct.Struct("<HHIQ")
"""Number (0: free), uses, nothing, bytes: what stands before each object in a heap."""
_WITHOUT_HEAP = (h5py.h5t.TypeIntegerID, h5py.h5t.TypeFloatID, h5py.h5t.TypeEnumID)


def fixed_text(text: str) -> NDArray[Any]:
    """Return a text as an attribute of fixed length, UTF-8.

    >>> fixed_text("né").dtype.itemsize
    3
    """
    content = text.encode()
    return np.array(content, dtype=h5py.string_dtype("utf-8", max(1, len(content))))


def attribute(dataset: h5py.Dataset, name: str) -> Any:
    """Read an attribute, texts as `str`; None if there is none of that name.

    Raises:
        InputError: if HDF5 would read it for ever.
        OSError, RuntimeError: if it is damaged.
    """
    return _read(dataset, name) if name in dataset.attrs else None


def attributes(dataset: h5py.Dataset) -> dict[str, Any]:
    """Read all attributes of a dataset; the errors are those of `attribute`."""
    return {name: _read(dataset, name) for name in dataset.attrs}


def _read(dataset: h5py.Dataset, name: str) -> Any:
    try:
        kind = dataset.attrs.get_id(name).get_type()
        fixed = isinstance(kind, h5py.h5t.TypeStringID) and not kind.is_variable_str()
        if not fixed and not isinstance(kind, _WITHOUT_HEAP):
            refuse_endless_heap(Path(dataset.file.filename))
        value = dataset.attrs[name]
        return value.decode() if isinstance(value, bytes) else value
    except (TypeError, UnicodeDecodeError) as error:  # a type that h5py does not know, no UTF-8
        raise OSError(f"attribute '{name}': {error}") from error


def read_texts(dataset: h5py.Dataset) -> tuple[str, ...]:
    """Read a dataset of texts.

    Raises:
        InputError: if HDF5 would read them for ever.
        OSError, RuntimeError, TypeError, ValueError: if it is damaged, or holds something else.
    """
    refuse_endless_heap(Path(dataset.file.filename))
    return tuple(map(str, dataset.asstr()[()]))


def refuse_endless_heap(path: Path) -> None:
    """Look for heaps that HDF5 would read for ever; each state of a file is looked at once in a
    process.

    Raises:
        InputError: if there is one.
        OSError: if the file cannot be read.
    """
    state = path.stat()
    place = _endless_heap(path, state.st_mtime_ns, state.st_size)
    if place is not None:
        raise InputError(f"{path}: damaged: the heap of its texts at byte {place} has no end; copy it again")


@functools.lru_cache(maxsize=16)
def _endless_heap(path: Path, _mtime_ns: int, size: int) -> int | None:
    """Where the first such heap begins."""
    if not size:
        return None
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        place = content.find(_HEAP)
        while place >= 0:
            if not _ends(content, place):
                return place
            place = content.find(_HEAP, place + 1)
    return None


def _ends(content: mmap.mmap, place: int) -> bool:
    """Whether going from object to object leads to the end of a heap."""
    if place + 16 > len(content):
        return False
    end = place + int.from_bytes(content[place + 8 : place + 16], "little")
    place += 16
    while place + _OBJECT.size <= end:
        if place + _OBJECT.size > len(content):
            return False
        number, _, _, size = _OBJECT.unpack_from(content, place)
        step = _OBJECT.size + (size + 7) // 8 * 8 if number else size
        if step < _OBJECT.size:
            return False
        place += step
    return place <= end
