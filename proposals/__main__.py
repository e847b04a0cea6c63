"""Find scored proposals with the run's head, and suppress those that overlap, for every video outside the training
subset. The key `head` names the network (`proposals.heads`)."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace

from proposals.heads import head_of
from runtime.command import stage_command
from runtime.schema import RunConfig
from runtime.stage import StageRun, StageSpec

SPEC = StageSpec(name="proposals", command="proposals", sections=("data",), reads=("features",))


def stage_spec(config: RunConfig) -> StageSpec:
    """Return the stage with what the run's head reads."""
    head = head_of(config)
    return replace(SPEC, sections=(*SPEC.sections, *head.settings), reads=(*SPEC.reads, head.stage))


def work(run: StageRun) -> None:
    """Do the stage's work; torch is imported only here, so that a finished stage is skipped quickly."""
    from proposals.propose import propose

    propose(run)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return stage_command(SPEC, work, __doc__, argv, spec_of=stage_spec)


if __name__ == "__main__":
    sys.exit(main())
