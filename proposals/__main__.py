"""Turn BMN's maps into scored proposals with soft-NMS, for every video outside the training subset."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from runtime.command import stage_command
from runtime.stage import StageRun, StageSpec

SPEC = StageSpec(
    name="proposals", command="proposals", sections=("data", "proposals"), reads=("features", "bmn")
)


def work(run: StageRun) -> None:
    """Do the stage's work; torch is imported only here, so that a finished stage is skipped quickly."""
    from proposals.propose import propose

    propose(run)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return stage_command(SPEC, work, __doc__, argv)


if __name__ == "__main__":
    sys.exit(main())
