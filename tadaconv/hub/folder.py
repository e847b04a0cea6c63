"""Folders of the Hugging Face layout: config.json and weights as .safetensors.

A name is a folder, or a repository of the hub that was downloaded before (``hf download NAME``):
nothing is fetched here. No code of a folder is run, and no other kind of weights is read.
"""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

WEIGHTS = "*.safetensors"
EXTRA = "pip install 'tadaloc[hub]'"


def extra(module: str) -> Any:
    """Import a package of the extra ``hub``.

    Raises:
        ValueError: if it is not installed; the message is the command that installs it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ValueError(f"needs the package {module} ({error}): {EXTRA}") from error


def model_folder(name: str, *, weights: bool = True) -> Path:
    """The folder of a network: itself, or what the hub's cache holds under that name.

    Args:
        name: a folder, or a repository such as "MCG-NJU/videomae-base".
        weights: whether they must be there, too.

    Raises:
        ValueError: if there is neither, or it holds no config.json or no weights as .safetensors.
    """
    folder = Path(name).expanduser()
    if not folder.is_dir():
        hub = extra("huggingface_hub")
        try:
            folder = Path(hub.snapshot_download(name, local_files_only=True))
        except Exception as error:  # many kinds, of three packages
            raise ValueError(
                f"'{name}' is neither a folder nor in the hub's cache; download it first: hf download {name}"
            ) from error
    for pattern in ("config.json", *([WEIGHTS] if weights else [])):
        if not any(folder.glob(pattern)):
            raise ValueError(f"{folder}: holds no {pattern}; no other kind of weights is read")
    return folder


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
        ValueError: if it is missing or no JSON object.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: expected a JSON file ({error})") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path}: expected a JSON object")
    return content


def rgb(values: Any) -> tuple[float, float, float]:
    """Three numbers of a JSON file.

    Raises:
        TypeError or ValueError: if they are not.
    """
    red, green, blue = (float(value) for value in values)
    return red, green, blue
