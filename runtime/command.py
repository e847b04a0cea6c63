"""The command line that every stage has: `--config FILE [key=value ...] [--force]`, with one set
of exit codes."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from runtime.config import RUN_NAMING_KEYS, find_config, load_config
from runtime.errors import InputError
from runtime.exit_codes import EXIT_CODES_HELP, EXIT_DONE, EXIT_SKIPPED_ITEMS, guarded
from runtime.help_text import CommandParser, program_name
from runtime.processes import world_size
from runtime.sections import RunConfig
from runtime.stage import run_stage
from runtime.stage_spec import StageSpec

KEYS_HELP = "keys: `python -m pipeline.settings` lists all of them (docs/configuration.md)"
SCHEDULER_HELP = "let the workers of this Dask cluster share the videos"
OF_EVERY_STAGE = ("run_dir", *RUN_NAMING_KEYS, "head")
"""Keys that name the run; `runtime.*` says how it uses the machine."""


def stage_command(spec: StageSpec, stages: Mapping[str, StageSpec], argv: Sequence[str] | None = None) -> int:
    """Run a stage from the command line and return its exit code.

    Args:
        spec: the stage.
        stages: all stages by name, for messages that name another one's command.
        argv: arguments; None takes those of the process.
    """
    parser = CommandParser(
        prog=program_name(spec.command),
        description=spec.description,
        epilog=spec.epilog or _epilog(spec),
    )
    parser.add_argument("--config", required=True, metavar="FILE", help="YAML file, e.g. configs/hacs.yaml")
    parser.add_argument("--force", action="store_true", help="redo the stage from nothing")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="settings over those of the file")
    if spec.per_video:
        parser.add_argument("--scheduler", metavar="tcp://...", help=SCHEDULER_HELP)
    arguments = parser.parse_intermixed_args(argv)
    limit_spinning()
    address = getattr(arguments, "scheduler", None)
    words = [*arguments.overrides, *([f"runtime.scheduler={address}"] if address else [])]

    def act() -> int:
        return run_of_words(spec, stages, arguments.config, words, force=arguments.force)

    code = guarded(act)
    # To torchrun every code but 0 is a failure, and ends the other processes.
    return EXIT_DONE if code == EXIT_SKIPPED_ITEMS and world_size() > 1 else code


def run_of_words(
    spec: StageSpec,
    stages: Mapping[str, StageSpec],
    config_file: str | Path,
    overrides: Sequence[str],
    *,
    force: bool = False,
    whole_run: bool = False,
) -> int:
    """Run a stage from the words of a command line.

    Args:
        spec: the stage.
        stages: all stages by name.
        config_file: YAML file.
        overrides: `key=value`.
        force: redo the stage.
        whole_run: whether the words are meant for all stages; otherwise each must belong to this
            one.

    Raises:
        InputError: as `runtime.stage.run_stage`, and for words of other stages.
    """
    config = load_config(find_config(str(config_file)), overrides)
    spec = spec.for_run(config)
    if not whole_run:
        refuse_foreign_keys(spec, stages, config, overrides)
    commands = {name: stage.command for name, stage in stages.items()}
    return run_stage(spec, config, force=force, commands=commands)


def refuse_foreign_keys(
    spec: StageSpec, stages: Mapping[str, StageSpec], config: RunConfig, overrides: Sequence[str]
) -> None:
    """Refuse words that another stage reads, which would change nothing here.

    Raises:
        InputError: naming every such key and the commands that read it.
    """
    found = []
    for key in dict.fromkeys(word.partition("=")[0] for word in overrides):
        if key in OF_EVERY_STAGE or key.startswith("runtime.") or spec.owns(key, config):
            continue
        owners = [stage.command for stage in stages.values() if stage.for_run(config).owns(key, config)]
        readers = " and ".join(f"`python -m {command}`" for command in owners) or "no stage of this run"
        found.append(f"{key} is not read by `python -m {spec.command}`, but by {readers}")
    if found:
        raise InputError("\n  ".join([*found, "put settings of a whole run into its configuration file"]))


def limit_spinning() -> None:
    """Let torch's waiting threads (GNU OpenMP on Linux) give their core away soon; read when torch
    is loaded.

    While they spin, a training step takes ten times as long where other programs want the cores;
    with short spins it loses a tenth on a quiet machine.
    """
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")


def _epilog(spec: StageSpec) -> str:
    examples = [
        f"python -m {spec.command} --config configs/hacs_mini.yaml",
        f"python -m {spec.command} --config configs/hacs.yaml seed=1 run_dir=runs/hacs-seed1",
    ]
    exit_codes = EXIT_CODES_HELP
    if spec.trains:
        examples.append(
            f"torchrun --nproc_per_node=4 -m {spec.command} --config configs/hacs.yaml  # four GPUs"
        )
        exit_codes += "\nunder torchrun: 0 done, skipped items listed; 1 anything else"
    lines = "".join(f"  {example}\n" for example in examples)
    return f"examples:\n{lines}\n{KEYS_HELP}\n{exit_codes}"
