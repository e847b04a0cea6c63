"""Test the finetuned model of a run on the labelled segments of the validation subset, over any
views.

Prints top-1, top-5 and mean class accuracy (verb, noun and action for EPIC-KITCHENS-100), and
leaves in `<run>/finetune_test_<clips>x<crops>/` the table, `per_class.csv`, and `logits.h5` with
the logits of every view.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace

from runtime.command import KEYS_HELP, stage_command
from runtime.exit_codes import EXIT_CODES_HELP
from runtime.sections import RunConfig
from runtime.stage_spec import StageRun, StageSpec
from video_datasets.dataset import dataset_inputs

LOGITS_NAME = "logits.h5"
"""In the stage's folder."""
EPILOG = f"""examples:
  python -m classification.finetune.test --config configs/kinetics400_8x8.yaml    # 10 clips x 3 crops, as the paper
  python -m classification.finetune.test --config configs/hacs_mini.yaml finetune.test_clips=2 finetune.test_crops=3

the run must be finetuned first; {KEYS_HELP}
{EXIT_CODES_HELP}"""


def _inputs(config: RunConfig) -> dict[str, str]:
    settings = config.finetune
    views = f"{settings.test_clips} x {settings.test_crops} of {settings.test_short_side_px} px, by {settings.sampling}"
    return {**dataset_inputs(config.data), "views": views}


def spec_of(config: RunConfig) -> StageSpec:
    """Return the stage: one folder for each number of views, so that several tests of a run lie
    side by side."""
    settings = config.finetune
    return replace(SPEC, name=f"{SPEC.name}_{settings.test_clips}x{settings.test_crops}")


def work(run: StageRun) -> None:
    """Do the stage's work; torch is imported only here, so that a finished test is shown
    quickly."""
    from classification.finetune.testing import run_test

    run_test(run)


SPEC = StageSpec(
    name="finetune_test",
    command="classification.finetune.test",
    work=work,
    description=__doc__ or "",
    epilog=EPILOG,
    configured=spec_of,
    sections=(
        "data",
        "grid",
        "finetune.test_clips",
        "finetune.test_crops",
        "finetune.test_short_side_px",
    ),
    reads=("finetune",),
    inputs=_inputs,
    shows="table.txt",
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    from pipeline.stages import STAGES  # all settings of the run's configuration

    return stage_command(SPEC, {**STAGES, SPEC.name: SPEC}, argv)


if __name__ == "__main__":
    sys.exit(main())
