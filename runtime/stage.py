"""Running one stage: skip it when it is done, go on when it was cut off, refuse when its inputs
changed.

    runs/<name>/<stage>/stage.json    state, fingerprint, resolved config, versions, duration, skipped items

A stage names the keys and upstream stages that its result depends on (`runtime.stage_spec`). Their
flat table of values is the fingerprint. Running a stage again then means:

    complete, same fingerprint     nothing is done; skipped items are listed again
    complete, but a result is gone the stage's own work makes it again
    cut off, same fingerprint      the stage's own work goes on where it stopped
    other fingerprint              the change is named and nothing is touched, unless forced

A complete stage that is forced is set aside as `<stage>.replaced` until the new one is complete;
where the new one ends before it has made anything, say on a bad key, it comes back
(`runtime.stage_folder`).

A stage that trains may be started with several processes (`torchrun`): all of them call the stage's
work, or skip a complete stage, but process 0 alone decides, writes and speaks. The work begins by
waiting for process 0 (`training.device.prepare_device`); where that refuses, `torchrun` ends the
others there.
"""

from __future__ import annotations

import json
import os
import sys
import textwrap
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

from runtime.atomic import sweep_temporary_files, write_json, write_text
from runtime.brief import columns, in_brief
from runtime.config import config_to_dict, config_to_yaml, default_values
from runtime.errors import InputError
from runtime.exit_codes import EXIT_DONE, EXIT_SKIPPED_ITEMS
from runtime.fingerprint import digest, file_sha256
from runtime.lock import hold
from runtime.processes import is_main, world_size
from runtime.record import (
    RECORD_NAME,
    changes,
    holds_results,
    missing_results,
    read_record,
    refuse_changed_results,
    result_sums,
    upstream_fingerprint,
)
from runtime.resources import peak_memory_mb, versions
from runtime.sections import RunConfig
from runtime.stage_folder import (
    clear_leftovers,
    has_leftovers,
    refuse_foreign_folder,
    refuse_foreign_run_dir,
    set_aside,
    settle_replaced,
)
from runtime.stage_spec import StageRun, StageSpec

__all__ = ["StageRun", "StageSpec", "fingerprint_parts", "run_stage", "stands_complete"]

MAX_LISTED = 20
"""Skipped items shown on the screen; the record holds all of them."""


def run_stage(
    spec: StageSpec, config: RunConfig, *, force: bool = False, commands: Mapping[str, str] | None = None
) -> int:
    """Bring one stage of a run to completion, or find that it is complete.

    Args:
        spec: the stage, as the configuration makes it (`StageSpec.for_run`).
        config: resolved configuration of the run.
        force: redo the stage from nothing, even where it is complete or its inputs changed.
        commands: name -> command of the stages that this one reads, for messages.

    Returns:
        0, or 1 when the stage is complete but items were skipped.

    Raises:
        InputError: an upstream stage is not complete or its results were changed, the stage's
            inputs changed since it was last run, another process holds the run folder, the run
            folder holds what is not a run's, or `torchrun` started a stage that does not train.
    """
    if not is_main():
        return _help_out(spec, config, force)
    if world_size() > 1 and not spec.trains:
        raise InputError(
            f"stage '{spec.name}' does not train, so it is no work for the {world_size()} processes of torchrun; "
            f"start it with `python -m {spec.command}`"
        )
    refuse_foreign_run_dir(config)
    folder, names = Path(config.run_dir) / spec.name, dict(commands or {})
    if not force and not has_leftovers(folder) and stands_complete(spec, config, names):
        return _show(spec, folder)  # nothing is written, so that a run on a read-only disk can be shown
    folder.parent.mkdir(parents=True, exist_ok=True)
    with hold(folder.parent, spec.command):
        clear_leftovers(folder)
        refuse_foreign_folder(folder)
        if not force and stands_complete(spec, config, names):
            return _show(spec, folder)
        parts = fingerprint_parts(spec, config, names)
        if force:
            set_aside(folder)
        record = read_record(folder)
        if record and (record["state"] == "complete" or holds_results(folder)):
            _refuse_changed_inputs(spec, folder, record, parts)
        try:
            _carry_out(spec, config, folder, parts, record, names)
        finally:
            settle_replaced(folder)
        return _end(spec, folder)


def stands_complete(spec: StageSpec, config: RunConfig, commands: Mapping[str, str] | None = None) -> bool:
    """Whether the stage is done from this very configuration, with all its results there.

    Raises:
        InputError: if it is done, but its inputs have changed, or its record is damaged.
    """
    folder = Path(config.run_dir) / spec.name
    record = read_record(folder)
    if record.get("state") != "complete":
        return False
    _refuse_changed_inputs(spec, folder, record, fingerprint_parts(spec, config, commands))
    missing = missing_results(folder, record)
    missing += [spec.shows] if spec.shows and not (folder / spec.shows).is_file() else []
    if missing:
        _say(f"{spec.name}: complete, but {', '.join(missing)} is gone; it is made again")
    return not missing


def _help_out(spec: StageSpec, config: RunConfig, force: bool) -> int:
    """Do a stage's work beside process 0, in silence, unless there is nothing to do.

    A record is complete here only if it was so when process 0 looked: it completes none without our
    help.
    """
    folder = Path(config.run_dir) / spec.name
    complete = not force and read_record(folder).get("state") == "complete"
    if spec.trains and not complete:
        with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
            spec.work(StageRun(config=config, folder=folder))
    return EXIT_DONE


def fingerprint_parts(
    spec: StageSpec, config: RunConfig, commands: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Return the flat table of everything that the stage's result depends on.

    Raises:
        InputError: if a stage that it reads is not complete.
    """
    parts: dict[str, Any] = {
        f"config.{key}": value for key, value in spec.settings(spec.settled(config)).items()
    }
    for stage in spec.reads:
        command = (commands or {}).get(stage, stage)
        parts[f"stage.{stage}"] = upstream_fingerprint(Path(config.run_dir) / stage, command)
    parts.update({f"input.{name}": state for name, state in spec.inputs(config).items()})
    return parts


def _refuse_changed_inputs(
    spec: StageSpec, folder: Path, record: Mapping[str, Any], parts: Mapping[str, Any]
) -> None:
    changed = changes(record["fingerprint_parts"], json.loads(json.dumps(parts)), default_values())
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
    commands: Mapping[str, str],
) -> None:
    for stage in spec.reads:
        refuse_changed_results(folder.parent / stage, commands.get(stage, stage))
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
    _say_settings(spec, config)
    with _timed(record, folder):
        spec.work(run)
        record["state"] = "complete"
        if spec.weights:
            record["weights_sha256"] = file_sha256(folder / spec.weights)
        record["results"] = result_sums(folder, spec.results, spec.stores)
        record["counts"] = run.counts
        record["skipped"] = run.skipped
        record["notes"] = run.notes
        record["summary"] = run.summary
    _say(
        f"{spec.name}: {run.summary or 'done'} [{record['duration_s']:.1f} s, {record['peak_memory_mb']:.0f} MB]"
    )


@contextmanager
def _timed(record: dict[str, Any], folder: Path) -> Iterator[None]:
    """Add duration (over all attempts) and peak memory to the record, whole or cut off, and
    write it."""
    start = time.monotonic()
    try:
        yield
    except BaseException as error:
        record["state"] = "cut off"
        record["reason"] = f"{type(error).__name__}: {error}"
        raise
    finally:
        record["duration_s"] = round(record["duration_s"] + time.monotonic() - start, 2)
        record["peak_memory_mb"] = peak_memory_mb()
        write_json(folder / RECORD_NAME, record)


def _say_settings(spec: StageSpec, config: RunConfig) -> None:
    """Print what differs from the defaults, but for what the stages that it reads have printed.

    All settings stand in the record. Keys of the stage's own section stand without its name.
    """
    defaults, shown = default_values(), _settings_upstream(spec, Path(config.run_dir))
    words = [
        f"{key.removeprefix(f'{spec.name}.')}={value}"
        for key, value in spec.settings(config).items()
        if value != defaults.get(key) and key not in shown
    ]
    if words:
        line = in_brief(f"{spec.name}: {' '.join(words)}")
        _say(
            textwrap.fill(
                line, columns(), subsequent_indent="  ", break_on_hyphens=False, break_long_words=False
            )
        )


def _settings_upstream(spec: StageSpec, run_dir: Path) -> set[str]:
    records = [read_record(run_dir / stage) for stage in spec.reads]
    parts = [key for record in records for key in record.get("fingerprint_parts", {})]
    return {key.removeprefix("config.") for key in parts}


def _show(spec: StageSpec, folder: Path) -> int:
    record = read_record(folder)
    _say(f"{spec.name}: complete, nothing to do ({record['summary'] or 'done'})")
    return _end(spec, folder)


def _end(spec: StageSpec, folder: Path) -> int:
    """List what was skipped, show the stage's text, and return the exit code."""
    skipped = read_record(folder)["skipped"]
    _list_skipped(spec, folder, skipped)
    if spec.shows:
        for line in (folder / spec.shows).read_text(encoding="utf-8").splitlines():
            print(in_brief(line) if line.startswith("note: ") else line)  # tables stay whole
    return EXIT_SKIPPED_ITEMS if skipped else EXIT_DONE


def _list_skipped(spec: StageSpec, folder: Path, skipped: Mapping[str, str]) -> None:
    if skipped:
        _say(f"{spec.name}: {len(skipped)} skipped:")
    for item, reason in list(skipped.items())[:MAX_LISTED]:
        _say(f"  {item}: {reason}")
    if len(skipped) > MAX_LISTED:
        _say(f"  ... and {len(skipped) - MAX_LISTED} more, all of them in {folder / RECORD_NAME}")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
