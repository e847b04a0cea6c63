"""Extract sliding-window clip features of every video with the finetuned model into one HDF5 feature store."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from runtime.command import stage_command
from runtime.stage import StageRun, StageSpec
from video_datasets.dataset import dataset_inputs

SPEC = StageSpec(
    name="features",
    command="feature_extraction",
    sections=("data", "grid", "features"),
    reads=("finetune",),
    inputs=lambda config: dataset_inputs(config.data),
)


def work(run: StageRun) -> None:
    """Do the stage's work; torch is imported only here, so that a finished stage is skipped quickly."""
    from feature_extraction.extract import extract

    extract(run)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return stage_command(SPEC, work, __doc__, argv)


if __name__ == "__main__":
    sys.exit(main())
