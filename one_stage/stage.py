"""Train the run's one-stage head (`head=actionformer`, `temporalmaxer` or `tridet`) on the features
of a run: it gives segments with their classes at once.

`one_stage.init_weights` starts from a checkpoint, also of the original code with its YAML as
`one_stage.init_settings`; with `one_stage.epochs=0` it is used as it is."""

from __future__ import annotations

from pathlib import Path

from runtime.errors import InputError
from runtime.fingerprint import content_state
from runtime.sections import RunConfig
from runtime.stage_spec import StageRun, StageSpec
from video_datasets.dataset import annotations_state

KINDS = ("actionformer", "temporalmaxer", "tridet")


def _inputs(config: RunConfig) -> dict[str, str]:
    inputs = {"annotations": annotations_state(config.data)}
    for key in ("init_weights", "init_settings"):
        path = getattr(config.one_stage, key)
        if path:
            inputs[key] = content_state(Path(path))
    return inputs


def work(run: StageRun) -> None:
    """Do the stage's work; torch is imported only here, so that a finished stage is skipped
    quickly."""
    if run.config.head not in KINDS:
        raise InputError(f"head is '{run.config.head}'; this stage trains head={'|'.join(KINDS)}")
    from one_stage.train import train

    train(run)


SPEC = StageSpec(
    name="one_stage",
    command="one_stage",
    sections=("seed", "head", "data", "grid", "one_stage"),
    reads=("features",),
    inputs=_inputs,
    weights="weights.pt",
    work=work,
    description=__doc__ or "",
    results=("weights.pt",),
)
