"""Checkpoints and weights: plain tensors and plain values, written atomically, read with
`weights_only=True`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from runtime.atomic import atomic_path
from runtime.errors import InputError
from runtime.processes import is_main
from tadaconv.file_kinds import kind_of_file


def save(path: Path, content: dict[str, Any]) -> None:
    """Write tensors, numbers, strings, lists and dicts to a file that appears whole or not at all.

    Of several processes, only process 0 writes.
    """
    if is_main():
        with atomic_path(path) as temporary:
            torch.save(content, temporary)


def load(path: Path) -> dict[str, Any]:
    """Read what `save` wrote, on the CPU.

    Raises:
        InputError: if the file is missing, damaged or holds anything but plain tensors and values.
    """
    if not path.is_file():
        raise InputError(f"weights not found: {path}")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds on damaged files
        kind = kind_of_file(path)
        why = f": it is {kind}" if kind else f" ({type(error).__name__}); make it again"
        raise InputError(f"{path} is not a readable checkpoint{why}") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected a dict of weights, found {type(content).__name__}")
    return content
