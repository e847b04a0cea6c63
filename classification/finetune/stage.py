"""Train the video model to classify the labelled segments of the training subset (paper,
Appendix A)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from runtime.fingerprint import content_state
from runtime.sections import RunConfig
from runtime.stage_spec import StageRun, StageSpec
from video_datasets.dataset import dataset_inputs

OF_PRETRAINING = "pretrain"
"""Value of `finetune.init_weights` for the weights of the run's stage `pretrain`."""


def _inputs(config: RunConfig) -> dict[str, str]:
    inputs = dataset_inputs(config.data)
    if config.finetune.init_weights not in (None, OF_PRETRAINING):
        inputs["init_weights"] = content_state(Path(config.finetune.init_weights))
    if ":" in config.model:
        from feature_extraction.backbone import hub_weights  # loads torch, which other runs wait for in vain

        inputs |= {f"model.{path.name}": content_state(path) for path in hub_weights(config.model)}
    return inputs


def stage_spec(config: RunConfig) -> StageSpec:
    """Return the stage as the config makes it: with the weights of the run's own pre-training it
    reads that stage."""
    return replace(SPEC, reads=("pretrain",)) if config.finetune.init_weights == OF_PRETRAINING else SPEC


def work(run: StageRun) -> None:
    """Do the stage's work; torch is imported only here, so that a finished stage is skipped
    quickly."""
    from classification.finetune.train import finetune

    finetune(run)


SPEC = StageSpec(
    name="finetune",
    command="classification.finetune",
    sections=("seed", "model", "data", "grid", "finetune"),
    inputs=_inputs,
    weights="weights.pt",
    work=work,
    description=__doc__ or "",
    results=("weights.pt",),
    configured=stage_spec,
)
