"""The record of a stage, `stage.json`: what it was made from, what it left, and whether that is
still so."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from runtime.errors import InputError
from runtime.fingerprint import file_sha256, size_state

RECORD_NAME = "stage.json"
_KEYS = {"state", "fingerprint", "fingerprint_parts"}


def read_record(folder: Path) -> dict[str, Any]:
    """Return a stage's record, empty when there is none.

    Raises:
        InputError: if it is damaged.
    """
    path = folder / RECORD_NAME
    if not path.is_file():
        return {}
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:  # not UTF-8, or not JSON
        raise InputError(f"{path} is damaged ({error}); run the stage again with --force") from error
    if not isinstance(record, dict) or not record.keys() >= _KEYS:
        raise InputError(f"{path} is not the record of a stage; run the stage again with --force")
    return record


def has_record(folder: Path) -> bool:
    """Whether a folder is a stage's: it has a record, whole or damaged."""
    return (folder / RECORD_NAME).is_file()


def is_complete(folder: Path) -> bool:
    """Whether the stage has been done; False where the record is damaged."""
    try:
        return bool(read_record(folder).get("state") == "complete")
    except InputError:
        return False


def holds_results(folder: Path) -> bool:
    """Whether anything was made: a stage that failed at once, say on a bad key, has nothing to
    protect."""
    return folder.is_dir() and any(not path.name.startswith(RECORD_NAME) for path in folder.iterdir())


def result_sums(folder: Path, results: Sequence[str], stores: Sequence[str] = ()) -> dict[str, str]:
    """Return the SHA-256 of every result (about 1 s for 2 GB), by its path below the folder.

    Args:
        folder: of the stage.
        results: patterns of files.
        stores: likewise, of files that carry check sums of their own; their SHA-256 is left empty.
    """
    sums = {name: file_sha256(folder / name) for name in _files(folder, results)}
    return sums | dict.fromkeys(_files(folder, stores), "")


def _files(folder: Path, patterns: Sequence[str]) -> list[str]:
    found = {path for pattern in patterns for path in folder.glob(pattern) if path.is_file()}
    found.discard(folder / RECORD_NAME)  # which holds the sums
    return sorted(path.relative_to(folder).as_posix() for path in found)


def missing_results(folder: Path, record: Mapping[str, Any]) -> list[str]:
    """Return the recorded results of a complete stage that are not there any more."""
    return [name for name in record.get("results", {}) if not (folder / name).is_file()]


def refuse_changed_results(folder: Path, command: str, *, only: str = "") -> None:
    """Compare what a stage left with its record, before anybody reads it.

    Records of versions before 0.2 have no sums; nothing is compared there.

    Args:
        folder: of the stage.
        command: of the stage, for messages.
        only: one file to compare; all of them where it is empty.

    Raises:
        InputError: if a file is missing or holds something else than the stage has left.
    """
    remedy = f"make it again with `python -m {command} ... --force`"
    for name, sha256 in read_record(folder).get("results", {}).items():
        path = folder / name
        if only and name != only:
            continue
        if not path.is_file():
            raise InputError(f"{path} is missing, though its stage is complete; {remedy}")
        if sha256 and file_sha256(path) != sha256:
            raise InputError(
                f"{path} is not what its stage left (another SHA-256 than in {RECORD_NAME}): damaged, or "
                f"replaced by hand; {remedy}"
            )


def upstream_fingerprint(folder: Path, command: str) -> str:
    """Return what counts of a stage for those that read it.

    Raises:
        InputError: if it is not complete; the message names its command.
    """
    record = read_record(folder)
    if record.get("state") != "complete":
        found = record.get("state", "not started")
        raise InputError(
            f"{folder}: stage '{folder.name}' must be complete first, found: {found}; run `python -m {command}` "
            f"with the same configuration"
        )
    weights = record.get("weights_sha256", "")
    return f"{record['fingerprint']}, weights {weights[:16]}" if weights else str(record["fingerprint"])


def changes(before: Mapping[str, Any], now: Mapping[str, Any], defaults: Mapping[str, Any]) -> list[str]:
    """Name every entry of a fingerprint that changed, in words for the user.

    Only what counts now is compared: earlier versions recorded keys that a stage does not read. A
    key that they did not know had its default, and files that they knew by name and size alone are
    compared by these.

    Args:
        before: parts of the recorded fingerprint, as JSON gives them back.
        now: likewise, of this configuration.
        defaults: `section.key` -> default.

    >>> changes({"config.bmn.epochs": 9, "config.bmn.gone": 1}, {"config.bmn.epochs": 10}, {})
    ['config.bmn.epochs was 9, is now 10']
    """
    found = []
    for key, new in now.items():
        default = defaults.get(key.removeprefix("config."), "not set")
        old = before.get(key, default)
        if old != new and not (isinstance(new, str) and old == size_state(new)):
            found.append(f"{key} was {old}, is now {new}")
    gone = [key for key in before if key not in now and not key.startswith("config.")]
    found += [f"{key} was {before[key]}, is now not set" for key in gone]
    return sorted(found)
