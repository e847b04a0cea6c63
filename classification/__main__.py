"""Label the proposals of a run with the finetuned head and write detections in the official submission format."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from runtime.command import stage_command
from runtime.stage import StageRun, StageSpec

SPEC = StageSpec(
    name="classification",
    command="classification",
    sections=("data", "grid", "classification"),
    reads=("finetune", "features", "proposals"),
)


def work(run: StageRun) -> None:
    """Do the stage's work; torch is imported only here, so that a finished stage is skipped quickly."""
    from classification.classify import classify

    classify(run)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return stage_command(SPEC, work, __doc__, argv)


if __name__ == "__main__":
    sys.exit(main())
