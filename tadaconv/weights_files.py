"""Reading files of weights: ``torch.save`` files (.pt, .pth, .pyth), and .safetensors."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch


def read_weights_file(path: Path) -> Mapping[str, Any]:
    """The content of a file of weights; nothing but tensors and plain data is ever unpickled.

    Args:
        path: a file written by ``torch.save``, or one that ends in .safetensors.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it cannot be read, holds something else than a mapping, or is a .safetensors file and the
            package ``safetensors`` is not installed.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such weights file")
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # on files of another kind torch raises KeyError, ValueError and more
        raise ValueError(
            f"{path}: cannot be read as a file of weights written by torch.save ({error})"
        ) from error
    if not isinstance(content, Mapping):
        raise ValueError(f"{path}: expected a state dict or a checkpoint, found a {type(content).__name__}")
    return content


def _read_safetensors(path: Path) -> Mapping[str, Any]:
    try:
        safetensors = importlib.import_module("safetensors")  # an extra: not everybody has it
        safetensors_torch = importlib.import_module("safetensors.torch")
    except ImportError as error:
        raise ValueError(
            f"{path}: to read this file, install safetensors (pip install safetensors)"
        ) from error
    try:
        content: Mapping[str, Any] = safetensors_torch.load_file(path)
    except safetensors.SafetensorError as error:
        raise ValueError(f"{path}: cannot be read as a .safetensors file ({error})") from error
    return content
