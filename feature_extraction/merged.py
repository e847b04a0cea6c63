"""Files that hold many videos: one merged file, or the shards of a pack, found by its index.

    features.h5                 /<id 1>   /<id 2>   ...
    pack/index.csv              which shard holds which video
    pack/features-0000.hdf5     /<id 1>   /<id 2>   ...      each laid out as a merged file
    pack/features-0001.hdf5     /<id 7>   /<id 8>   ...

A pack's videos are listed from its index, without a look into the shards; a shard is opened at the
first read of one of its videos, so that damage of one shard leaves the others as they are.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import h5py

from feature_extraction import integrity
from feature_extraction.index import INDEX_NAME, read_shards
from runtime.errors import InputError
from runtime.hdf5 import open_hdf5


def is_pack(path: Path) -> bool:
    """Whether a path is a folder with an index."""
    return (path / INDEX_NAME).is_file()


class MergedFile:
    """HDF5 file of many videos, opened once in every process at the first need.

    Args:
        path: of the file; one that is not there, or no HDF5 file, holds nothing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: h5py.File | None = None
        self._pid = -1
        self._known: set[str] = set()
        """Videos that this process has seen whole in the file."""

    def file_of(self, video_id: str) -> h5py.File | None:
        """Return the open file if it holds a video whole, None if it does not.

        Raises:
            InputError: if the file is damaged, or the values lie elsewhere.
            OSError: if it is damaged where the video is (RuntimeError, too).
        """
        file = self._opened()
        return file if file is not None and self._holds(file, video_id) else None

    def ids(self) -> Iterator[str]:
        """Yield the videos that it holds; the errors are those of `file_of`."""
        file = self._opened()
        if file is not None:
            yield from (name for name in integrity.names_in(file) if self._holds(file, name))

    def place_of(self, video_id: str) -> Path | None:
        """Return None: whoever names the store has named this file."""
        return None

    def _holds(self, file: h5py.File, video_id: str) -> bool:
        if video_id not in self._known and integrity.holds(file, video_id):
            self._known.add(video_id)
        return video_id in self._known

    def _opened(self) -> h5py.File | None:
        # An HDF5 handle must not be used across a fork: each process opens its own.
        if self._file is None or self._pid != os.getpid():
            if not h5py.is_hdf5(self.path):
                return None
            try:
                self._file = open_hdf5(self.path)
                self._known = set()
            except OSError as error:
                raise InputError(
                    f"{self.path}: cut short or damaged ({error}); copy it again, or extract again"
                ) from error
            self._pid = os.getpid()
        return self._file


class Shards:
    """Pack whose index says which of its files holds which video.

    Args:
        path: folder of the pack.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._opened: dict[str, MergedFile] = {}

    @cached_property
    def _shards(self) -> dict[str, str]:
        return read_shards(self.path / INDEX_NAME)

    def file_of(self, video_id: str) -> h5py.File | None:
        """Return the open shard that holds a video, None if the index does not list it.

        Raises:
            InputError: if the shard is missing or damaged, or lacks the video.
            OSError: if it is damaged where the video is (RuntimeError, too).
        """
        if video_id not in self._shards:
            return None
        name = self._shards[video_id]
        shard = self._opened.setdefault(name, MergedFile(self.path / name))
        file = shard.file_of(video_id)
        if file is None:
            raise InputError(
                f"{shard.path}: lacks video {video_id!r}, which {INDEX_NAME} lists: missing, cut short or damaged; "
                "copy it again"
            )
        return file

    def ids(self) -> Iterator[str]:
        """Yield the videos that the index lists."""
        yield from self._shards

    def place_of(self, video_id: str) -> Path | None:
        """Return the shard of a video, for messages; None if the index does not list it."""
        name = self._shards.get(video_id)
        return self.path / name if name else None
