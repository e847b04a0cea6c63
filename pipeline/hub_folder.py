"""A trained run as a folder in the layout of a model repository (huggingface.co).

    config.json         format, settings, class names, time grid, SHA-256 of the parameters
    model.safetensors   parameters, named <network>.<parameter>: backbone.conv1.weight, bmn.head...
    README.md           the card (pipeline/hub_card.py)

`upload`ing such a folder is left to the tools of the site; reading one runs nothing that is in it.
"""

from __future__ import annotations

import hashlib
import importlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from pipeline.portable import checked_index, read_networks, without_folders, write_run
from runtime.atomic import atomic_path, write_text
from runtime.errors import InputError
from runtime.fingerprint import file_sha256
from tadaconv.weights_files import read_weights_file

FORMAT = "tadaloc model 1"
INDEX, PARAMETERS, CARD = "config.json", "model.safetensors", "README.md"
FILES = (INDEX, PARAMETERS, CARD)


def is_hub_folder(folder: Path) -> bool:
    """Whether a folder looks like one of these, rather than like that of a run."""
    return (folder / INDEX).is_file() and (folder / PARAMETERS).is_file()


def write_hub_folder(
    run_dir: Path, folder: Path, config: Mapping[str, Any], information: Mapping[str, Any], card: str
) -> int:
    """Write a run's networks, settings and card.

    Args:
        run_dir: folder of the run, with its weights.
        folder: made when missing.
        config: resolved configuration; places in it lose their folders.
        information: further entries of config.json, for people.
        card: text of README.md.

    Returns:
        The bytes of the parameters.

    Raises:
        InputError: without the package `safetensors`, or if the folder holds something already.
    """
    if folder.exists() and any(folder.iterdir()):
        raise InputError(f"{folder}: holds files already; name a new folder")
    try:
        safetensors_torch = importlib.import_module("safetensors.torch")
    except ImportError as error:
        raise InputError(
            f"{folder}: to write {PARAMETERS}, install safetensors (pip install safetensors)"
        ) from error
    facts, states = read_networks(run_dir, config)
    tensors = {
        f"{network}.{key}": tensor.contiguous()
        for network, state in states.items()
        for key, tensor in state.items()
    }
    content: bytes = safetensors_torch.save(tensors, {"format": "pt"})
    index = {
        "format": FORMAT,
        "library_name": "tadaloc",
        **information,
        "config": without_folders(config),
        "networks": facts,
        "parameters_sha256": hashlib.sha256(content).hexdigest(),
    }
    with atomic_path(folder / PARAMETERS) as temporary:
        temporary.write_bytes(content)
    write_text(folder / CARD, card)
    write_text(folder / INDEX, json.dumps(index, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    return len(content)


def unpack_hub_folder(source: Path, folder: Path) -> None:
    """Make a folder of configuration and weights, as a run has them.

    Args:
        source: of `write_hub_folder`; not trusted.
        folder: existing and empty.

    Raises:
        InputError: if a file is damaged, or the two do not belong together.
    """
    try:
        index = checked_index((source / INDEX).read_bytes(), FORMAT)
    except ValueError as error:
        raise InputError(f"{source / INDEX}: {error}; fetch or make the folder again") from error
    path = source / PARAMETERS
    if file_sha256(path) != index.get("parameters_sha256"):
        raise InputError(f"{path} is not the file that {INDEX} describes (damaged?); fetch or make it again")
    states: dict[str, dict[str, Tensor]] = {}
    for name, tensor in read_weights_file(path).items():
        network, _, key = name.partition(".")
        states.setdefault(network, {})[key] = tensor
    write_run(folder, index, states)


def fetch_hub_folder(repository: str) -> Path:
    """Download a model repository, or take it from the site's own cache on this machine.

    Args:
        repository: such as "someone/hacs-tada2d".

    Returns:
        The folder of its files.

    Raises:
        InputError: without the package `huggingface_hub`, or if the repository cannot be had.
    """
    try:
        hub = importlib.import_module("huggingface_hub")
    except ImportError as error:
        raise InputError(
            f"{repository}: no such file or folder here; to fetch a model repository of that name, install "
            f"huggingface_hub (pip install 'tadaloc[hub]')"
        ) from error
    try:
        return Path(hub.snapshot_download(repository, allow_patterns=list(FILES)))
    except (OSError, ValueError) as error:  # its own errors are kinds of these
        reason = str(error).strip().partition("\n")[0]
        raise InputError(f"{repository}: cannot be fetched as a model repository ({reason})") from error
