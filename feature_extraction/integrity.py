"""Integrity of stored features: complete, the video's own, and as they were written.

Every video carries the sum of its values, taken as 8-byte words, modulo 2^64: one changed word
always shows. Taking it costs about a tenth of a second a gigabyte at the first reading and nothing
after it, where CRC-32 or SHA-256 would cost as much as reading or more. (That words have changed
places would not show; disks and copies do not do that.)
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from runtime.hdf5 import open_hdf5, own_dataset
from runtime.hdf5_texts import attribute

TIMES_GROUP = "_times"
"""Of the datasets that hold the times of the features."""
COMPLETE = "complete"
"""Attribute that is set last."""
SUM = "values_sum"
"""Attribute: `values_sum` of features and times."""


def values_sum(*arrays: NDArray) -> int:
    """Return the sum of the little-endian 8-byte words of arrays, modulo 2^64; each is filled up
    with zeros.

    >>> values_sum(np.array([1, 2], dtype="<u8"), np.array([3, 1], dtype="u1"))
    262
    """
    return sum(_words_sum(array) for array in arrays) % (1 << 64)


def _words_sum(array: NDArray) -> int:
    content = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    whole = len(content) // 8 * 8
    tail = int.from_bytes(content[whole:].tobytes(), "little")
    return int(content[:whole].view("<u8").sum(dtype=np.uint64)) + tail


def holds(file: h5py.File, video_id: str) -> bool:
    """Whether a file has a video's features, their times and the mark of a finished write.

    Raises:
        InputError: if the values lie elsewhere than in this file.
    """
    features, times = own_dataset(file, video_id), own_dataset(file, f"{TIMES_GROUP}/{video_id}")
    return (
        features is not None
        and times is not None
        and features.ndim == 2
        and times.shape == features.shape[:1]
        and bool(attribute(features, COMPLETE))
    )


def names_in(file: h5py.File) -> Iterator[str]:
    """Yield the names at the root of a file; OSError where they are damaged."""
    try:
        yield from (name for name in file if isinstance(name, str))
    except KeyError as error:
        raise OSError(str(error.args[0])) from error


def has_whole_features(path: Path | str) -> bool:
    """Whether a per-video file opens and holds its features, their times and the mark of a finished
    write.

    Raises:
        InputError: if another process writes to it, or its values lie elsewhere.
    """
    path = Path(path)
    try:
        with open_hdf5(path) as file:
            return holds(file, path.stem)
    except (OSError, RuntimeError, KeyError):  # absent, cut short, no HDF5 file, damaged within
        return False


def damage(recorded: int | None, features_TC: NDArray, times_s: NDArray) -> str:
    """Say what is wrong with values as read; empty when they are those that were written, or finite
    at least.

    Args:
        recorded: their `values_sum`; None where they were written before sums were.
        features_TC: shape (T, C), as stored.
        times_s: shape (T,).
    """
    if recorded is None:
        return "" if np.isfinite(features_TC).all() else "holds values that are not finite"
    return (
        "" if values_sum(features_TC, times_s) == recorded else "its values are not those that were written"
    )
