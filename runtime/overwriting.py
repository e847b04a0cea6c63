"""Outputs that would replace what a command reads."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from runtime.errors import InputError


def refuse_overwriting(outputs: Iterable[Path | None], inputs: Iterable[Path | None]) -> None:
    """Refuse outputs that are inputs, or each other, under whatever name.

    Raises:
        InputError: naming the file.
    """
    read = {path.resolve() for path in inputs if path}
    written: set[Path] = set()
    for path in outputs:
        if not path:
            continue
        place = path.resolve()
        if place in read:
            raise InputError(
                f"{path}: is an input of this command and would be overwritten; choose another name"
            )
        if place in written:
            raise InputError(f"{path}: named for two outputs; give each its own file")
        written.add(place)
