"""Train the video model to classify the labelled segments of the training subset (paper, Appendix A)."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from runtime.command import stage_command
from runtime.fingerprint import file_state
from runtime.schema import RunConfig
from runtime.stage import StageRun, StageSpec
from video_datasets.dataset import dataset_inputs


def _inputs(config: RunConfig) -> dict[str, str]:
    inputs = dataset_inputs(config.data)
    if config.finetune.init_weights:
        inputs["init_weights"] = file_state(Path(config.finetune.init_weights))
    return inputs


SPEC = StageSpec(
    name="finetune",
    command="classification.finetune",
    sections=("seed", "model", "data", "grid", "finetune"),
    inputs=_inputs,
    weights="weights.pt",
)


def work(run: StageRun) -> None:
    """Do the stage's work; torch is imported only here, so that a finished stage is skipped quickly."""
    from classification.finetune.train import finetune

    finetune(run)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return stage_command(SPEC, work, __doc__, argv)


if __name__ == "__main__":
    sys.exit(main())
