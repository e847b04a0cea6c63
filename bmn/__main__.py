"""Train BMN on the features of a run: proposals of any action, whole videos rescaled to `bmn.tscale` cells."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from runtime.command import stage_command
from runtime.fingerprint import file_state
from runtime.stage import StageRun, StageSpec
from video_datasets.dataset import annotation_file

SPEC = StageSpec(
    name="bmn",
    command="bmn",
    sections=("seed", "data", "grid", "bmn"),
    reads=("features",),
    inputs=lambda config: {"annotations": file_state(annotation_file(config.data))},
    weights="weights.pt",
)


def work(run: StageRun) -> None:
    """Do the stage's work; torch is imported only here, so that a finished stage is skipped quickly."""
    from bmn.train import train

    train(run)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return stage_command(SPEC, work, __doc__, argv)


if __name__ == "__main__":
    sys.exit(main())
