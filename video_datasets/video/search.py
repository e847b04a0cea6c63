"""Video files below a folder, and the ids that they stand for."""

from __future__ import annotations

import os
import sys
import unicodedata
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path, PurePath

VIDEO_SUFFIXES = (
    ".mp4", ".m4v", ".mov", ".3gp", ".3g2", ".mkv", ".webm", ".avi", ".divx", ".ts", ".mts", ".m2ts", ".mpg", ".mpeg",
    ".m2v", ".vob", ".flv", ".f4v", ".wmv", ".asf", ".ogv", ".ogm", ".gif", ".mxf", ".rm", ".rmvb", ".dv", ".nut",
)  # fmt: skip
"""Containers that FFmpeg reads; the tests decode those that it writes as well."""

APPLE_DOUBLE = "._"
"""Files that macOS leaves beside others on foreign disks: the attributes of a video, not a
video."""


def index_video_files(folder: Path) -> dict[str, Path]:
    """Map video ids to files: every video file below `folder`, its name without suffix and leading
    "v_".

    HACS's downloader writes `<class>/v_<id>.mp4`; the annotations name the id alone.
    """
    return {video_id: paths[0] for video_id, paths in video_files_by_id(folder).items()}


def video_files_by_id(folder: Path) -> dict[str, list[Path]]:
    """The same with all files of an id, in order: HACS has a copy in the folder of each of a
    video's classes."""
    found: dict[str, list[Path]] = {}
    for path in sorted(video_files(folder)):
        found.setdefault(video_id_of(path), []).append(path)
    return found


def video_id_of(file: PurePath) -> str:
    """Return the id that a video file stands for.

    >>> video_id_of(PurePath("Archery/v_abc.mp4"))
    'abc'
    """
    return file.stem.removeprefix("v_")


def files_of_ids(files: Mapping[str, list[Path]], video_ids: Collection[str]) -> dict[str, list[Path]]:
    """Give each annotated id its files, none where there are none.

    Where no file has the very id, spellings that mean the same count as equal: with "v_" or a
    video's suffix or without, and accents as one character or as two (macOS takes names apart).

    Args:
        files: as `video_files_by_id` finds them.
        video_ids: as annotated.
    """
    exact = set(video_ids) & files.keys()
    spelt: dict[str, list[Path]] = {}
    for file_id, paths in files.items():
        if file_id not in exact:
            spelt.setdefault(_spelling(file_id), []).extend(paths)
    return {video_id: files.get(video_id) or spelt.get(_spelling(video_id), []) for video_id in video_ids}


def _spelling(video_id: str) -> str:
    name = PurePath(video_id)
    stem = name.stem if name.suffix.lower() in VIDEO_SUFFIXES else video_id
    return unicodedata.normalize("NFC", stem.removeprefix("v_"))


def video_files(folder: Path) -> Iterator[Path]:
    """Yield the video files below `folder`, at any depth and also through links."""
    yield from _video_files(folder, set())


def _video_files(folder: Path, entered: set[tuple[int, int]]) -> Iterator[Path]:
    """The same; `entered` keeps from going in circles."""
    if not folder.is_dir():
        return
    state = folder.stat()
    if (state.st_dev, state.st_ino) in entered:
        return
    entered.add((state.st_dev, state.st_ino))
    for entry in _entries(folder):
        if entry.name.startswith(APPLE_DOUBLE):
            continue
        if entry.is_dir():
            yield from _video_files(folder / entry.name, entered)
        elif Path(entry.name).suffix.lower() in VIDEO_SUFFIXES and entry.is_file():
            yield folder / entry.name


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """What a folder holds, by name; unlike a Path, an entry mostly knows its kind without asking
    the disk again."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except PermissionError as error:  # such as lost+found at the top of a disk
        print(f"videos: {folder} is left out: {error.strerror}", file=sys.stderr)
        return []
