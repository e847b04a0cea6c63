"""Test the finetuned model of a run on the labelled segments of the validation subset, over any views.

Prints top-1, top-5 and mean class accuracy (verb, noun and action for EPIC-KITCHENS-100), and leaves in
`<run>/finetune_test_<clips>x<crops>/` the table, `per_class.csv`, and `logits.h5` with the logits of every view.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from runtime.config import load_config
from runtime.exit_codes import EXIT_CODES_HELP, guarded
from runtime.schema import RunConfig
from runtime.stage import StageRun, StageSpec, run_stage
from video_datasets.dataset import dataset_inputs

EPILOG = f"""examples:
  python -m classification.finetune.test --config configs/kinetics400_8x8.yaml    # 10 clips x 3 crops, as the paper
  python -m classification.finetune.test --config configs/hacs_mini.yaml finetune.test_clips=2 finetune.test_crops=3

the run must be finetuned first; keys: runtime/schema.py documents all of them
{EXIT_CODES_HELP}"""


def _inputs(config: RunConfig) -> dict[str, str]:
    settings = config.finetune
    views = f"{settings.test_clips} x {settings.test_crops} of {settings.test_short_side_px} px, by {settings.sampling}"
    return {**dataset_inputs(config.data), "views": views}


def spec_of(config: RunConfig) -> StageSpec:
    """Return the stage: one folder for each number of views, so that several tests of a run lie side by side."""
    return StageSpec(
        name=f"finetune_test_{config.finetune.test_clips}x{config.finetune.test_crops}",
        command="classification.finetune.test",
        sections=("data", "grid"),
        reads=("finetune",),
        inputs=_inputs,
        shows="table.txt",
    )


def work(run: StageRun) -> None:
    """Do the stage's work; torch is imported only here, so that a finished test is shown quickly."""
    from classification.finetune.testing import run_test

    run_test(run)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m classification.finetune.test",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=EPILOG,
    )
    parser.add_argument("--config", required=True, metavar="FILE", help="YAML file of the finetuned run")
    parser.add_argument("--force", action="store_true", help="test again from nothing")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="settings over those of the file")
    arguments = parser.parse_intermixed_args(argv)

    def act() -> int:
        config = load_config(arguments.config, arguments.overrides)
        return run_stage(spec_of(config), config, work, force=arguments.force)

    return guarded(act)


if __name__ == "__main__":
    sys.exit(main())
