"""Headers of video files, read once: what they say is kept in a small file beside what is made of
the videos.

A file's header counts as read while the file has the same path, size and time of last change, to
the nanosecond; a file that was replaced, cut or fetched again is read again, and so is everything
after a change of PyAV or of the limits of `runtime`. Files that could not be read are not kept: they
are few, and meant to be mended. Whatever else is wrong with what was kept, all is read again.
"""

from __future__ import annotations

import contextlib
import functools
import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from importlib import metadata
from pathlib import Path
from typing import Any

from runtime.atomic import write_text
from runtime.parallel import WorkerDiedError, parallel_map
from runtime.progress import progress
from runtime.settings import RuntimeConfig
from video_datasets.video.container import VideoLimits
from video_datasets.video.decoding import VideoError, VideoInfo, read_header
from video_datasets.video.display import AS_STORED

HEADERS_NAME = "headers.json"
_FIELDS = [field.name for field in fields(VideoInfo) if field.name != "orientation"]
"""A header alone knows of no orientation."""

State = tuple[int, int]
"""Size in bytes and time of last change in nanoseconds."""


def read_headers(
    files: Mapping[str, Path], runtime: RuntimeConfig, kept: Path
) -> tuple[dict[str, VideoInfo], dict[str, str]]:
    """Read what video files say about themselves, in processes that a damaged file may take along.

    Args:
        files: by id.
        runtime: workers, and limits of a file.
        kept: file of the headers that were read before, written again where there are new ones; a
            disk that cannot take it is none of the work's concern.

    Returns:
        Headers by id, and reasons by id for those that cannot be read or do not give a length.
    """
    limits = VideoLimits.from_config(runtime)
    known = _Kept(kept, limits)
    states = {name: _state(path) for name, path in files.items()}
    headers = {
        name: info for name, path in files.items() if (info := known.header(path, states[name])) is not None
    }
    unreadable: dict[str, str] = {}
    new = [name for name in files if name not in headers]
    read = functools.partial(read_header, limits=limits)
    results = parallel_map(read, [files[name] for name in new], workers=max(runtime.workers, 2))
    bar = progress(results, description="headers", total=len(files), initial=len(headers), unit="video")
    try:
        for name, (path, found) in zip(new, bar, strict=True):
            if isinstance(found, VideoInfo):
                headers[name] = found
                known.add(path, states[name], found)
            elif isinstance(found, VideoError):
                unreadable[name] = found.reason
            elif isinstance(found, WorkerDiedError):
                unreadable[name] = str(found)
            else:
                raise found  # a mistake of the program is no video's fault
    finally:  # cut off, the next one goes on here
        known.write()
    return {name: headers[name] for name in files if name in headers}, unreadable


def _state(path: Path) -> State | None:
    """The state of a file before it is read; None if there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns


class _Kept:
    """The file of headers: path -> [size, time of change, values of the header]."""

    def __init__(self, path: Path, limits: VideoLimits) -> None:
        self.path = path
        self.made_by = {"pyav": metadata.version("av"), "limits": asdict(limits), "fields": _FIELDS}
        self.rows: dict[str, list[Any]] = {}
        self.is_new = False
        with contextlib.suppress(OSError, ValueError, TypeError, LookupError):  # none, or damaged
            content = json.loads(path.read_text(encoding="utf-8"))
            if content["made_by"] == self.made_by:
                self.rows = dict(content["files"])

    def header(self, path: Path, state: State | None) -> VideoInfo | None:
        """Return the header of a file that is as it was."""
        row = self.rows.get(str(path))
        if row is None or len(row) != 2 + len(_FIELDS) or (row[0], row[1]) != state:
            return None
        return VideoInfo(orientation=AS_STORED, **dict(zip(_FIELDS, row[2:], strict=True)))

    def add(self, path: Path, state: State | None, info: VideoInfo) -> None:
        """Keep a header that was read, unless there was no file just before."""
        if state is not None:
            self.rows[str(path)] = [*state, *(getattr(info, name) for name in _FIELDS)]
            self.is_new = True

    def write(self) -> None:
        """Write the file if there is anything new."""
        if self.is_new:
            with contextlib.suppress(OSError):  # a full disk stops the work when it needs the space
                write_text(self.path, json.dumps({"made_by": self.made_by, "files": self.rows}))
