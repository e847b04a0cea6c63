"""One stage of a run: skip it when it is done, go on when it was cut off, refuse when its inputs changed.

    runs/<name>/<stage>/stage.json    state, fingerprint, resolved config, versions, duration, skipped items

A stage names the config sections and upstream stages that its result depends on. Their flat table of
values is the fingerprint. Running a stage again then means:

    complete, same fingerprint     nothing is done; skipped items are listed again
    cut off, same fingerprint      the stage's own work goes on where it stopped
    other fingerprint              the change is named and nothing is touched, unless forced

A complete stage that is forced is set aside as `<stage>.replaced` until the new one is complete; where the new one ends
before it has made anything, say on a bad key, it comes back.

A stage that trains may be started with several processes (`torchrun`): all of them call the stage's work, or skip a
complete stage, but process 0 alone decides, writes and speaks. The work begins by waiting for process 0
(`training.device.prepare_device`); where that refuses, `torchrun` ends the others there.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runtime.atomic import sweep_temporary_files, write_json, write_text
from runtime.config import RETIRED_KEYS, config_to_dict, config_to_yaml
from runtime.errors import InputError
from runtime.exit_codes import EXIT_DONE, EXIT_SKIPPED_ITEMS
from runtime.fingerprint import differences, digest, file_sha256
from runtime.lock import hold
from runtime.processes import is_main, world_size
from runtime.resources import peak_memory_mb, versions
from runtime.schema import RunConfig

RECORD_NAME = "stage.json"
PLACES = (
    "data.root",
    "finetune.init_weights",
    "bmn.init_weights",
    "one_stage.init_weights",
    "one_stage.init_settings",
    "features.store",
    "classification.class_scores",
)
"""Where input files lie; what they are is described by a stage's `inputs`, so moving them changes nothing."""
MAX_LISTED = 20
"""Skipped items shown on the screen; the record holds all of them."""


@dataclass(frozen=True)
class StageSpec:
    """What a stage is called, what its result depends on, and which module runs it.

    Attributes:
        name: folder in the run.
        command: the words after `python -m` that run it.
        sections: keys of `RunConfig` that shape the result.
        reads: names of the stages whose results it reads.
        inputs: returns a description (names, sizes) of every input file that no stage made.
        shows: text file in the stage's folder that goes to standard output whenever the stage is complete.
        weights: file in the stage's folder that training leaves; its content counts for the stages that read
            it, since training again from the same configuration may end with other weights (on a GPU).
    """

    name: str
    command: str
    sections: tuple[str, ...]
    reads: tuple[str, ...] = ()
    inputs: Callable[[RunConfig], Mapping[str, str]] = lambda config: {}
    shows: str = ""
    weights: str = ""

    @property
    def trains(self) -> bool:
        """Whether the stage trains weights, and so may be done by several processes."""
        return bool(self.weights)


@dataclass
class StageRun:
    """Handed to a stage's work: its folder, the config, and where to record what was done.

    Attributes:
        folder: the stage's own folder, existing.
        counts: figures for the record, e.g. {"videos": 128}.
        skipped: item id -> reason, for everything that was left out.
        summary: one line for the log when the stage is done.
        notes: what looked odd, for the record; see `note`.
    """

    config: RunConfig
    folder: Path
    counts: dict[str, float] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    summary: str = ""
    notes: list[str] = field(default_factory=list)

    def upstream(self, stage: str) -> Path:
        """Return the folder of another stage of this run."""
        return self.folder.parent / stage

    def note(self, text: str) -> None:
        """Say at once, and record, what looks odd but stops nothing and leaves nothing out."""
        self.notes.append(text)
        _say(f"{self.folder.name}: note: {text}")

    def skip(self, item: str, reason: str) -> None:
        """Record that an item was left out, and why."""
        self.skipped[item] = reason


Work = Callable[[StageRun], None]


def run_stage(spec: StageSpec, config: RunConfig, work: Work, *, force: bool = False) -> int:
    """Bring one stage of a run to completion, or find that it is complete.

    Args:
        spec: the stage.
        config: resolved configuration of the run.
        work: does the work; may be called again on a folder with partial results.
        force: redo the stage from nothing, even where it is complete or its inputs changed.

    Returns:
        0, or 1 when the stage is complete but items were skipped.

    Raises:
        InputError: an upstream stage is not complete, the stage's inputs changed since it was last run,
            another process holds the run folder, or `torchrun` started a stage that does not train.
    """
    if not is_main():
        return _help_out(spec, config, work, force)
    if world_size() > 1 and not spec.trains:
        raise InputError(
            f"stage '{spec.name}' does not train, so it is no work for the {world_size()} processes of torchrun; "
            f"start it with `python -m {spec.command}`"
        )
    run_dir = Path(config.run_dir)
    run_dir.mkdir(parents=True, exist_ok=True)
    with hold(run_dir, spec.command):
        folder = run_dir / spec.name
        parts = fingerprint_parts(spec, config)
        if _is_complete(folder):
            _remove(_replaced_folder(folder))  # left by a process that was killed at its end
            if force:
                folder.rename(_replaced_folder(folder))
        elif force:
            _remove(folder)
        record = read_record(folder)
        if record and (record["state"] == "complete" or _holds_results(folder)):
            _refuse_changed_inputs(spec, folder, record, parts)
        if record.get("state") == "complete":
            _say(f"{spec.name}: complete, nothing to do ({record['summary'] or 'done'})")
        else:
            try:
                record = _carry_out(spec, config, folder, parts, record, work)
            finally:
                _settle_replaced(folder)
        _list_skipped(spec, folder, record["skipped"])
        if spec.shows:
            print((folder / spec.shows).read_text(encoding="utf-8"), end="")
        return EXIT_SKIPPED_ITEMS if record["skipped"] else EXIT_DONE


def _help_out(spec: StageSpec, config: RunConfig, work: Work, force: bool) -> int:
    """Do a stage's work beside process 0, in silence, unless there is nothing to do.

    A record is complete here only if it was so when process 0 looked: it completes none without our help.
    """
    folder = Path(config.run_dir) / spec.name
    complete = not force and read_record(folder).get("state") == "complete"
    if spec.trains and not complete:
        with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
            work(StageRun(config=config, folder=folder))
    return EXIT_DONE


def fingerprint_parts(spec: StageSpec, config: RunConfig) -> dict[str, Any]:
    """Return the flat table of everything that the stage's result depends on.

    Raises:
        InputError: if a stage that it reads is not complete.
    """
    resolved = config_to_dict(config)
    parts: dict[str, Any] = {}
    for section in spec.sections:
        value = resolved[section]
        named = value if isinstance(value, dict) else {"": value}
        keys = {f"{section}.{key}".rstrip("."): item for key, item in named.items()}
        parts.update({f"config.{key}": item for key, item in keys.items() if key not in PLACES})
    for stage in spec.reads:
        parts[f"stage.{stage}"] = _upstream_fingerprint(Path(config.run_dir) / stage, stage)
    parts.update({f"input.{name}": state for name, state in spec.inputs(config).items()})
    return parts


def read_record(folder: Path) -> dict[str, Any]:
    """Return a stage's record, empty when there is none."""
    path = folder / RECORD_NAME
    if not path.is_file():
        return {}
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:  # not UTF-8, or not JSON
        raise InputError(f"{path} is damaged ({error}); run the stage again with --force") from error
    if not isinstance(record, dict) or not {"state", "fingerprint", "fingerprint_parts"} <= record.keys():
        raise InputError(f"{path} is not the record of a stage; run the stage again with --force")
    return record


def _holds_results(folder: Path) -> bool:
    """Whether anything was made there: a stage that failed at once, say on a bad key, has nothing to protect."""
    return folder.is_dir() and any(path.name != RECORD_NAME for path in folder.iterdir())


def _is_complete(folder: Path) -> bool:
    try:
        return bool(read_record(folder).get("state") == "complete")
    except InputError:  # damaged
        return False


def _replaced_folder(folder: Path) -> Path:
    """Return where the complete results of a stage's folder are while the stage is redone."""
    return folder.with_name(f"{folder.name}.replaced")


def _settle_replaced(folder: Path) -> None:
    """After the work: remove the results that it replaced, or put them back if it has made nothing.

    Killed anywhere in here or before, nothing is lost: they go only once the new ones are complete.
    """
    replaced = _replaced_folder(folder)
    if not replaced.exists():
        return
    if _is_complete(folder):
        _remove(replaced)
    elif _holds_results(folder):
        _say(f"{folder.name}: not complete; until it is, the results from before --force are in {replaced}")
    else:
        _remove(folder)
        replaced.rename(folder)
        _say(f"{folder.name}: the results from before --force are back in {folder}")


def _remove(folder: Path) -> None:
    if folder.is_symlink():
        folder.unlink()
    elif folder.exists():
        shutil.rmtree(folder)


def _upstream_fingerprint(folder: Path, stage: str) -> str:
    record = read_record(folder)
    if record.get("state") != "complete":
        found = record.get("state", "not started")
        raise InputError(f"{folder}: stage '{stage}' must be complete first, found: {found}")
    weights = record.get("weights_sha256", "")
    return f"{record['fingerprint']}, weights {weights[:16]}" if weights else str(record["fingerprint"])


def _refuse_changed_inputs(
    spec: StageSpec, folder: Path, record: Mapping[str, Any], parts: Mapping[str, Any]
) -> None:
    retired = {f"config.{key}" for key in RETIRED_KEYS}
    before = {key: value for key, value in record["fingerprint_parts"].items() if key not in retired}
    changed = differences(before, json.loads(json.dumps(parts)))
    if changed:
        listing = "\n  ".join(changed)
        raise InputError(
            f"{folder} was made from other inputs:\n  {listing}\n"
            f"nothing was changed; redo it with `python -m {spec.command} ... --force`, "
            f"or name another run_dir"
        )


def _carry_out(
    spec: StageSpec,
    config: RunConfig,
    folder: Path,
    parts: Mapping[str, Any],
    earlier: Mapping[str, Any],
    work: Work,
) -> dict[str, Any]:
    folder.mkdir(parents=True, exist_ok=True)
    sweep_temporary_files(folder)
    write_text(folder.parent / "config.yaml", config_to_yaml(config))
    run = StageRun(config=config, folder=folder)
    record = {
        "stage": spec.name,
        "state": "running",
        "fingerprint": digest(parts),
        "fingerprint_parts": dict(parts),
        "seed": config.seed,
        "config": config_to_dict(config),
        "versions": versions(),
        "duration_s": float(earlier.get("duration_s", 0.0)),
    }
    write_json(folder / RECORD_NAME, record)
    _say_settings(spec, parts)
    with _timed(record, folder):
        work(run)
        record["state"] = "complete"
        if spec.weights:
            record["weights_sha256"] = file_sha256(folder / spec.weights)
        record["counts"] = run.counts
        record["skipped"] = run.skipped
        record["notes"] = run.notes
        record["summary"] = run.summary
    _say(
        f"{spec.name}: {run.summary or 'done'} [{record['duration_s']:.1f} s, {record['peak_memory_mb']:.0f} MB]"
    )
    return record


@contextmanager
def _timed(record: dict[str, Any], folder: Path) -> Iterator[None]:
    """Add duration (over all attempts) and peak memory to the record, whole or cut off, and write it."""
    start = time.monotonic()
    try:
        yield
    finally:
        record["duration_s"] = round(record["duration_s"] + time.monotonic() - start, 2)
        record["peak_memory_mb"] = peak_memory_mb()
        write_json(folder / RECORD_NAME, record)


def _say_settings(spec: StageSpec, parts: Mapping[str, Any]) -> None:
    settings = [
        f"{key[len('config.') :]}={value}" for key, value in parts.items() if key.startswith("config.")
    ]
    _say(
        textwrap.fill(
            f"{spec.name}: {' '.join(settings)}", 110, subsequent_indent="  ", break_on_hyphens=False
        )
    )


def _list_skipped(spec: StageSpec, folder: Path, skipped: Mapping[str, str]) -> None:
    if skipped:
        _say(f"{spec.name}: {len(skipped)} skipped:")
    for item, reason in list(skipped.items())[:MAX_LISTED]:
        _say(f"  {item}: {reason}")
    if len(skipped) > MAX_LISTED:
        _say(f"  ... and {len(skipped) - MAX_LISTED} more, all of them in {folder / RECORD_NAME}")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
