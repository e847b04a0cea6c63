"""One stage of a run, called as `pipeline.run` calls it: with the words of the whole run, in
this process."""

from __future__ import annotations

from collections.abc import Sequence

from classification.finetune.test import SPEC as TEST
from pipeline.stages import STAGES
from runtime.command import run_of_words
from runtime.exit_codes import guarded


def stage_of_run(command: str, argv: Sequence[str]) -> int:
    """Run the stage of a command with `--config FILE [key=value ...] [--force]`; return its exit
    code."""
    words = [word for word in argv if word not in ("--config", "--force")]
    spec = next(spec for spec in (*STAGES.values(), TEST) if spec.command == command)
    config_file, overrides = words[0], words[1:]
    return guarded(
        lambda: run_of_words(spec, STAGES, config_file, overrides, force="--force" in argv, whole_run=True)
    )
