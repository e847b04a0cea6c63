"""Reading files of weights: ``torch.save`` files (.pt, .pth, .pyth), and .safetensors."""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from tadaconv.file_kinds import kind_of_file


class Unread:
    """Stands for an object beside the tensors of a checkpoint: settings of a training, or a
    NumPy number."""

    def __init__(self, *unread: object) -> None:
        """Take what the object would be made of, and leave it."""

    def __setstate__(self, unread: object) -> None:
        """Likewise."""


_BESIDE_TENSORS = (
    "argparse.Namespace",
    *(f"{module}.{kind}Path" for module in ("pathlib", "pathlib._local") for kind in ("Posix", "Windows")),
    *(
        f"{module}.Pure{kind}Path"
        for module in ("pathlib", "pathlib._local")
        for kind in ("Posix", "Windows")
    ),
    *("numpy.dtype", "numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar"),
    *(f"numpy.dtypes.{name}DType" for name in ("Float64", "Float32", "Int64", "Int32", "Bool")),
)
"""Classes that checkpoints hold beside tensors; their objects are skipped over, not made."""


def read_weights_file(path: Path) -> Mapping[str, Any]:
    """The content of a file of weights; nothing but tensors and plain data is ever unpickled.

    Settings and NumPy numbers beside the tensors are left out (:class:`Unread`); a file with any
    other object is refused.

    Args:
        path: a file written by ``torch.save``, or one that ends in .safetensors.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it cannot be read, holds something else than a mapping, or is a .safetensors
            file and the package ``safetensors`` is not installed. The message says what the file is
            instead.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: there is no such weights file (`python -m tadaconv --weights` lists where to get released ones)"
        )
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    unreadable = f"{path}: cannot be read as a file of weights written by torch.save"
    if kind := kind_of_file(path):
        raise ValueError(f"{unreadable}: it is {kind}")
    try:
        with torch.serialization.safe_globals([(Unread, name) for name in _BESIDE_TENSORS]):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # on files of another kind torch raises KeyError, ValueError and more
        # Without torch's own words, which advise to run what the file holds.
        if named := re.search(r"GLOBAL ([\w.]+)", str(error)):
            raise ValueError(
                f"{path}: holds an object of the class {named[1]}, which could run code when read, so it is not; "
                f"where it was made, save the tensors alone: torch.save(model.state_dict(), FILE)"
            ) from None
        raise ValueError(
            f"{unreadable} ({type(error).__name__}); it may be damaged: download it again"
        ) from None
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
        kind = kind_of_file(path)
        why = f": it is {kind}" if kind and ".safetensors" not in kind else f" ({error}); download it again"
        raise ValueError(f"{path}: cannot be read as a .safetensors file{why}") from error
    return content
