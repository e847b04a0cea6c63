"""The command line that every stage has: `--config FILE [key=value ...] [--force]`, with one set of exit codes."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence

from runtime.config import load_config
from runtime.exit_codes import EXIT_CODES_HELP, EXIT_DONE, EXIT_SKIPPED_ITEMS, guarded
from runtime.processes import world_size
from runtime.schema import RunConfig
from runtime.stage import StageSpec, Work, run_stage


def stage_command(
    spec: StageSpec,
    work: Work,
    description: str,
    argv: Sequence[str] | None = None,
    *,
    spec_of: Callable[[RunConfig], StageSpec] | None = None,
    epilog: str | None = None,
) -> int:
    """Run a stage from the command line and return its exit code.

    Args:
        spec: the stage.
        work: does the stage's work; it should import heavy libraries itself, so that a finished stage is
            skipped in a fraction of a second.
        description: first paragraph of `--help`.
        argv: arguments; None takes those of the process.
        spec_of: returns the stage as a configuration makes it; None: always `spec`.
        epilog: last paragraphs of `--help`; None: examples that suit any stage.
    """
    parser = argparse.ArgumentParser(
        prog=f"python -m {spec.command}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=_epilog(spec) if epilog is None else epilog,
    )
    parser.add_argument("--config", required=True, metavar="FILE", help="YAML file, e.g. configs/hacs.yaml")
    parser.add_argument("--force", action="store_true", help="redo the stage from nothing")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="settings over those of the file")
    arguments = parser.parse_intermixed_args(argv)
    # Torch's threads (GNU OpenMP on Linux) spin while they wait, which makes a training step ten times slower where
    # other programs want the cores; with short spins it loses a tenth on a quiet machine. Read when torch is loaded.
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")

    def act() -> int:
        config = load_config(arguments.config, arguments.overrides)
        return run_stage(spec_of(config) if spec_of else spec, config, work, force=arguments.force)

    code = guarded(act)
    # To torchrun every code but 0 is a failure, and ends the other processes.
    return EXIT_DONE if code == EXIT_SKIPPED_ITEMS and world_size() > 1 else code


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
    return f"examples:\n{lines}\nkeys: runtime/schema.py documents all of them\n{exit_codes}"
