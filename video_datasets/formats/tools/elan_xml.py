"""Parsing ELAN's XML with the standard library, without entities: any DOCTYPE or ENTITY is
refused unread."""

from __future__ import annotations

import codecs
import re
from pathlib import Path
from xml.etree import ElementTree

from runtime.errors import InputError
from video_datasets.formats.tools.tool_files import read_bytes

_DECLARED = re.compile(rb"<\?xml[^>]{0,200}?encoding=[\"']([\w.-]+)[\"']")
_REFUSED = re.compile(r"<!\s*(DOCTYPE|ENTITY)", re.IGNORECASE)
_ENCODINGS = {"utf-8", "utf-16", "ascii", "iso8859-1", "cp1252"}
_CONTROL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def parse_xml(path: Path) -> ElementTree.Element:
    """Parse a file of bounded size; returns its root.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if it is damaged, no XML, of an unknown encoding, or declares a document type or
            an entity.
    """
    text = _decoded(path, read_bytes(path))
    refused = _REFUSED.search(text)
    if refused:
        line = text.count("\n", 0, refused.start()) + 1
        raise InputError(
            f"{path}: line {line}: expected plain XML, found {refused[0]}, which is never followed"
        )
    try:
        return ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError) as error:
        raise InputError(f"{path}: expected XML, found something else or a file cut off: {error}") from None
    except RecursionError:
        raise InputError(f"{path}: expected XML, found it nested too deeply") from None


def _decoded(path: Path, content: bytes) -> str:
    declared = _DECLARED.search(content[:1000])
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        name = "utf-16"
    elif content.startswith(codecs.BOM_UTF8) or not declared:
        name = "utf-8-sig"
    else:
        name = declared[1].decode("ascii").lower()
    try:
        known = name == "utf-8-sig" or codecs.lookup(name).name in _ENCODINGS
        text = content.decode(name) if known else ""
    except LookupError:
        known = False
    except UnicodeError as error:
        raise InputError(f"{path}: expected {name} text, found other bytes ({error})") from None
    if not known:
        raise InputError(f"{path}: expected one of {', '.join(sorted(_ENCODINGS))}, found encoding '{name}'")
    return text


def xml_text(text: str) -> str:
    r"""Replace characters that XML cannot hold.

    >>> xml_text("a\x00b")
    'a�b'
    """
    return _CONTROL.sub("\ufffd", text)
