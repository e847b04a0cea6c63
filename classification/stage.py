"""Label the proposals of a run and write detections in the official submission format.

`classification.source` says how (`classification/source_table.py`): one label for all proposals of
a video (`video`, `proposals`), or every proposal by itself, on its features, on clips of the video,
by a classifier trained on the stored features, by scores of others, or as the head says
(`features`, `clips`, `trained`, `scores`, `head`). `auto` chooses what suits the training
annotations."""

from __future__ import annotations

from dataclasses import replace

from classification.outputs import declared_levels
from classification.source_table import refuse_with_head, source_kind
from runtime.command import KEYS_HELP
from runtime.exit_codes import EXIT_CODES_HELP
from runtime.sections import RunConfig
from runtime.stage_spec import StageRun, StageSpec

EPILOG = f"""examples:
  python -m classification --config configs/hacs_mini.yaml
  python -m classification --config configs/ek100.yaml classification.source=features
  python -m classification --config configs/ek100.yaml classification.source=scores classification.class_scores=DIR

{KEYS_HELP}
{EXIT_CODES_HELP}"""


def stage_spec(config: RunConfig) -> StageSpec:
    """Return the stage as the config makes it: what `classification.source` reads.

    Raises:
        InputError: if there is no such source, it cannot go with the head, or a submission must
            declare what is not set.
    """
    declared_levels(config)  # before anything is done, or redone
    refuse_with_head(config)
    kind = source_kind(config)
    return replace(SPEC, reads=kind.reads(config), inputs=kind.inputs)


def work(run: StageRun) -> None:
    """Do the stage's work; torch is imported only here, so that a finished stage is skipped
    quickly."""
    from classification.classify import classify

    classify(run)


SPEC = StageSpec(
    name="classification",
    command="classification",
    sections=("data", "grid", "classification"),
    reads=("proposals",),
    work=work,
    description=__doc__ or "",
    configured=stage_spec,
    per_video=True,
    epilog=EPILOG,
    results=("detections*.json", "source.json", "*.h5", "*.pt"),
)
