"""SHA256SUMS of a packed store: what its files should be, so that anything else is noticed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from runtime.atomic import write_text
from runtime.errors import InputError
from runtime.fingerprint import file_sha256
from video_datasets.annotations import read_text

SUMS_NAME = "SHA256SUMS"


def write_sums(folder: Path, names: Iterable[str], known: Mapping[str, str]) -> None:
    """Write SHA256SUMS for files of a folder, in the form of `sha256sum -c`.

    Args:
        folder: that holds the files.
        names: of the files.
        known: sums of some of them, which are not read again.
    """
    sums = {name: known.get(name) or file_sha256(folder / name) for name in sorted(names)}
    write_text(folder / SUMS_NAME, "".join(f"{sha256}  {name}\n" for name, sha256 in sums.items()))


def read_sums(folder: Path) -> Mapping[str, str]:
    """Read SHA256SUMS: file name -> sum.

    Raises:
        FileNotFoundError: if there is none.
        InputError: if a line is not "<64 hexadecimal digits>  <name of a file in this folder>".
    """
    path = folder / SUMS_NAME
    sums = {}
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        digest, _, name = line.partition("  ")
        if len(digest) != 64 or not name or Path(name).name != name:
            raise InputError(
                f"{path}: line {number}: expected '<sha256>  <file in this folder>', found {line!r}"
            )
        sums[name] = digest.lower()
    return sums
