"""Train BMN on the features of a run: proposals of any action, on whole videos rescaled to
`bmn.tscale` cells (HACS), or with `bmn.mode=windows` on windows that slide over them
(EPIC-KITCHENS-100).

`bmn.init_weights` starts from a checkpoint, also of the original code; with `bmn.epochs=0` it is
used as it is."""

from __future__ import annotations

from pathlib import Path

from runtime.fingerprint import content_state
from runtime.sections import RunConfig
from runtime.stage_spec import StageRun, StageSpec
from video_datasets.dataset import annotations_state


def _inputs(config: RunConfig) -> dict[str, str]:
    inputs = {"annotations": annotations_state(config.data)}
    if config.bmn.init_weights:
        inputs["init_weights"] = content_state(Path(config.bmn.init_weights))
    return inputs


def work(run: StageRun) -> None:
    """Do the stage's work; torch is imported only here, so that a finished stage is skipped
    quickly."""
    from bmn.train import train

    train(run)


SPEC = StageSpec(
    name="bmn",
    command="bmn",
    sections=("seed", "data", "grid", "bmn"),
    reads=("features",),
    inputs=_inputs,
    weights="weights.pt",
    work=work,
    description=__doc__ or "",
    results=("weights.pt",),
)
