"""The kind of a file that is no file of weights, by its first bytes and in words that say what
to do."""

from __future__ import annotations

import zipfile
from pathlib import Path

_HEAD_BYTES = 4096
_LEGACY_TORCH = b"\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""The number that begins what ``torch.save`` wrote before version 1.6, as pickled."""
_MAGIC = {
    b"\x89HDF\r\n\x1a\n": "an HDF5 file",
    b"\x93NUMPY": "a NumPy array (.npy)",
    b"\x1f\x8b": "a gzip archive; unpack it first",
    b"7z\xbc\xaf": "a 7z archive; unpack it first",
    b"Rar!": "a RAR archive; unpack it first",
    b"%PDF": "a PDF document",
}


def kind_of_file(path: Path) -> str:
    """Describe a file that could not be read as weights.

    Args:
        path: an existing file.

    Returns:
        Words that go on a sentence "it is ...", with what to do; empty where the bytes tell
        nothing.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if not head.strip():
        return "empty; download it again"
    if head.startswith(b"PK\x03\x04"):
        return _kind_of_zip(path)
    for magic, kind in _MAGIC.items():
        if head.startswith(magic):
            return kind
    if head[8:10] == b'{"' and int.from_bytes(head[:8], "little") < path.stat().st_size:
        return "a .safetensors file; give it that suffix"
    if head[:1] == b"\x80" and _LEGACY_TORCH not in head[:64]:
        return (
            "a plain pickle, not written by torch.save; pickles can run code and are not read. Where it was made, "
            "save the tensors: torch.save(state_dict, FILE)"
        )
    return _kind_of_text(head)


def _kind_of_zip(path: Path) -> str:
    if not zipfile.is_zipfile(path):
        return "cut off: its end is missing; download it again"
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        return "a damaged zip archive; download it again"
    if any(name.rpartition("/")[2] == "data.pkl" for name in names):
        return ""
    found = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
    return (
        f"a zip archive without tensors ({len(names)} members: {found}); unpack it and name the file inside"
    )


def _kind_of_text(head: bytes) -> str:
    try:
        # The last character may be cut.
        text = head.decode("utf-8-sig", errors="ignore" if len(head) == _HEAD_BYTES else "strict")
    except UnicodeDecodeError:
        return ""
    if not all(character.isprintable() or character.isspace() for character in text):
        return ""
    first = text.strip().splitlines()[0]
    if text.startswith("version https://git-lfs"):
        return "a Git LFS pointer, not the file itself; fetch it with `git lfs pull`"
    if first.lower().startswith(("<!doctype html", "<html", "<?xml", "<head", "<script")):
        return (
            "an HTML page, such as a sign-in or a confirmation that was saved in place of the file; "
            "download it again in a browser"
        )
    kind = "JSON" if first.startswith(("{", "[")) else "a table (CSV)" if "," in first else "text"
    return f"{kind}, beginning {first[:40]!r}"
