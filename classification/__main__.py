"""Label the proposals of a run and write detections in the official submission format.

HACS and one's own data have one set of classes: the finetuned head on the stored features labels a whole video
(`classification.source=video` or `proposals`). EPIC-KITCHENS-100 has verbs and nouns: every proposal is classified by
itself, on its features, on clips of the video, or by imported results (`features`, `clips`, `scores`)."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace

from runtime.command import stage_command
from runtime.exit_codes import EXIT_CODES_HELP
from runtime.fingerprint import listing_state
from runtime.schema import RunConfig
from runtime.stage import StageRun, StageSpec
from video_datasets.dataset import annotations_state, dataset_inputs

SPEC = StageSpec(
    name="classification",
    command="classification",
    sections=("data", "grid", "classification"),
    reads=("finetune", "features", "proposals"),
)

EPILOG = f"""examples:
  python -m classification --config configs/hacs_mini.yaml
  python -m classification --config configs/ek100.yaml classification.source=features
  python -m classification --config configs/ek100.yaml classification.source=scores classification.class_scores=DIR

keys: runtime/schema.py documents all of them
{EXIT_CODES_HELP}"""

ONE_SET_OF_CLASSES = ("video", "proposals")
"""The sources for HACS and one's own data; the others are for verbs and nouns."""


def stage_spec(config: RunConfig) -> StageSpec:
    """Return the stage as the config makes it: what `classification.source` reads.

    Raises:
        InputError: if verbs and nouns are asked for without the supervision levels that a submission declares.
    """
    if config.classification.source not in ONE_SET_OF_CLASSES:
        from classification.outputs import supervision_levels

        supervision_levels(config.classification)  # before anything is done, or redone
    if config.classification.source == "clips":
        return replace(SPEC, reads=("finetune", "proposals"), inputs=_clip_inputs)
    if config.classification.source == "scores":
        return replace(SPEC, reads=("proposals",), inputs=_released_inputs)
    return SPEC


def _clip_inputs(config: RunConfig) -> dict[str, str]:
    share = f"{config.features.min_decoded_share:g}"
    return {**dataset_inputs(config.data), "features.min_decoded_share": share}


def _released_inputs(config: RunConfig) -> dict[str, str]:
    from classification.class_scores import class_score_files

    assert config.classification.class_scores is not None
    files = class_score_files(config.classification.class_scores)
    return {"annotations": annotations_state(config.data), "class_scores": listing_state(files)}


def work(run: StageRun) -> None:
    """Do the stage's work; torch is imported only here, so that a finished stage is skipped quickly."""
    if run.config.classification.source in ONE_SET_OF_CLASSES:
        from classification.classify import classify

        classify(run)
    else:
        from classification.classify_actions import classify_actions

        classify_actions(run)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return stage_command(SPEC, work, __doc__, argv, spec_of=stage_spec, epilog=EPILOG)


if __name__ == "__main__":
    sys.exit(main())
