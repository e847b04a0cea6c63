"""The command line that every stage has: `--config FILE [key=value ...] [--force]`, with one set of exit codes."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence

from runtime.config import load_config
from runtime.exit_codes import EXIT_CODES_HELP, guarded
from runtime.stage import StageSpec, Work, run_stage


def stage_command(spec: StageSpec, work: Work, description: str, argv: Sequence[str] | None = None) -> int:
    """Run a stage from the command line and return its exit code.

    Args:
        spec: the stage.
        work: does the stage's work; it should import heavy libraries itself, so that a finished stage is
            skipped in a fraction of a second.
        description: first paragraph of `--help`.
        argv: arguments; None takes those of the process.
    """
    parser = argparse.ArgumentParser(
        prog=f"python -m {spec.command}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=(
            f"examples:\n"
            f"  python -m {spec.command} --config configs/hacs_mini.yaml\n"
            f"  python -m {spec.command} --config configs/hacs.yaml seed=1 run_dir=runs/hacs-seed1\n\n"
            f"keys: runtime/schema.py documents all of them\n{EXIT_CODES_HELP}"
        ),
    )
    parser.add_argument("--config", required=True, metavar="FILE", help="YAML file, e.g. configs/hacs.yaml")
    parser.add_argument("--force", action="store_true", help="redo the stage from nothing")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="settings over those of the file")
    arguments = parser.parse_intermixed_args(argv)
    # Torch's threads (GNU OpenMP on Linux) spin while they wait, which makes a training step ten times slower where
    # other programs want the cores; with short spins it loses a tenth on a quiet machine. Read when torch is loaded.
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    return guarded(
        lambda: run_stage(
            spec, load_config(arguments.config, arguments.overrides), work, force=arguments.force
        )
    )
