"""The file of a bundled run: a zip of plain arrays (.npy) and one JSON, with nothing in it that
could be executed.

    bundle.json                  format, configuration, class names, sizes, and size and SHA-256 of every other member
    backbone/<parameter>.npy     of the finetuned network; of a hub's ("hf:videomae") the weights alone:
                                 whoever opens the bundle needs its config.json under that name
    <head>/<parameter>.npy       of the head, e.g. bmn/

Members are stored uncompressed, so that a small file cannot grow into a large one, and read into
memory by the names that the JSON gives: no path of the file is ever written to, so that none can
lead out of a folder.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import stat
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pipeline.portable import checked_index, read_networks, without_folders, write_run
from runtime.atomic import atomic_path
from runtime.errors import InputError

FORMAT = "tadaloc bundle 1"
INDEX = "bundle.json"
MAX_INDEX_BYTES, MAX_ARRAY_BYTES, MAX_MEMBERS = 16 << 20, 2 << 30, 20_000
_ARRAY = re.compile(r"[a-z_]+/[A-Za-z0-9_.]+\.npy")
_FIXED_TIME = (1980, 1, 1, 0, 0, 0)
"""Of every member: the same run gives the same bytes."""


# ---- writing


def pack_bundle(
    run_dir: Path, destination: Path, config: Mapping[str, Any], information: Mapping[str, Any]
) -> int:
    """Write the networks of a run folder to one file, whole or not at all.

    Args:
        run_dir: with both weights.
        destination: zip file.
        config: resolved configuration; paths in it lose their folders, which are nobody else's
            business.
        information: further entries of the JSON, for people.

    Returns:
        The bytes of the file.
    """
    facts, states = read_networks(run_dir, config)
    index: dict[str, Any] = {
        "format": FORMAT,
        **information,
        "config": without_folders(config),
        "networks": facts,
        "members": {},
    }
    with atomic_path(destination) as temporary, zipfile.ZipFile(temporary, "w") as file:
        for network, state in states.items():
            for key, tensor in state.items():
                _add(file, index["members"], f"{network}/{key}.npy", _array_bytes(tensor))
        _add(file, {}, INDEX, json.dumps(index, indent=1, ensure_ascii=False, allow_nan=False).encode())
    return destination.stat().st_size


def _add(file: zipfile.ZipFile, members: dict[str, Any], name: str, content: bytes) -> None:
    members[name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    file.writestr(zipfile.ZipInfo(name, _FIXED_TIME), content)


def _array_bytes(tensor: Tensor) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, tensor.detach().cpu().numpy(), allow_pickle=False)
    return buffer.getvalue()


# ---- reading


def unpack(path: Path, folder: Path) -> None:
    """Make a folder of configuration and weights, as a run has them, from a bundle.

    Args:
        path: zip file of `pack`; not trusted.
        folder: existing and empty; receives exactly config.yaml, finetune/weights.pt and the head's
            weights, e.g. bmn/weights.pt.

    Raises:
        InputError: if it is no such file, holds links, unknown, missing or oversized members, or
            one whose content is not the one that its JSON describes.
    """
    try:
        with zipfile.ZipFile(path) as file:
            members = _members(path, file)
            index = _index(path, file, members)
            arrays = {name: _array(path, file, members[name], index["members"][name]) for name in members}
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:  # last: encrypted
        raise _refusal(path, f"not a readable zip file ({error})") from error
    states: dict[str, dict[str, Tensor]] = {}
    for name, array in arrays.items():
        network, _, key = name.removesuffix(".npy").partition("/")
        states.setdefault(network, {})[key] = array
    write_run(folder, index, states)


def _members(path: Path, file: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """Check the table of contents; return the arrays."""
    listed = file.infolist()
    if len(listed) > MAX_MEMBERS:
        raise _refusal(path, f"{len(listed)} members, at most {MAX_MEMBERS} were expected")
    names = [member.filename for member in listed]
    if len(set(names)) != len(names):
        raise _refusal(path, "two members of one name")
    if sum(member.file_size for member in listed) > path.stat().st_size:
        raise _refusal(path, "members overlap, or promise more than the file holds")
    for member in listed:
        kind = stat.S_IFMT(member.external_attr >> 16)
        if member.filename != INDEX and not _ARRAY.fullmatch(member.filename):
            raise _refusal(path, f"unknown member {member.filename!r}")
        if kind not in (0, stat.S_IFREG):
            raise _refusal(path, f"member {member.filename!r} is a link or another special file")
        limit = MAX_INDEX_BYTES if member.filename == INDEX else MAX_ARRAY_BYTES
        if member.compress_type != zipfile.ZIP_STORED or member.file_size > limit:
            raise _refusal(path, f"member {member.filename!r} is compressed or larger than {limit} bytes")
    return {member.filename: member for member in listed if member.filename != INDEX}


def _index(path: Path, file: zipfile.ZipFile, members: Mapping[str, zipfile.ZipInfo]) -> dict[str, Any]:
    try:
        index = checked_index(_read(file, file.getinfo(INDEX)), FORMAT)
    except KeyError:
        raise _refusal(path, f"no {INDEX}") from None
    except ValueError as error:
        raise _refusal(path, f"{INDEX}: {error}") from error
    if not isinstance(index.get("members"), dict):
        raise _refusal(path, f"{INDEX}: lacks members")
    if index["members"].keys() != members.keys():
        different = sorted(index["members"].keys() ^ members.keys())
        raise _refusal(path, f"{INDEX} and members differ in {', '.join(map(repr, different[:3]))}")
    return index


def _array(path: Path, file: zipfile.ZipFile, member: zipfile.ZipInfo, described: Any) -> Tensor:
    content = _read(file, member)
    found = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    if described != found:
        raise _refusal(path, f"member {member.filename!r} is not the one that {INDEX} describes (damaged?)")
    try:
        # allow_pickle=False: numbers only; a header that promises more than there is ends in
        # ValueError.
        return torch.from_numpy(np.lib.format.read_array(io.BytesIO(content), allow_pickle=False))
    except (ValueError, TypeError, MemoryError, OverflowError, EOFError) as error:
        raise _refusal(path, f"member {member.filename!r} is not a plain array ({error})") from error


def _read(file: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    with file.open(member) as opened:
        return opened.read(member.file_size)


def _refusal(path: Path, reason: str) -> InputError:
    return InputError(
        f"{path}: not a bundle of `python -m pipeline.bundle` that can be trusted: {reason}; pack it again"
    )
