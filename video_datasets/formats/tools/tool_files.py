"""Reading files of labelling tools with care: bounded size, known encodings, typed members, ids
from file names.

Every refusal says file, place, expected, found. Paths in these files are names to learn an id from;
none is opened.
"""

from __future__ import annotations

import codecs
import json
import math
import re
import zlib
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar
from urllib.parse import unquote

from runtime.errors import InputError
from video_datasets.annotations import GZIP_MAGIC, short_repr
from video_datasets.ids import refuse_unsafe_id
from video_datasets.video.search import video_id_of

MAX_BYTES = 512 * 1024 * 1024
"""Largest file that is read, also after gzip: a project of ten thousand hours stays far below."""
_BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_MISSING = object()
_KINDS = {dict: "an object", list: "a list", str: "text", float: "a number"}
T = TypeVar("T", dict, list, str, float)


def read_bytes(path: Path, max_bytes: int = MAX_BYTES) -> bytes:
    """Read a file, plain or gzip, of bounded size.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if it is too large, empty, or damaged gzip.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    too_large = f"{path}: expected at most {max_bytes // 2**20} MiB, found more; is this a file of labels?"
    if path.stat().st_size > max_bytes:
        raise InputError(too_large)
    content = path.read_bytes()
    if content.startswith(GZIP_MAGIC):
        unpacker = zlib.decompressobj(wbits=31)
        try:
            content = unpacker.decompress(content, max_bytes)
        except zlib.error as error:
            raise InputError(f"{path}: damaged gzip file ({error}); copy it again") from None
        if unpacker.unconsumed_tail:
            raise InputError(too_large)
        if not unpacker.eof:
            raise InputError(f"{path}: damaged gzip file (cut off); copy it again")
    if not content.strip(b"\0\r\n\t "):
        raise InputError(f"{path}: the file is empty")
    return content


def read_table_text(path: Path) -> str:
    """Read a text table: UTF-8, UTF-16 with its mark, or else Windows-1252, as Excel writes."""
    content = read_bytes(path)
    try:
        return _decoded(content)
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace")


def read_strict_text(path: Path) -> str:
    """Read text that must be UTF-8, or UTF-16 with its mark.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if it is neither.
    """
    try:
        return _decoded(read_bytes(path))
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: expected UTF-8 text, found other bytes ({error})") from None


def _decoded(content: bytes) -> str:
    marked = (encoding for mark, encoding in _BYTE_ORDER_MARKS.items() if content.startswith(mark))
    return content.decode(next(marked, "utf-8"))


def read_json(path: Path) -> Any:
    """Read JSON of bounded size.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if it is not JSON.
    """
    text = read_strict_text(path)
    try:
        return json.loads(text)
    except RecursionError:
        raise InputError(f"{path}: expected JSON, found it nested too deeply") from None
    except ValueError as error:
        raise InputError(f"{path}: expected JSON, found something else or a file cut off: {error}") from None


def checked(value: Any, kind: type[T], where: str) -> T:
    """Return a value of the kind expected; whole numbers and numbers in quotes count as numbers.

    Raises:
        InputError: if it is of another kind, or a number that is not finite.
    """
    if kind is float and isinstance(value, int | float | str) and not isinstance(value, bool):
        try:
            number = float(value)
        except (ValueError, OverflowError):
            number = math.nan
        if math.isfinite(number):
            return number  # type: ignore[return-value]
    elif isinstance(value, kind):
        return value
    raise InputError(f"{where}: expected {_KINDS[kind]}, found {short_repr(value)}")


def member(content: dict, key: str, kind: type[T], where: str, default: Any = _MISSING) -> T:
    """Return a member of an object; without a default it must be there.

    Raises:
        InputError: if it is missing or of another kind.
    """
    if key not in content:
        if default is not _MISSING:
            return default
        raise InputError(f"{where}: expected key '{key}', found {short_repr(sorted(map(str, content)))}")
    return checked(content[key], kind, f"{where}, '{key}'")


def media_name(text: str) -> str:
    r"""File name in a path or address of any system.

    >>> media_name("file:///data/my%20day.mp4"), media_name("/data/local-files/?d=a/b.mp4"), media_name("C:\\v\\c.avi")
    ('my day.mp4', 'b.mp4', 'c.avi')
    """
    if re.match(r"[a-z]+://|/data/", text):
        address, _, query = text.partition("?")
        inside = re.search(r"(?:^|&)d=([^&]*)", query)
        text = unquote(inside[1] if inside else address.partition("#")[0])
    return text.replace("\\", "/").rstrip("/").rpartition("/")[2]


def media_id(text: str, where: str) -> str:
    """Id of the video that a path or address names.

    Raises:
        InputError: if no id can be made of it.
    """
    video_id = video_id_of(PurePosixPath(media_name(text)))
    refuse_unsafe_id(video_id, where)
    return video_id
